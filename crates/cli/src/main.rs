//! The program `mcp-startup`.

#[cfg(target_os = "linux")]
mod supervisor;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    #[cfg(target_os = "linux")]
    if let Some((first, rest)) = arguments.split_first()
        && first == supervisor::SUBCOMMAND
    {
        return supervisor::run(rest);
    }
    let program = std::env::current_exe();
    let supervisor = program.is_ok().then(supervisor_command).flatten();
    // Only the demo's servers and the browser need it.
    let program = program.unwrap_or_else(|_| "mcp-startup".into());
    let program = [program.to_string_lossy().into_owned()];
    mcp_startup_cli::run_with_supervisor(&program, supervisor, arguments).into()
}

/// The command that runs a server's program under a supervisor.
fn supervisor_command() -> Option<Vec<OsString>> {
    #[cfg(target_os = "linux")]
    return Some(supervisor::command());
    #[cfg(not(target_os = "linux"))]
    None
}
