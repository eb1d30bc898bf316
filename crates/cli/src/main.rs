//! The program `mcp-startup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Only the demo's servers need it.
    let program = std::env::current_exe().unwrap_or_else(|_| "mcp-startup".into());
    let program = [program.to_string_lossy().into_owned()];
    mcp_startup_cli::run(&program, std::env::args_os().skip(1)).into()
}
