//! A client of the program over stdin and stdout.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::run::{Run, Running};

/// How long a message may take. Only a fault takes as long.
const LIMIT: Duration = Duration::from_secs(30);

pub struct Client {
    /// It ends when this is dropped.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    process: Running,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    /// The messages that were read while another one was awaited.
    read: Vec<Value>,
    requests: u64,
}

impl Client {
    /// Starts the program, and sends `initialized`.
    pub fn start(program: Run) -> Self {
        let mut process = program.spawn_with(Stdio::piped());
        let stdin = process.child.stdin.take().unwrap();
        let stdout = process.child.stdout.take().unwrap();
        let (sender, messages) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut client = Self {
            process,
            stdin,
            messages,
            read: Vec::new(),
            requests: 0,
        };
        let info = json!({ "clientInfo": { "name": "test", "version": "1" } });
        client.request("initialize", &info);
        client.send(&json!({ "method": "initialized" }));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    /// Sends a request, and returns its ID.
    pub fn begin(&mut self, method: &str, params: &Value) -> u64 {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request, and returns its response.
    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.begin(method, params);
        self.find(|message| message["id"] == id)
    }

    /// Waits until a server has this state.
    pub fn wait_for(&mut self, name: &str, status: &str) {
        self.find(|message| {
            let params = &message["params"];
            message["method"] == "mcpServer/startupStatus/updated"
                && params["name"] == name
                && params["status"] == status
        });
    }

    /// The next message that fits, and removes it. The others remain.
    fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let mut index = 0;
        loop {
            while index == self.read.len() {
                let message = self.messages.recv_timeout(LIMIT).unwrap();
                self.read.push(message);
            }
            if fits(&self.read[index]) {
                return self.read.remove(index);
            }
            index += 1;
        }
    }

    /// Ends the program by SIGKILL.
    #[cfg(target_os = "linux")]
    pub fn kill(mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    /// The messages that were not awaited.
    pub fn rest(&self) -> &[Value] {
        &self.read
    }
}
