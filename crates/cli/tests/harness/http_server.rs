//! An HTTP server on loopback whose responses a test writes by hand, for behavior that no lab scenario has.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

/// A request that the server has received.
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn rpc_method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    /// The response of a working MCP 2025-11-25 server with one tool.
    pub fn successful_response(&self) -> Value {
        let result = match self.rpc_method() {
            "initialize" => json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "test", "version": "1" },
            }),
            _ => json!({ "tools": [{ "name": "one", "inputSchema": { "type": "object" } }] }),
        };
        json!({ "jsonrpc": "2.0", "id": self.body["id"], "result": result })
    }
}

/// Writes the response to one request. The server then closes the connection.
pub struct Responder<'a> {
    pub connection: &'a mut TcpStream,
}

impl Responder<'_> {
    /// Writes the head of a response without a length. The end of the connection ends the body.
    pub fn head(&mut self, status: u16, content_type: &str, headers: &str) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nConnection: close\r\n{headers}\r\n"
        );
        self.raw(head.as_bytes())
    }

    pub fn json(&mut self, body: &Value) -> io::Result<()> {
        self.text(200, "application/json", &body.to_string())
    }

    pub fn text(&mut self, status: u16, content_type: &str, body: &str) -> io::Result<()> {
        self.head(status, content_type, "")?;
        self.raw(body.as_bytes())
    }

    /// Responds like a working MCP server.
    pub fn successful(&mut self, request: &Request) -> io::Result<()> {
        match (request.method.as_str(), request.body.get("id").is_some()) {
            ("POST", true) => self.json(&request.successful_response()),
            ("POST", false) => self.head(202, "text/plain", ""),
            _ => self.head(405, "text/plain", ""),
        }
    }

    /// Writes these bytes to the connection, without any HTTP around them.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.write_all(bytes)
    }

    /// Writes `chunk` repeatedly, until `bytes` bytes are written.
    pub fn repeat(&mut self, chunk: &[u8], bytes: usize) -> io::Result<()> {
        for _ in 0..bytes.div_ceil(chunk.len()) {
            self.raw(chunk)?;
        }
        Ok(())
    }

    /// Writes nothing more and keeps the connection open until the client closes it.
    pub fn hang(&mut self) -> io::Result<()> {
        self.connection.read_to_end(&mut Vec::new()).map(|_| ())
    }
}

type Respond = Box<dyn Fn(&Request, &mut Responder<'_>) -> io::Result<()> + Send + Sync>;

/// The server. It handles one request per connection, and stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(
        respond: impl Fn(&Request, &mut Responder<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let stopping = stopped.clone();
        let respond: Arc<Respond> = Arc::new(Box::new(respond));
        let accepting = thread::spawn(move || {
            let mut connections = Vec::new();
            for connection in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(mut connection) = connection else {
                    continue;
                };
                let respond = respond.clone();
                connections.push(thread::spawn(move || {
                    // The client may disconnect at any time.
                    let _ = serve(&mut connection, &respond);
                }));
            }
            for connection in connections {
                connection.join().unwrap();
            }
        });
        Self {
            address,
            stopped,
            accepting: Some(accepting),
        }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the MCP endpoint.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.base())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let ended = accepting.join();
            assert!(ended.is_ok() || thread::panicking(), "a server panicked");
        }
    }
}

fn serve(connection: &mut TcpStream, respond: &Respond) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        text: String::new(),
        body: Value::Null,
    };
    let mut body = vec![0; request.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    request.body = serde_json::from_slice(&body).unwrap_or_default();
    request.text = String::from_utf8_lossy(&body).into_owned();
    respond(&request, &mut Responder { connection })
}
