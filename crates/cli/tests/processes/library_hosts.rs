//! A host that uses the library without a supervisor, and gets a signal that it does not handle: its servers end because their stdin
//! closes. A server that ignores the end of its input remains.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use mcp_startup::config::ServerConfig;
use mcp_startup::{Startup, StartupOptions};

use crate::harness::cases::for_each_case;
use crate::harness::run::{PROGRAM, Running};
use crate::harness::time::eventually;
use crate::harness::user::User;
use crate::marked::{Mark, pass_mark_on};

/// The file that a host creates when its server is ready. The tests below start this program again with it.
const READY_FILE: &str = "MCP_STARTUP_TEST_READY_FILE";

#[tokio::test]
async fn host() {
    let Some(ready) = std::env::var_os(READY_FILE) else {
        return;
    };
    // The program inherits only the variables that it needs.
    let script = format!("{}; exec \"$0\" lab --stdio stdio-ready", pass_mark_on());
    let server = ServerConfig::stdio("server", "/bin/sh", ["-c", &script, PROGRAM]).unwrap();
    let startup = Startup::new(StartupOptions::default()).unwrap();
    let mut start = startup.start(vec![server.into()]);
    start.next().await.unwrap();
    let (_, live) = start.next().await.unwrap();
    let _live = live.unwrap();
    std::fs::write(ready, "").unwrap();
    std::future::pending().await
}

#[test]
fn server_ends_with_a_host_that_gets_a_signal() {
    let signals = [
        ("TERM", 15),
        ("INT", 2),
        ("HUP", 1),
        ("QUIT", 3),
        ("KILL", 9),
    ];
    for_each_case(&signals, |(signal, number)| {
        let user = User::new();
        let ready = user.path("ready");
        let mark = Mark::new();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "library_hosts::host"]);
        command.env(READY_FILE, &ready).stdout(Stdio::null());
        command.current_dir(user.path("here"));
        let child = mark.on(&mut command).spawn().unwrap();
        let mut host = Running { child };
        eventually("the server is ready", || ready.exists().then_some(()));
        // The host, and the server.
        assert_eq!(mark.processes().len(), 2);
        host.signal(signal);
        let status = host.child.wait().unwrap();
        assert_eq!(status.signal(), Some(*number));
        let left = mark.left_after(Duration::from_secs(5));
        assert!(left.is_empty(), "{signal}: {left:?}");
    });
}
