//! This program as a command: how it starts itself again, to serve as a demo server, to open a browser, or to supervise a server.
//!
//! `main` and the packages for Node and Python set it once. It does not change while the process runs.

use std::ffi::OsString;
use std::sync::OnceLock;

struct ThisProgram {
    command: Vec<String>,
    supervisor: Option<Vec<OsString>>,
}

static THIS_PROGRAM: OnceLock<ThisProgram> = OnceLock::new();

/// The first call counts.
pub fn set(command: &[String], supervisor: Option<Vec<OsString>>) {
    let command = command.to_owned();
    THIS_PROGRAM.get_or_init(|| ThisProgram {
        command,
        supervisor,
    });
}

/// The command that starts this program again, with its first arguments.
pub fn command() -> &'static [String] {
    THIS_PROGRAM.get().map_or(&[], |this| &this.command)
}

/// The command with which a user starts this program again.
pub fn name() -> &'static str {
    // npm sets it for `npx` and `npm exec`. The program is on the PATH only until they end.
    match std::env::var_os("npm_lifecycle_event") {
        Some(event) if event == "npx" => "npx mcp-startup",
        _ => "mcp-startup",
    }
}

/// The command that runs a program under a supervisor, if this program can do that.
pub fn supervisor() -> Option<Vec<OsString>> {
    THIS_PROGRAM.get()?.supervisor.clone()
}
