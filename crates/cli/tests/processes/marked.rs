//! Finds the processes of a test by a variable in their environment, which all descendants inherit, even daemons.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const VARIABLE: &str = "MCP_STARTUP_TEST_MARK";

/// A value of the variable. The processes that have it are killed when this is dropped.
pub struct Mark(String);

impl Mark {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}-{number}-", std::process::id()))
    }

    /// The line of an entry that marks the server.
    pub fn setting(&self) -> String {
        format!("env = {{ {VARIABLE} = \"{}\" }}", self.0)
    }

    /// A command of a shell that marks the shell's children.
    pub fn shell_command(&self) -> String {
        format!("export {VARIABLE}={}", self.0)
    }

    pub fn on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(VARIABLE, &self.0)
    }

    /// The living processes with this mark: their IDs and command lines.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let marked = format!("{VARIABLE}={}", self.0).into_bytes();
        let read = |folder: &Path| {
            let id = folder.file_name()?.to_str()?.parse().ok()?;
            // It is empty for a zombie.
            let environment = std::fs::read(folder.join("environ")).ok()?;
            let is_marked = environment.split(|byte| *byte == 0).any(|it| it == marked);
            let command = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            is_marked.then_some((id, command))
        };
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| read(&entry.path())).collect()
    }

    /// Waits until no process with this mark is left. Returns those that are left after `limit`.
    pub fn left_after(&self, limit: Duration) -> Vec<(u32, String)> {
        let began = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() || began.elapsed() > limit {
                return left;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let began = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() || began.elapsed() > Duration::from_secs(10) {
                return;
            }
            for (id, _) in left {
                send(id, "KILL");
            }
        }
    }
}

/// A command of a shell that gives its children the mark of this process.
pub fn pass_mark_on() -> String {
    format!("export {VARIABLE}={}", std::env::var(VARIABLE).unwrap())
}

/// Sends a signal by its name. The process may have ended.
pub fn send(id: u32, signal: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(id.to_string());
    kill.stderr(std::process::Stdio::null()).status().unwrap();
}
