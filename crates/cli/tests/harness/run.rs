//! Runs the program, in the background or to completion, and measures its peak memory. A process never outlives its test.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::output::Finished;

/// The program under test, as Cargo names it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mcp-startup");

/// The path of the program under test. Under Wine, Cargo's path has no drive.
pub fn program() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| absolute(PROGRAM));
    &PATH
}

/// The path of the program that plays servers.
pub fn test_program() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let path = absolute(env!("CARGO_BIN_EXE_test-program"));
        assert!(
            Path::new(&path).exists(),
            "the tests need the feature `test-program`: run them with `--all-features`"
        );
        path
    });
    &PATH
}

fn absolute(path: &str) -> String {
    let path = std::path::absolute(path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The time limit for every run.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The program with its arguments, environment and input, before it is started.
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
}

impl Run {
    pub fn new(command: Command) -> Self {
        Self {
            command,
            stdin: Vec::new(),
        }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn arguments(&self) -> Vec<String> {
        let arguments = self.command.get_args();
        let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        arguments.collect()
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs the same command through a wrapper: `WRAPPER… PROGRAM ARGUMENTS…`.
    pub fn through(self, wrapper: &[&str]) -> Self {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.command.get_program());
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

    /// Starts the program, on Windows in a console of its own, in which a test can press Ctrl-C.
    fn start(&mut self, stdin: Stdio) -> Child {
        #[cfg(windows)]
        {
            const CREATE_NO_WINDOW: u32 = 0x0800_0000;
            std::os::windows::process::CommandExt::creation_flags(
                &mut self.command,
                CREATE_NO_WINDOW,
            );
        }
        let command = self.command.stdin(stdin);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Starts the program without input.
    pub fn spawn(self) -> Running {
        self.spawn_with(Stdio::null())
    }

    pub fn spawn_with(mut self, stdin: Stdio) -> Running {
        Running {
            child: self.start(stdin),
        }
    }

    /// Runs the program to completion.
    pub fn finish(mut self) -> Finished {
        let arguments = self.arguments();
        let mut child = self.start(Stdio::piped());
        let stdin = child.stdin.take().unwrap();
        let input = self.stdin;
        let feeding = thread::spawn(move || {
            let mut stdin = stdin;
            // The program may exit before it has read everything.
            let _ = stdin.write_all(&input);
        });
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let (code, peak_mb) = wait(&mut child);
        feeding.join().unwrap();
        Finished {
            arguments,
            code,
            stdout: String::from_utf8(stdout.join().unwrap()).unwrap(),
            stderr: String::from_utf8(stderr.join().unwrap()).unwrap(),
            peak_mb,
        }
    }
}

/// A running process. It is killed when this is dropped.
pub struct Running {
    pub child: Child,
}

impl Running {
    /// Sends a signal by the name that `kill` uses, such as `INT` or `TERM`. On Windows, each is Ctrl-C: Ctrl-Break does not arrive under
    /// Wine 10.
    pub fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = match cfg!(windows) {
            true => Command::new(test_program())
                .args(["interrupt", &process])
                .status(),
            false => Command::new("kill")
                .args([&format!("-{name}"), &process])
                .status(),
        };
        assert!(sent.unwrap().success());
    }

    /// Closes the reading end of stdout and waits for the exit. Returns the exit code and the text on stderr.
    pub fn close_stdout(mut self) -> (Option<i32>, String) {
        drop(self.child.stdout.take());
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Waits for the program to exit. Returns its exit code and its peak memory in MB.
fn wait(child: &mut Child) -> (Option<i32>, f64) {
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
        if began.elapsed() > TIMEOUT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program did not exit within {TIMEOUT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn high_water_mark(status_file: &Path) -> Option<f64> {
    let status = std::fs::read_to_string(status_file).ok()?;
    // Between fork and exec, the process still has the memory of the test program.
    status.lines().find(|line| *line == "Name:\tmcp-startup")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
