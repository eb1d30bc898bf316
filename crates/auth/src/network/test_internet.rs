//! An internet for tests. The test defines the addresses of each name, and a proxy on loopback answers for every host and records
//! the requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use futures::FutureExt;

use super::name_resolution::{LookUp, Names};
use super::{Network, Proxies};

/// A request that the server received.
#[derive(Clone, Debug)]
pub(crate) struct RecordedRequest {
    /// The method and the target, separated by a space. A request to a proxy has a whole URL as its target.
    pub target: String,
    /// The header lines in lower case.
    pub head: String,
    pub body: String,
}

/// A server on loopback. A function of method and target produces each response.
pub(crate) struct TestInternet {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
}

impl TestInternet {
    /// Starts a server on a free port.
    pub fn new(respond: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::at(listener(), respond)
    }

    /// Starts a server on `listener`.
    pub fn at(
        listener: TcpListener,
        respond: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<RecordedRequest>>> = Arc::default();
        let log = requests.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if let Some(request) = read_request(&connection) {
                    let response = respond(&request.target);
                    log.lock().unwrap().push(request);
                    // The client may have closed the connection.
                    let _ = (&connection).write_all(response.as_bytes());
                }
            }
        });
        Self { address, requests }
    }

    /// The requests in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The methods and targets of the requests in order.
    pub fn targets(&self) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests.map(|request| request.target).collect()
    }

    /// A network in which this server is the proxy for all hosts except `no_proxy`, a list with the syntax of `NO_PROXY`.
    pub fn network(&self, no_proxy: &str, names: Vec<(&'static str, &'static str)>) -> Network {
        let proxies = Proxies::One {
            url: format!("http://{}", self.address),
            no_proxy: no_proxy.to_owned(),
        };
        Network::with_names(Names::new(look_up(names)), proxies).unwrap()
    }
}

/// A listener on a free port of loopback.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

fn read_request(connection: &TcpStream) -> Option<RecordedRequest> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.rsplit_once(' ')?.0.to_owned();
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        head.push_str(&line);
        head.push('\n');
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    Some(RecordedRequest { target, head, body })
}

/// A network without proxies that knows only these names. Each name has a list of addresses, separated by spaces.
pub(crate) fn network(names: Vec<(&'static str, &'static str)>) -> Network {
    Network::with_names(Names::new(look_up(names)), Proxies::None).unwrap()
}

/// A lookup function that knows only these names. If a name occurs several times, each lookup returns its next entry; the last
/// entry stays.
pub(super) fn look_up(names: Vec<(&'static str, &'static str)>) -> LookUp {
    let names = Mutex::new(names);
    Box::new(move |name| {
        let mut names = names.lock().unwrap();
        let mut positions = (0..names.len()).filter(|at| names[*at].0 == name);
        let (first, later) = (positions.next(), positions.next());
        let addresses = match (first, later) {
            (Some(at), Some(_)) => Some(names.remove(at).1),
            (Some(at), None) => Some(names[at].1),
            (None, _) => None,
        };
        let addresses = match addresses {
            Some(addresses) => Ok(addresses
                .split_whitespace()
                .map(|address| SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0))
                .collect()),
            None => Err(std::io::Error::other(format!("{name} is not known"))),
        };
        async move { addresses }.boxed()
    })
}

/// An HTTP response after which the server closes the connection.
pub(crate) fn response(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}
