//! For tests: an internet of one's own. What it says of names is what a test says, and its servers are behind a proxy on
//! loopback, which answers for every host and writes down what came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use futures::FutureExt;

use super::names::{LookUp, Names};
use super::{Network, Proxies};

/// A request: its method, its target as it came, the lines of its head in lower case, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub what: String,
    pub head: String,
    pub body: String,
}

/// A server on loopback that answers each request by a function of method and target. Taken as a proxy, the target is a whole URL.
pub(crate) struct World {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl World {
    pub fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::at(listener(), answer)
    }

    pub fn at(
        listener: TcpListener,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if let Some(asked) = read(&connection) {
                    let answer = answer(&asked.what);
                    log.lock().unwrap().push(asked);
                    // Who asked may have gone.
                    let _ = (&connection).write_all(answer.as_bytes());
                }
            }
        });
        Self { address, asked }
    }

    /// What came, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Methods and targets of what came, in order.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.what).collect()
    }

    /// A network in which this is the proxy for everything but the hosts in `not`.
    pub fn network(&self, not: &str, names: Vec<(&'static str, &'static str)>) -> Network {
        let proxies = Proxies::One {
            url: format!("http://{}", self.address),
            not: not.to_owned(),
        };
        Network::with(Names::new(look_up(names)), proxies).unwrap()
    }
}

/// A place to listen at.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

fn read(connection: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let what = line.rsplit_once(' ')?.0.to_owned();
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
    Some(Asked { what, head, body })
}

/// A network without proxies in which names have these addresses, and no other name is known.
pub(crate) fn network(names: Vec<(&'static str, &'static str)>) -> Network {
    Network::with(Names::new(look_up(names)), Proxies::None).unwrap()
}

/// Knows these names and their addresses. Of a name that stands there more than once, each time it is asked for gives the next.
pub(super) fn look_up(names: Vec<(&'static str, &'static str)>) -> LookUp {
    let names = Mutex::new(names);
    Box::new(move |name| {
        let mut names = names.lock().unwrap();
        let mut places = (0..names.len()).filter(|at| names[*at].0 == name);
        let (first, later) = (places.next(), places.next());
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

/// An answer over HTTP, after which the connection is closed.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}
