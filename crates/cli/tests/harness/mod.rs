//! What the tests of the program share: a user with a home of their own, the program under watch, and servers that answer
//! as a test says, in the few ways that no row of the lab can.

#![allow(
    dead_code,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "each test program uses a part of it, and a test may panic and print"
)]

#[cfg(unix)]
pub mod oidc;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mcp_startup::auth::CredentialKey;
use mcp_startup_lab::{Lab, Scenario, parse_scenarios};
use serde_json::{Value, json};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mcp-startup");
/// No run takes longer, unless something is wrong.
const LONGEST: Duration = Duration::from_secs(120);

/// A user: a folder that is their home, with a `.codex` in it, a current folder, and a folder for temporary files.
pub struct User {
    root: tempfile::TempDir,
}

impl User {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home/.codex", "here", "temporary"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    /// A user with this `~/.codex/config.toml`.
    pub fn with(config: &str) -> Self {
        let user = Self::new();
        user.write("home/.codex/config.toml", config);
        user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("home/.codex/config.toml")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Stores these records, each with its name and URL, where Codex does.
    pub fn store(&self, records: impl IntoIterator<Item = Value>) {
        let records: serde_json::Map<_, _> = records
            .into_iter()
            .map(|record| {
                let text = |field: &str| record[field].as_str().unwrap().to_owned();
                let key = CredentialKey::new(&text("server_name"), &text("server_url"));
                (key.as_str().to_owned(), record)
            })
            .collect();
        self.write(
            "home/.codex/.credentials.json",
            serde_json::to_vec_pretty(&records).unwrap(),
        );
    }

    /// The records that are stored for the user, by the name of their server; none without a file. It panics where that is not
    /// whole.
    pub fn records(&self) -> BTreeMap<String, Value> {
        let records: BTreeMap<String, Value> =
            match std::fs::read(self.path("home/.codex/.credentials.json")) {
                Ok(file) => serde_json::from_slice(&file).unwrap(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
                Err(error) => panic!("{error}"),
            };
        let name = |record: &Value| record["server_name"].as_str().unwrap().to_owned();
        records
            .into_values()
            .map(|record| (name(&record), record))
            .collect()
    }

    pub fn assert_others_untouched(&self) {
        let records = self.records();
        for other in others() {
            assert_eq!(records[other["server_name"].as_str().unwrap()], other);
        }
    }

    /// The program, for this user: nothing of the environment of the tests comes to it but the PATH.
    pub fn program(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("temporary"))
            .current_dir(self.path("here"));
        Run {
            command,
            stdin: Vec::new(),
        }
    }

    /// `check --format FORMAT --config ~/.codex/config.toml`.
    pub fn check(&self, format: &str) -> Run {
        let config = self.config();
        self.program(&[
            "check",
            "--format",
            format,
            "--config",
            config.to_str().unwrap(),
        ])
    }
}

/// What others keep in the file of the records, which nobody else may touch.
pub fn others() -> Vec<Value> {
    let other = |name: &str| {
        json!({"server_name": name, "server_url": format!("https://{name}.example/mcp"), "access_token": "theirs",
            "odd": {"number": 1.5, "list": [null, true]}})
    };
    vec![other("other-a"), other("other-b")]
}

/// One run of the program.
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
}

impl Run {
    pub fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn arg_os(mut self, argument: &std::ffi::OsStr) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The same through another program that starts it: `before PROGRAM ARGUMENTS…`.
    pub fn through(self, before: &[&str]) -> Self {
        let mut command = Command::new(before[0]);
        command.args(&before[1..]).arg(self.command.get_program());
        command.args(self.command.get_args()).env_clear();
        for (name, value) in self.command.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Self {
            command,
            stdin: self.stdin,
        }
    }

    /// Starts it and hands it over.
    pub fn spawn(self) -> Started {
        self.spawn_with(Stdio::null())
    }

    /// The same with this stdin.
    pub fn spawn_with(mut self, stdin: Stdio) -> Started {
        let command = self.command.stdin(stdin);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Started(command.spawn().unwrap())
    }

    /// Runs it to its end.
    pub fn done(mut self) -> Done {
        let command = self.command.stdin(Stdio::piped());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let input = self.stdin;
        // It may end without having read all.
        let feeding = thread::spawn(move || {
            let mut stdin = stdin;
            let _ = stdin.write_all(&input);
        });
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let (code, peak_mb) = watch(&mut child);
        feeding.join().unwrap();
        Done {
            code,
            stdout: String::from_utf8(stdout.join().unwrap()).unwrap(),
            stderr: String::from_utf8(stderr.join().unwrap()).unwrap(),
            peak_mb,
        }
    }
}

/// A program that runs, and that ends with its test whatever becomes of that.
pub struct Started(pub Child);

impl Started {
    /// Closes its stdout. Gives the status it ends with, and what it says on stderr.
    pub fn closed(mut self) -> (Option<i32>, String) {
        drop(self.0.stdout.take());
        let mut stderr = String::new();
        let mut pipe = self.0.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        (self.0.wait().unwrap().code(), stderr)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Waits for the program's end: its exit code, and the most memory that it has had, where the system tells.
fn watch(child: &mut Child) -> (Option<i32>, f64) {
    let status_file = PathBuf::from(format!("/proc/{}/status", child.id()));
    let began = Instant::now();
    let mut peak_mb = 0.0;
    loop {
        if let Some(kilobytes) = high_water_mark(&status_file) {
            peak_mb = f64::max(peak_mb, kilobytes / 1024.0);
        }
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), peak_mb);
        }
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program did not end within {LONGEST:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn high_water_mark(status_file: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(status_file).ok()?;
    // Until the program has taken the place of the process that starts it, this is about the tests.
    status.lines().find(|line| *line == "Name:\tmcp-startup")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What a run came to.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The most memory it has had, in MB; 0 where that is not known.
    pub peak_mb: f64,
}

impl Done {
    /// Both outputs, which must not hold what no output may hold.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// stdout as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON document: {error}\n{self:#?}"))
    }

    /// The server of this name in the report.
    pub fn server(&self, name: &str) -> Value {
        let report = self.json();
        let servers = report["servers"].as_array().unwrap();
        let found = servers.iter().find(|server| server["name"] == name);
        found
            .unwrap_or_else(|| panic!("no server `{name}` in {report:#}"))
            .clone()
    }

    /// The line of the table that is about this server.
    pub fn line(&self, name: &str) -> &str {
        let mut lines = self.stdout.lines();
        lines
            .find(|line| line.split_whitespace().nth(1) == Some(name))
            .unwrap_or_else(|| panic!("no line for `{name}`\n{}", self.stdout))
    }

    /// It ended with this status, and as a program should: no panic, nothing that steers a terminal.
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.decently()
    }

    pub fn decently(self) -> Self {
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        for output in [&self.stdout, &self.stderr] {
            let steers =
                |character: char| character.is_control() && character != '\n' && character != '\r';
            assert!(!output.contains(steers), "{self:#?}");
        }
        self
    }
}

/// A string as TOML (and JSON) writes it.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// An entry of `mcp_servers`.
pub fn entry(name: &str, body: &str) -> String {
    format!("[mcp_servers.{}]\n{body}\n\n", quoted(name))
}

/// The body of an entry for a URL.
pub fn url(url: &str) -> String {
    format!("url = {}", quoted(url))
}

/// The body of an entry for a shell script.
pub fn shell(script: &str) -> String {
    format!("command = \"/bin/sh\"\nargs = [\"-c\", {}]", quoted(script))
}

/// The lab with its own rows.
pub fn lab() -> Lab {
    runtime().block_on(Lab::start(0)).unwrap()
}

/// A lab with rows of a test, in the format of `scenarios.json`; `expect` may be left out.
pub fn lab_of(rows: Value) -> Lab {
    let rows: Vec<Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let mut row = row.clone();
            for (field, value) in [
                ("about", json!("")),
                ("expect", json!({ "state": "failed" })),
            ] {
                if row.get(field).is_none() {
                    row[field] = value;
                }
            }
            row
        })
        .collect();
    let rows: Vec<Scenario> = parse_scenarios(&Value::from(rows).to_string()).unwrap();
    runtime().block_on(Lab::start_with(rows, 0)).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

/// Does the same with each of many, a few at a time. What failed is told of all of them.
pub fn each<T: Sync>(items: &[T], act: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(AssertUnwindSafe(|| act(item))).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("{} rows", items.len());
    assert_eq!(failed, 0, "so many of {} rows failed", items.len());
}

/// Says that a test was not run, as `tests/e2e/README.md` has it.
pub fn skip(program: &str, test: &str, reason: &str) {
    let line = format!("{program} {test}: {reason}\n");
    eprint!("skipped: {line}");
    if let Some(file) = std::env::var_os("MCP_STARTUP_E2E_SKIPPED") {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Says how many cases were run, past the capture of the test harness: the count is part of what a run says.
pub fn ran(what: &str, count: usize) {
    let line = format!("atlas: {what} {count} cases\n");
    io::stdout().write_all(line.as_bytes()).unwrap();
}

/// A request to a [`Server`].
pub struct Asked {
    pub method: String,
    pub path: String,
    /// In lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub text: String,
    /// The same as JSON, or null.
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn rpc(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    /// What a good server of 2025-11-25 answers: with one tool.
    pub fn good_result(&self) -> Value {
        let result = match self.rpc() {
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

/// Where a [`Server`] writes its answer: the bare connection, closed after it.
pub struct Answering<'a>(pub &'a mut TcpStream);

impl Answering<'_> {
    /// The head of an answer without a length: its end is the end of the connection.
    pub fn head(&mut self, status: u16, content_type: &str, headers: &str) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nConnection: close\r\n{headers}\r\n"
        );
        self.0.write_all(head.as_bytes())
    }

    pub fn json(&mut self, body: &Value) -> io::Result<()> {
        self.text(200, "application/json", &body.to_string())
    }

    pub fn text(&mut self, status: u16, content_type: &str, body: &str) -> io::Result<()> {
        self.head(status, content_type, "")?;
        self.0.write_all(body.as_bytes())
    }

    /// What a good server does.
    pub fn good(&mut self, asked: &Asked) -> io::Result<()> {
        match (asked.method.as_str(), asked.body.get("id").is_some()) {
            ("POST", true) => self.json(&asked.good_result()),
            ("POST", false) => self.head(202, "text/plain", ""),
            _ => self.head(405, "text/plain", ""),
        }
    }

    /// Writes this again and again, to `bytes` in all.
    pub fn repeat(&mut self, chunk: &[u8], bytes: usize) -> io::Result<()> {
        for _ in 0..bytes.div_ceil(chunk.len()) {
            self.0.write_all(chunk)?;
        }
        Ok(())
    }

    /// Says no more until the other side has gone.
    pub fn hang(&mut self) -> io::Result<()> {
        self.0.read_to_end(&mut Vec::new()).map(|_| ())
    }
}

type Answer = Box<dyn Fn(&Asked, &mut Answering<'_>) -> io::Result<()> + Send + Sync>;

/// A server on loopback that answers each request by a function, one for each connection. It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(
        answer: impl Fn(&Asked, &mut Answering<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let ending = ended.clone();
        let answer: Arc<Answer> = Arc::new(Box::new(answer));
        let accepting = thread::spawn(move || {
            let mut connections = Vec::new();
            for connection in listener.incoming() {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(mut connection) = connection else {
                    continue;
                };
                let answer = answer.clone();
                connections.push(thread::spawn(move || {
                    // Whoever asked may go at any time.
                    let _ = serve(&mut connection, &answer);
                }));
            }
            for connection in connections {
                connection.join().unwrap();
            }
        });
        Self {
            address,
            ended,
            accepting: Some(accepting),
        }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self) -> String {
        format!("{}/mcp", self.base())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let ended = accepting.join();
            assert!(ended.is_ok() || thread::panicking(), "a server panicked");
        }
    }
}

fn serve(connection: &mut TcpStream, answer: &Answer) -> io::Result<()> {
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
    let mut asked = Asked {
        method,
        path,
        headers,
        text: String::new(),
        body: Value::Null,
    };
    let mut body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    asked.body = serde_json::from_slice(&body).unwrap_or_default();
    asked.text = String::from_utf8_lossy(&body).into_owned();
    answer(&asked, &mut Answering(connection))
}
