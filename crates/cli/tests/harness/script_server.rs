//! A Python script of `tests/attacks` that serves HTTP, and prints its URL first.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running script. It is killed when this is dropped.
pub struct ScriptServer {
    process: Child,
    pub url: String,
}

impl ScriptServer {
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new("python3")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for ScriptServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
