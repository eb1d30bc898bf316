//! Hosts that use the library. If one without a supervisor gets a signal that it does not handle, its servers end because their stdin
//! closes. A server that ignores the end of its input remains. The library changes no attribute of the process of its host.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcp_startup::auth::{CredentialStores, StoreSelection};
use mcp_startup::config::ServerConfig;
use mcp_startup::{LiveServer, Startup, StartupOptions};

use crate::harness::cases::for_each_case;
use crate::harness::lab::lab;
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

/// The URL of a server and the folder of the sign-ins, separated by a space, for the host that compares itself.
const COMPARES: &str = "MCP_STARTUP_TEST_COMPARES";

/// The attributes of the process of a host.
#[derive(Debug, PartialEq)]
struct Attributes {
    /// Lines of `/proc/self/status`.
    status: Vec<String>,
    /// The signals that this thread blocks, which runs the library too.
    blocked_signals: Vec<String>,
    is_subreaper: bool,
    death_signal: Option<rustix::process::Signal>,
    limits: String,
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
}

impl Attributes {
    fn of_this_process() -> Self {
        const LINES: [&str; 8] = [
            "Umask:",
            "Uid:",
            "Gid:",
            "NSpgid:",
            "NSsid:",
            "SigIgn:",
            "SigCgt:",
            "NoNewPrivs:",
        ];
        let lines_of = |path: &str, wanted: &[&str]| {
            let text = std::fs::read_to_string(path).unwrap();
            let is_wanted = |line: &&str| wanted.iter().any(|wanted| line.starts_with(wanted));
            let lines = text.lines().filter(is_wanted).map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        let status = lines_of("/proc/self/status", &LINES);
        assert_eq!(status.len(), LINES.len(), "{status:?}");
        Self {
            status,
            blocked_signals: lines_of("/proc/thread-self/status", &["SigBlk:"]),
            is_subreaper: nix::sys::prctl::get_child_subreaper().unwrap(),
            death_signal: rustix::process::parent_process_death_signal().unwrap(),
            limits: std::fs::read_to_string("/proc/self/limits").unwrap(),
            environment: std::env::vars_os().collect(),
            folder: std::env::current_dir().unwrap(),
        }
    }
}

/// The open files of this process, by descriptor.
fn open_files() -> BTreeMap<String, PathBuf> {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let file = |entry: std::fs::DirEntry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        // Not the one that reads this folder.
        let is_of_host = !target.starts_with("/proc");
        is_of_host.then(|| (entry.file_name().into_string().unwrap(), target))
    };
    all.filter_map(file).collect()
}

#[test]
fn host_that_compares_itself() {
    let Ok(places) = std::env::var(COMPARES) else {
        return;
    };
    let (url, home) = places.split_once(' ').unwrap();
    // A runtime is of the host, and has open files.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let (attributes, files) = (Attributes::of_this_process(), open_files());
    for supervisor in [None, Some(vec![PROGRAM.into(), "__supervise".into()])] {
        let is_supervised = supervisor.is_some();
        runtime.block_on(async {
            let servers = [
                ServerConfig::stdio("program", PROGRAM, ["lab", "--stdio", "stdio-ready"]),
                ServerConfig::http("http", url),
            ];
            let mut options = StartupOptions::default();
            options.stores = Some(CredentialStores::new(Path::new(home), StoreSelection::File));
            options.supervisor = supervisor;
            let startup = Startup::new(options).unwrap();
            let servers = servers.map(|server| server.unwrap().into());
            let mut start = startup.start(servers.into());
            let mut live = Vec::new();
            while let Some((event, server)) = start.next().await {
                assert!(event.failure.is_none(), "{event:#?}");
                live.extend(server);
            }
            assert_eq!(live.len(), 2);
            assert_eq!(Attributes::of_this_process(), attributes, "while they run");
            assert!(open_files().len() > files.len());
            LiveServer::close_all(live).await;
            drop((start, startup));
            let began = Instant::now();
            while open_files() != files && began.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert_eq!(open_files(), files);
        assert_eq!(
            Attributes::of_this_process(),
            attributes,
            "afterwards, supervised: {is_supervised}"
        );
    }
}

#[test]
fn library_changes_no_attribute_of_its_host() {
    let user = User::new();
    let lab = lab();
    let home = user.path("home/.codex");
    let places = format!("{} {}", lab.url("ready"), home.display());
    // The attributes are unusual, so that a change to the usual ones is noticed too.
    let script = "umask 027; trap '' USR1; ulimit -S -n 500; exec \"$0\" \"$@\"";
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "library_hosts::host_that_compares_itself"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env(COMPARES, places)
        .current_dir(user.path("here"));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}
