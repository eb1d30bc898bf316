//! Child processes of a test. A child is this test program again: it runs only the test that started it, which finds its role in
//! the environment and plays it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Output;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The environment variable with the role of a child process.
pub const ROLE: &str = "STORE_TEST_ROLE";
/// The environment variable with the folder that a child process works in.
pub const HOME: &str = "STORE_TEST_HOME";
/// The line that a child process prints when its role is done.
#[cfg(unix)]
pub const DONE: &str = "the role is done";

/// The role and the folder of this process; `None` if it is not a child.
pub fn role() -> Option<(String, PathBuf)> {
    let role = std::env::var(ROLE).ok()?;
    // The test harness has printed part of a line.
    print_line("");
    Some((role, std::env::var_os(HOME)?.into()))
}

#[allow(clippy::print_stdout)]
pub fn print_line(line: &str) {
    println!("{line}");
}

/// Waits for a line from the parent process.
pub fn wait_for_parent() {
    let _ = std::io::stdin().lines().next();
}

/// A command that starts a test program with a role. `test` is the full name of the test to run, with its module.
pub fn in_role(program: impl AsRef<OsStr>, test: &str, role: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .env(HOME, home);
    command
}

/// Panics unless the child did what its role is. The exit status is not enough: with a wrong test name no test runs, and the
/// program succeeds.
#[cfg(unix)]
pub fn assert_done(output: &Output) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let is_done = stdout.lines().any(|line| line == DONE);
    assert!(output.status.success() && is_done, "{output:?}");
}

/// The path of this test program.
pub fn test_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// A process that is killed when this is dropped.
pub struct RunningProcess {
    pub child: Child,
    stdin: ChildStdin,
    pub lines: Lines<BufReader<ChildStdout>>,
}

impl RunningProcess {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// Reads the output of the process up to this line.
    pub fn wait_for_line(&mut self, expected: &str) {
        let found = self.lines.any(|line| line.unwrap() == expected);
        assert!(found, "the process ended before it printed {expected:?}");
    }

    /// Sends the line that [`wait_for_parent`] waits for.
    pub fn send_line(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
        // The exit code of a process that another one ends.
        #[cfg(windows)]
        assert_eq!(status.code(), Some(1));
    }

    /// Waits until the process ends, and panics unless it succeeded.
    pub fn assert_success(mut self) {
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success(), "{}", rest.join("\n"));
    }
}

impl Drop for RunningProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
