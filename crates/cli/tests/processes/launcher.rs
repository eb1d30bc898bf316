//! A launcher of supervisors, and programs that run under them, without the engine.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mcp_startup::supervisor_protocol::{END, Report, Request, receive, send};

use crate::harness::run::PROGRAM;
use crate::harness::time::eventually;

pub struct Launcher {
    socket: Option<UnixStream>,
    pub process: Child,
}

/// A program under a supervisor, and this end of its streams.
pub struct Supervised {
    pub control: UnixStream,
    pub stdin: Option<File>,
    pub stdout: File,
    pub stderr: File,
}

impl Launcher {
    pub fn start() -> Self {
        let (socket, stdin) = UnixStream::pair().unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("__supervise").stdin(OwnedFd::from(stdin));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self {
            socket: Some(socket),
            process: command.spawn().unwrap(),
        }
    }

    /// Requests a supervisor. Returns its control socket.
    pub fn request(&self) -> UnixStream {
        let (control, other_end) = UnixStream::pair().unwrap();
        let socket = self.socket.as_ref().unwrap();
        send(socket, b"S", &[other_end.as_fd()]).unwrap();
        control
    }

    /// Starts a shell script under a supervisor.
    pub fn supervise(&self, grace_ms: u64, script: &str) -> Supervised {
        let mut control = self.request();
        let message = shell(grace_ms, script).encode().unwrap();
        control.write_all(&message).unwrap();
        let (report, streams) = eventually("the report", || {
            let mut report = [0; Report::LENGTH];
            let (_, streams) = receive(&control, &mut report).ok()?;
            let report = Report::decode(report);
            let is_first = matches!(report, Some(Report::Starting(_)));
            (!is_first).then_some((report, streams))
        });
        assert_eq!(report, Some(Report::Started));
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(streams).unwrap().map(File::from);
        Supervised {
            control,
            stdin: Some(stdin),
            stdout,
            stderr,
        }
    }

    /// Closes the socket, and waits until the launcher has exited.
    pub fn close(&mut self) {
        drop(self.socket.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        drop(self.socket.take());
        let _ = self.process.wait();
    }
}

impl Supervised {
    pub fn end(&self) {
        send(&self.control, &[END], &[]).unwrap();
    }

    /// Waits for the end of the program and its descendants. Returns the wait status of the program.
    pub fn wait(mut self) -> i32 {
        let mut report = [0; Report::LENGTH];
        self.control
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        self.control.read_exact(&mut report).unwrap();
        match Report::decode(report) {
            Some(Report::Ended(status)) => status,
            report => panic!("{report:?}"),
        }
    }

    /// Reads a line of stdout.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }
}

/// The request for a shell script.
pub fn shell(grace_ms: u64, script: &str) -> Request {
    let path = std::env::var_os("PATH").unwrap();
    Request {
        grace: Duration::from_millis(grace_ms),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), path)],
        folder: None,
    }
}

/// The fields of /proc/PID/stat after the name. `None` if there is no such process.
pub fn stat(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The parent of a process.
pub fn parent(process: u32) -> u32 {
    stat(process).unwrap()[1].parse().unwrap()
}

/// The children of a process, also zombies.
pub fn children(process: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let process = process.to_string();
    ids.filter(|id| stat(*id).is_some_and(|fields| fields[1] == process))
        .collect()
}
