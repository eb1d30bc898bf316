//! The real servers, and how each one is started. `tests/e2e/README.md` describes them.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::processes::{DEADLINE, Group};
use crate::user::{User, text_of};

/// The software that a server is built with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kit {
    /// The npm package `@modelcontextprotocol/server-everything`.
    Everything,
    /// The TypeScript SDK 2.
    TypeScript,
    /// The Python SDK.
    Python,
    /// A program of `tests/e2e/stdio`, in Python.
    Small(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Stdio,
    Http,
}

/// The protocol versions that a server supports: those with `initialize`, those without it, or both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Dual,
    Modern,
}

/// A real server, and the number of its tools.
#[derive(Clone, Copy)]
pub struct Peer {
    pub kit: Kit,
    pub transport: Transport,
    pub era: Era,
    pub tools: u64,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kit = match self.kit {
            Kit::Everything => "everything",
            Kit::TypeScript => "typescript",
            Kit::Python => "python",
            Kit::Small(file) => file,
        };
        let transport = match self.transport {
            Transport::Stdio => "stdio",
            Transport::Http => "http",
        };
        write!(f, "{kit}-{transport}-{}", self.era.name())
    }
}

impl Era {
    fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Dual => "dual",
            Self::Modern => "modern",
        }
    }

    /// A first request to which a server of this era responds with a result, as one line.
    fn first_request(self) -> &'static str {
        match self {
            Self::Legacy | Self::Dual => concat!(
                r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
                r#""capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#,
                "\n"
            ),
            Self::Modern => concat!(
                r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"#,
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
                r#""io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},"#,
                r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#,
                "\n"
            ),
        }
    }
}

/// The folder of the end-to-end tests in the repository.
pub fn sources() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap().join("tests/e2e")
}

/// The folder in which the real servers are installed.
pub struct Installed(PathBuf);

impl Installed {
    /// Finds the parts that a test needs. If one is missing, records the test as skipped and returns `None`.
    pub fn find(test: &str, kits: &[Kit]) -> Option<Self> {
        let parts = kits.iter().map(|kit| match kit {
            Kit::Everything | Kit::TypeScript => "npm",
            Kit::Python | Kit::Small(_) => "venv",
        });
        let reason = match std::env::var_os("MCP_STARTUP_E2E").map(PathBuf::from) {
            None => "MCP_STARTUP_E2E is not set".to_owned(),
            Some(folder) => {
                let lacks = |part: &&str| !folder.join(part).join(".installed-from").exists();
                match parts.clone().find(lacks) {
                    None => return Some(Self(folder)),
                    Some(part) => format!("{part} is not installed"),
                }
            }
        };
        let line = format!("{} {test}: {reason}\n", env!("CARGO_CRATE_NAME"));
        eprint!("skipped: {line}");
        if let Some(file) = std::env::var_os("MCP_STARTUP_E2E_SKIPPED") {
            let mut options = std::fs::OpenOptions::new();
            let file = options.append(true).create(true).open(file);
            // One write, because other tests append to the file at the same time.
            file.unwrap().write_all(line.as_bytes()).unwrap();
        }
        None
    }

    pub fn python(&self) -> PathBuf {
        self.0.join("venv/bin/python")
    }

    /// The command that starts a server. A server over HTTP listens on `port`.
    fn command(&self, peer: Peer, port: u16) -> Vec<String> {
        let node = self.0.join("bin/node");
        let everything = "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let (program, script) = match peer.kit {
            Kit::Everything => (node, self.0.join(everything)),
            Kit::TypeScript => (node, self.0.join("npm/server.mjs")),
            Kit::Python => (self.python(), sources().join("python/server.py")),
            Kit::Small(file) => (self.python(), sources().join("stdio").join(file)),
        };
        let mut command = vec![text_of(&program).to_owned(), text_of(&script).to_owned()];
        let mut add = |arguments: &[&str]| command.extend(arguments.iter().map(|&s| s.to_owned()));
        match (peer.kit, peer.transport) {
            (Kit::Small(_), _) => {}
            (Kit::Everything, Transport::Stdio) => add(&["stdio"]),
            (Kit::Everything, Transport::Http) => add(&["streamableHttp"]),
            (_, Transport::Stdio) => add(&["stdio", "--era", peer.era.name()]),
            (_, Transport::Http) => {
                let port = port.to_string();
                add(&["http", "--port", &port, "--era", peer.era.name()]);
            }
        }
        command
    }

    /// Prepares a server for a configuration. A server over HTTP listens until the result is dropped.
    pub fn prepare(&self, peer: Peer) -> Prepared {
        match peer.transport {
            Transport::Stdio => Prepared::Program(self.command(peer, 0)),
            Transport::Http => {
                // Another process may take the free port first.
                let listening = (0..5).find_map(|_| self.listen(peer));
                listening.unwrap_or_else(|| panic!("{peer} does not listen"))
            }
        }
    }

    /// Starts a server over HTTP. Returns `None` if it exits before it listens.
    fn listen(&self, peer: Peer) -> Option<Prepared> {
        let port = match peer.kit {
            Kit::Everything => free_port(),
            _ => 0,
        };
        let mut command = command(&self.command(peer, port));
        command.env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut group = Group::start(command.stderr(Stdio::piped()));
        let mut stderr = BufReader::new(group.child.stderr.take().unwrap());
        let (sender, lines) = channel();
        // Reads until the end of the output, so that the server never blocks while it writes.
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while let Ok(1..) = stderr.read_until(b'\n', &mut line) {
                let _ = sender.send(String::from_utf8_lossy(&line).trim().to_owned());
                line.clear();
            }
        });
        let began = Instant::now();
        while let Ok(line) = lines.recv_timeout(DEADLINE.saturating_sub(began.elapsed())) {
            let url = match line.split_once("istening on ") {
                Some((_, rest)) if rest.starts_with("http://127.0.0.1:") => rest.to_owned(),
                Some((_, rest)) if rest == format!("port {port}") => {
                    format!("http://127.0.0.1:{port}/mcp")
                }
                _ => continue,
            };
            return Some(Prepared::Listening { url, _group: group });
        }
        None
    }
}

/// A server that can be configured.
pub enum Prepared {
    Program(Vec<String>),
    Listening { url: String, _group: Group },
}

impl Prepared {
    pub fn configure(&self, user: &mut User, name: &str, settings: &str) {
        match self {
            Self::Program(command) => user.program(name, command, settings),
            Self::Listening { url, .. } => user.url(name, url, settings),
        }
    }

    /// The time that the server itself takes to respond to a first request. It includes the launch, unless the server already
    /// listens.
    pub fn own_time(&self, era: Era) -> Duration {
        let began = Instant::now();
        let answer = match self {
            Self::Program(command) => answer_on_stdout(command, era),
            Self::Listening { url, .. } => answer_over_http(url, era),
        };
        let elapsed = began.elapsed();
        assert!(answer.contains("\"result\""), "{answer}");
        elapsed
    }
}

fn answer_on_stdout(words: &[String], era: Era) -> String {
    let mut command = command(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut group = Group::start(command.stderr(Stdio::null()));
    let mut stdin = group.child.stdin.take().unwrap();
    stdin.write_all(era.first_request().as_bytes()).unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(group.child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    line
}

fn answer_over_http(url: &str, era: Era) -> String {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let body = era.first_request();
    let headers = match era {
        Era::Modern => "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\n",
        Era::Legacy | Era::Dual => "",
    };
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // An event stream may stay open after the response.
    while !String::from_utf8_lossy(&answer).contains("\"result\"") {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
