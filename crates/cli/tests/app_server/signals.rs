//! The end of the program by a signal.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::run::Running;
use crate::harness::user::User;

/// The end takes milliseconds. A socket that has not authenticated has 15 s.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn sigterm_ends_the_program_at_once_despite_half_a_request() {
    let user = User::new();
    let config = user.write("servers.json", "{\"mcpServers\":{}}");
    let token = user.write("token", "a-token-of-the-tests");
    let arguments = [
        "app-server",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        "ws://127.0.0.1:0",
        "--ws-auth",
        "capability-token",
        "--ws-token-file",
        token.to_str().unwrap(),
    ];
    let mut program = user.program(&arguments).spawn();
    let mut address = String::new();
    let stdout = program.child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut address).unwrap();
    let address = address.trim().strip_prefix("ws://").unwrap();
    let connect = || TcpStream::connect(address).unwrap();

    // The answer to a whole request means that the program has accepted the sockets before it.
    let mut half = connect();
    half.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let nothing = connect();
    let mut whole = connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    whole.write_all(request.as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(&whole).read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");

    let began = Instant::now();
    program.signal("TERM");
    end(&mut program);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    drop((half, nothing));
}

/// Only on Linux does a write to stdout end.
#[cfg(target_os = "linux")]
#[test]
fn the_program_ends_although_its_client_does_not_read() {
    use std::io::Read;
    use std::process::Stdio;
    use std::thread;

    /// Only a fault takes as long. The client has 2 s to read the last messages.
    const LONG: Duration = Duration::from_secs(20);

    let user = User::new();
    let config = user.write("servers.json", "{\"mcpServers\":{}}");
    let start = r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}
{"method":"initialized"}
"#;
    // Their answers are longer than all buffers, and they are not.
    let requests = "{\"id\":1,\"method\":\"a\"}\n".repeat(1400);
    for (signal, code) in [(None, 0), (Some("TERM"), 130), (Some("INT"), 130)] {
        let arguments = ["app-server", "--config", config.to_str().unwrap()];
        let mut program = user.program(&arguments).spawn_with(Stdio::piped());
        let mut stdin = program.child.stdin.take().unwrap();
        stdin
            .write_all(format!("{start}{requests}").as_bytes())
            .unwrap();
        // After the first byte of its answers, it listens for signals.
        let stdout = program.child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        let began = Instant::now();
        match signal {
            Some(signal) => program.signal(signal),
            None => drop(stdin),
        }
        while program.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < LONG, "{signal:?}: it still runs");
            thread::sleep(Duration::from_millis(10));
        }
        let ended = program.child.wait().unwrap().code();
        assert_eq!(ended, Some(code), "{signal:?}");
    }
}

fn end(program: &mut Running) {
    assert!(program.child.wait().unwrap().code().is_some());
}
