//! Another program that holds a lock of the credential file.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::user::User;

/// A program that holds a lock until it is dropped: `flock` of util-linux.
pub struct LockHolder(Child);

impl LockHolder {
    /// Whether `flock` is installed.
    pub fn is_possible() -> bool {
        Command::new("flock").arg("--version").output().is_ok()
    }

    /// Starts the program, and waits until it holds the lock with this file name.
    pub fn of(user: &User, lock: &str) -> Self {
        let folder = user.path("home/.codex/mcp-oauth-locks");
        std::fs::create_dir_all(&folder).unwrap();
        let mut holder = Command::new("flock")
            .arg(folder.join(lock))
            .args(["sh", "-c", "echo held; read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(holder.stdout.as_mut().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(holder)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The file name of the lock of a record, computed by `sha256sum` instead of the code under test.
pub fn record_lock(key: &str) -> String {
    let mut command = Command::new("sha256sum");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(key.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    format!("{}.lock", &String::from_utf8(output.stdout).unwrap()[..64])
}
