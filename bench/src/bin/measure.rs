//! Runs a program and says what it took, as JSON on stderr: wall time and CPU time in s, the peak of resident memory in KiB (bytes on
//! macOS), of it and what it has waited for. Its own stderr is not kept.
//!
//! A program of its own, because a process begins with the peak of the one that has started it: this one is small.
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
