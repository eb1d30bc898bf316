//! The program that plays servers in tests. It takes the steps that its arguments name, one after another, on every system.
//!
//! * `out TEXT` and `err TEXT` write the text.
//! * `flood out|err TEXT BYTES` writes the text repeatedly, until that many bytes are written.
//! * `zeros BYTES` writes zero bytes. `connect ADDRESS` keeps a connection to a TCP server until it is killed.
//! * `relay ADDRESS` passes stdin to a TCP server, and its answers to stdout.
//! * `read` reads a line, `wait` reads to the end of stdin, and `sleep SECONDS` waits.
//! * `close in|out` closes stdin or stdout. `file PATH TEXT` writes a file.
//! * `child SECONDS` starts a program that sleeps, and does not wait for it.
//! * `knows TEXT FILE` creates the file if the text is in an argument or in a variable, and otherwise exits with 3.
//! * `exit CODE` exits. `abort` ends as after a crash.
//! * `run FILE …` takes the steps of a JSON array in a file. Further arguments are not steps.
//! * `interrupt PROCESS` (Windows): presses Ctrl-C in the console of a process, unless it has ended.
//!
//! In a text, `{id}` is the ID of the request that was read last, `{env:NAME}` a variable, and `{args}` are the further arguments of `run`.

#![allow(
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "a wrong step fails the test that uses it, and a step leaves a process behind"
)]
// The standard library has no other way to close stdin or stdout, and none to press Ctrl-C on Windows.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{BufRead, Read, Write, stderr, stdin, stdout};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, exit};
use std::time::Duration;

#[derive(Default)]
struct State {
    steps: VecDeque<String>,
    further: Vec<String>,
    id: String,
}

fn main() {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let mut state = State {
        steps: arguments.collect(),
        ..State::default()
    };
    while let Some(step) = state.steps.pop_front() {
        state.take(&step);
    }
}

impl State {
    fn next(&mut self) -> String {
        self.steps.pop_front().unwrap()
    }

    fn text(&mut self) -> String {
        let text = self.next().replace("{id}", &self.id);
        let mut text = text.replace("{args}", &self.further.join(" "));
        while let Some((before, (name, after))) = text
            .split_once("{env:")
            .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            let value = std::env::var_os(name).unwrap_or_default();
            text = format!("{before}{}{after}", value.to_string_lossy());
        }
        text
    }

    fn take(&mut self, step: &str) {
        match step {
            "out" | "err" => {
                let text = self.text();
                write(step, text.as_bytes());
            }
            "flood" => {
                let (to, text, bytes) = (self.next(), self.text(), self.next());
                let chunk = text.repeat(65_536 / text.len());
                let chunks = bytes.parse::<usize>().unwrap().div_ceil(chunk.len());
                (0..chunks).for_each(|_| write(&to, chunk.as_bytes()));
            }
            "zeros" => {
                let chunk = [0; 65_536];
                let chunks = self.next().parse::<usize>().unwrap() / chunk.len();
                (0..chunks).for_each(|_| write("out", &chunk));
            }
            "connect" => {
                let _connection = TcpStream::connect(self.next()).unwrap();
                std::thread::sleep(Duration::from_secs(1000));
            }
            "relay" => relay(&self.next()),
            "read" => {
                let mut line = String::new();
                stdin().lock().read_line(&mut line).unwrap();
                let request: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                self.id = request["id"].to_string();
            }
            "wait" => {
                let _ = stdin().lock().read_to_end(&mut Vec::new());
            }
            "sleep" => {
                std::thread::sleep(Duration::from_secs_f64(self.next().parse().unwrap()));
            }
            "close" => close(&self.next()),
            "file" => std::fs::write(self.next(), self.text()).unwrap(),
            "child" => {
                let program = std::env::current_exe().unwrap();
                let sleep = ["sleep".to_owned(), self.next()];
                Command::new(program).args(sleep).spawn().unwrap();
            }
            "knows" => {
                let (text, file) = (self.next(), self.next());
                if !knows(&text, &self.further) {
                    exit(3);
                }
                std::fs::write(file, "").unwrap();
            }
            "exit" => exit(self.next().parse().unwrap()),
            "abort" => std::process::abort(),
            "run" => {
                let steps = std::fs::read(self.next()).unwrap();
                self.further = std::mem::take(&mut self.steps).into();
                self.steps = serde_json::from_slice(&steps).unwrap();
            }
            #[cfg(windows)]
            "interrupt" => {
                console::interrupt(self.next().parse().unwrap());
            }
            step => panic!("there is no step `{step}`"),
        }
    }
}

/// Ends when the server or the program under test closes its end.
fn relay(address: &str) {
    let mut server = TcpStream::connect(address).unwrap();
    let mut requests = server.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut stdin().lock(), &mut requests);
        let _ = requests.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        write("out", &buffer[..count]);
    }
}

/// The program under test may close the pipe at any time.
fn write(to: &str, bytes: &[u8]) {
    let written = match to {
        "out" => stdout().write_all(bytes).and_then(|()| stdout().flush()),
        _ => stderr().write_all(bytes),
    };
    if written.is_err() {
        exit(1);
    }
}

fn knows(text: &str, arguments: &[String]) -> bool {
    let is_in = |value: &str| value.contains(text);
    let mut variables = std::env::vars_os();
    arguments.iter().any(|argument| is_in(argument))
        || variables
            .any(|(name, value)| is_in(&name.to_string_lossy()) || is_in(&value.to_string_lossy()))
}

#[cfg(unix)]
fn close(which: &str) {
    use std::os::fd::{FromRawFd, OwnedFd};
    // SAFETY: nothing in this program uses the descriptor afterwards.
    drop(unsafe { OwnedFd::from_raw_fd(i32::from(which == "out")) });
}

#[cfg(windows)]
fn close(which: &str) {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
    let handle = match which {
        "out" => stdout().as_raw_handle(),
        _ => stdin().as_raw_handle(),
    };
    // SAFETY: nothing in this program uses the handle afterwards.
    drop(unsafe { OwnedHandle::from_raw_handle(handle) });
}

#[cfg(windows)]
mod console {
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    /// The console of a new process is not ready at once.
    const LIMIT: Duration = Duration::from_secs(2);

    /// Returns whether the event was handled.
    type Handler = unsafe extern "system" fn(u32) -> i32;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn FreeConsole() -> i32;
        fn AttachConsole(process: u32) -> i32;
        fn SetConsoleCtrlHandler(handler: Option<Handler>, add: i32) -> i32;
        fn GenerateConsoleCtrlEvent(event: u32, group: u32) -> i32;
    }

    /// This process gets the event too.
    unsafe extern "system" fn ignore(_event: u32) -> i32 {
        1
    }

    const CTRL_C: u32 = 0;

    /// Presses Ctrl-C in the console of a process.
    pub fn interrupt(process: u32) {
        // SAFETY: the functions have no preconditions.
        unsafe {
            FreeConsole();
            let began = Instant::now();
            while AttachConsole(process) == 0 {
                if began.elapsed() > LIMIT {
                    return;
                }
                sleep(Duration::from_millis(20));
            }
            assert_ne!(SetConsoleCtrlHandler(Some(ignore), 1), 0);
            assert_ne!(GenerateConsoleCtrlEvent(CTRL_C, 0), 0, "no event");
        }
        // The event arrives in another thread.
        sleep(Duration::from_millis(100));
    }
}
