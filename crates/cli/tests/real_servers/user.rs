//! A user: a configuration, stored credentials, and runs of the program with them.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mcp_startup::auth::CredentialKey;
use mcp_startup_lab::{Lab, Scenario};
use serde_json::{Map, Value};

use crate::processes::{DEADLINE, Group, members, signal, soon};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mcp-startup");

/// Never responds. Exits at the end of its input, or on a signal.
const NEVER_ANSWERS: &str = "\
echo $$ >\"$1.part\" && mv \"$1.part\" \"$1\"
while read -r line; do :; done
";
/// Never responds and has a child. Both ignore signals.
const NEVER_ENDS: &str = "\
trap '' TERM INT HUP
sh -c 'while :; do sleep 1; done' &
echo $$ >\"$1.part\" && mv \"$1.part\" \"$1\"
while :; do sleep 1; done
";
/// Responds to `initialize`, and ignores signals.
const ANSWERS_AND_NEVER_ENDS: &str = "\
trap '' TERM INT HUP
echo $$ >\"$1.part\" && mv \"$1.part\" \"$1\"
read -r line
id=${line##*'\"id\":'}
id=${id%%[,\\}]*}
printf '%s%s%s\\n' '{\"jsonrpc\":\"2.0\",\"id\":' \"$id\" ',\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{\"name\":\"never-ends\",\"version\":\"1\"}}}'
while :; do sleep 1; done
";

/// A shell script that hangs.
#[derive(Clone, Copy)]
pub enum Hanging {
    NeverAnswers,
    NeverEnds,
    AnswersAndNeverEnds,
}

/// A folder with a configuration and credentials.
pub struct User {
    home: tempfile::TempDir,
    configuration: String,
    credentials: Map<String, Value>,
}

impl User {
    pub fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            configuration: "mcp_oauth_credentials_store = \"file\"\n".to_owned(),
            credentials: Map::new(),
        }
    }

    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    fn server(&mut self, name: &str, settings: &str) {
        let name = quoted(name);
        write!(self.configuration, "\n[mcp_servers.{name}]\n{settings}\n").unwrap();
    }

    /// Adds a server that is a program.
    pub fn program(&mut self, name: &str, command: &[String], settings: &str) {
        let (program, arguments) = command.split_first().unwrap();
        let arguments = serde_json::to_string(arguments).unwrap();
        let program = quoted(program);
        self.server(
            name,
            &format!("command = {program}\nargs = {arguments}\n{settings}"),
        );
    }

    /// Adds a server at a URL.
    pub fn url(&mut self, name: &str, url: &str, settings: &str) {
        let url = quoted(url);
        self.server(name, &format!("url = {url}\n{settings}"));
    }

    /// Adds a server of the lab, with the settings and the stored record of its scenario.
    pub fn scenario(&mut self, lab: &Lab, scenario: &Scenario) {
        let settings = scenario
            .startup_timeout_sec
            .map(|seconds| format!("startup_timeout_sec = {seconds}"))
            .unwrap_or_default();
        if scenario.stdio.is_some() {
            let command = [PROGRAM, "lab", "--stdio", &scenario.name].map(str::to_owned);
            return self.program(&scenario.name, &command, &settings);
        }
        self.url(&scenario.name, &lab.url(&scenario.name), &settings);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(since.as_millis()).unwrap();
        if let Some(record) = scenario.stored_record(&lab.base_url(), now_ms) {
            let url = record["server_url"].as_str().unwrap();
            let key = CredentialKey::new(&scenario.name, url);
            self.credentials.insert(key.as_str().to_owned(), record);
        }
    }

    /// Adds a program that hangs. Returns the file that names its process group once it runs.
    pub fn hanging(&mut self, name: &str, kind: Hanging, settings: &str) -> GroupFile {
        let script = self.folder().join(format!("{name}.sh"));
        let text = match kind {
            Hanging::NeverAnswers => NEVER_ANSWERS,
            Hanging::NeverEnds => NEVER_ENDS,
            Hanging::AnswersAndNeverEnds => ANSWERS_AND_NEVER_ENDS,
        };
        std::fs::write(&script, text).unwrap();
        let file = GroupFile(self.folder().join(format!("{name}.pid")));
        let command = [Path::new("/bin/sh"), &script, &file.0].map(|path| text_of(path).to_owned());
        self.program(name, &command, settings);
        file
    }

    /// Starts `mcp-startup check`.
    pub fn start_check(&self, arguments: &[&str], reading: Reading) -> Running<'_> {
        let path = self.folder().join("config.toml");
        std::fs::write(&path, &self.configuration).unwrap();
        let credentials = serde_json::to_vec(&self.credentials).unwrap();
        std::fs::write(self.folder().join(".credentials.json"), credentials).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("check").arg("--config").arg(path);
        command.args(arguments);
        Running::start(&mut command, self.folder(), reading)
    }

    /// Runs `mcp-startup check` to completion.
    pub fn check(&self, format: &str) -> Finished {
        self.start_check(&["--format", format], Reading::Everything)
            .finish()
    }
}

/// When and how much the test reads from the program's stdout.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Everything,
    /// Only this many lines. Then stdout is closed.
    Lines(usize),
    /// Only after [`Running::read_on`].
    Later,
}

/// A file in which a program writes its process id, which is also the id of its group.
pub struct GroupFile(PathBuf);

impl GroupFile {
    /// The group, if the program has started.
    pub fn read(&self) -> Option<u32> {
        std::fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }

    /// Waits until the program has started. Returns its group.
    pub fn wait(&self) -> u32 {
        assert!(soon(DEADLINE, || self.read().is_some()), "{:?}", self.0);
        self.read().unwrap()
    }
}

/// The running program. When this is dropped, the program is ended, and so is every program whose process id is in the user's
/// folder.
pub struct Running<'a> {
    group: Option<Group>,
    folder: &'a Path,
    lines: Receiver<String>,
    /// The reader of stdout waits until this is dropped.
    gate: Option<Sender<()>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Finished {
    /// The exit status; `None` if a signal ended the program.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl<'a> Running<'a> {
    fn start(command: &mut Command, folder: &'a Path, reading: Reading) -> Self {
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name);
            command.env_remove(name.to_uppercase());
        }
        command.env_remove("RUST_LOG").env_remove("CODEX_HOME");
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::start(command);
        let stdout = group.child.stdout.take().unwrap();
        let mut stderr = group.child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let (gate, opened) = channel();
        let stdout = std::thread::spawn(move || {
            let _ = opened.recv();
            let mut stdout = BufReader::new(stdout);
            let mut read = Vec::new();
            let mut count = 0;
            while reading != Reading::Lines(count) {
                let from = read.len();
                if !matches!(stdout.read_until(b'\n', &mut read), Ok(1..)) {
                    break;
                }
                count += 1;
                // The receiver may have been dropped. The line is part of the output in any case.
                let _ = sender.send(String::from_utf8_lossy(&read[from..]).into_owned());
            }
            read
        });
        let stderr = std::thread::spawn(move || {
            let mut read = Vec::new();
            let _ = stderr.read_to_end(&mut read);
            read
        });
        Self {
            group: Some(group),
            folder,
            lines,
            gate: (reading == Reading::Later).then_some(gate),
            stdout: Some(stdout),
            stderr: Some(stderr),
        }
    }

    pub fn read_on(&mut self) {
        self.gate = None;
    }

    /// Waits for a line on stdout that contains `text`.
    pub fn wait_for(&self, text: &str) {
        let began = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no line with {text:?} in time"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the program exited without {text:?}")
                }
            }
        }
    }

    /// Sends a signal to the program, but not to the programs that it has started.
    pub fn signal(&self, name: &str) {
        let id = self.group.as_ref().unwrap().child.id();
        assert!(
            signal(i64::from(id), name),
            "the program has already exited"
        );
    }

    pub fn finish(self) -> Finished {
        self.finish_within(DEADLINE)
    }

    pub fn finish_within(mut self, deadline: Duration) -> Finished {
        let child = &mut self.group.as_mut().unwrap().child;
        let mut status = None;
        soon(deadline, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let Some(status) = status else {
            panic!("the program still runs after {deadline:?}");
        };
        let text = |read: Option<JoinHandle<Vec<u8>>>| {
            String::from_utf8(read.unwrap().join().unwrap()).unwrap()
        };
        Finished {
            status: status.code(),
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.read_on();
        // SIGTERM first, so that the program ends the servers that it has started.
        if let Some(group) = &mut self.group
            && matches!(group.child.try_wait(), Ok(None))
        {
            signal(i64::from(group.child.id()), "TERM");
            let ended = || !matches!(group.child.try_wait(), Ok(None));
            soon(Duration::from_secs(5), ended);
        }
        drop(self.group.take());
        let files = std::fs::read_dir(self.folder).into_iter().flatten();
        for file in files.flatten().map(|file| file.path()) {
            if file.extension().is_some_and(|extension| extension == "pid")
                && let Some(id) = GroupFile(file).read()
            {
                // The number of a group that has ended may have been reused.
                if !members(id).is_empty() {
                    signal(-i64::from(id), "KILL");
                }
            }
        }
    }
}

impl Finished {
    /// The report of `--format json`.
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

fn quoted(text: &str) -> String {
    // A JSON string is also a basic string of TOML.
    Value::from(text).to_string()
}

pub fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}
