//! Runs a program and prints its resource usage as JSON to stderr: the wall time and CPU time in s, and the peak of resident memory in
//! KiB (bytes on macOS), including the child processes that it has waited for. Discards the program's stderr.
//!
//! This is a separate program because a new process inherits the peak memory of its parent, and this one is small.
//!
//! Usage: measure PROGRAM [ARGUMENT...]

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: measure PROGRAM [ARGUMENT...]")?;
    let began = Instant::now();
    let status = Command::new(program).args(arguments).stderr(Stdio::null()).status()?;
    let wall = began.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6;
    eprintln!(r#"{{"wall":{wall},"cpu":{cpu},"peak":{}}}"#, usage.max_rss());
    Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1).into())
}
