//! The supervisor of a program: the command that starts a program under one, and how a supervisor reports that it could not.
//!
//! A supervisor is a process that ends all descendants of the program, also those that have left its process group. The
//! executable `mcp-startup` is one; its module `supervisor` describes how it works. This module starts no process.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use mcp_startup_config::StdioConfig;
use tokio::process::Command;

/// The beginning of the line on stderr with which a supervisor reports that it could not start the program. The number of the
/// operating system's error follows.
pub const SUPERVISOR_SPAWN_ERROR: &str = "mcp-startup: the program can't be started: os error ";
/// The exit code of a supervisor that could not start the program. Shells use it too.
const SPAWN_ERROR_EXIT: i32 = 127;

/// How long processes may take to exit after SIGTERM before the supervisor kills them.
const TERMINATE_GRACE: Duration = Duration::from_millis(500);
/// The grace for a package runner, which may be installing a package.
const PACKAGE_RUNNER_GRACE: Duration = Duration::from_secs(20);
/// The file names of package runners.
const PACKAGE_RUNNERS: [&str; 11] = [
    "npx", "npm", "pnpm", "pnpx", "yarn", "bun", "bunx", "uvx", "uv", "pipx", "deno",
];

/// The command that starts `program` under a supervisor. The caller adds the arguments of the program.
pub(super) fn supervised(
    supervisor: &[OsString],
    program: &Path,
    config: &StdioConfig,
    environment: &[(OsString, OsString)],
) -> Option<Command> {
    let (first, rest) = supervisor.split_first()?;
    let grace = grace(&config.command, &config.args).as_millis();
    let mut command = Command::new(first);
    command.args(rest).arg("--grace-ms").arg(grace.to_string());
    for (name, value) in loader_variables(environment) {
        let mut variable = name.clone();
        variable.push("=");
        variable.push(value);
        command.arg("--env").arg(variable);
    }
    command.arg("--").arg(program);
    Some(command)
}

/// The variables for the dynamic loader (ld.so(8)), such as `LD_LIBRARY_PATH`. They are for the program, and with them the supervisor
/// may not start, so the supervisor gets them as arguments.
pub(super) fn loader_variables(
    environment: &[(OsString, OsString)],
) -> impl Iterator<Item = &(OsString, OsString)> {
    let is_for_loader = |name: &OsString| name.to_string_lossy().starts_with("LD_");
    let variables = environment.iter();
    variables.filter(move |(name, _)| is_for_loader(name))
}

/// How long the processes of this command may take to exit after SIGTERM.
fn grace(command: &str, arguments: &[String]) -> Duration {
    // Also `env npx …` and `sh -c "npx …"`.
    let words = arguments.iter().flat_map(|text| text.split_whitespace());
    let names = std::iter::once(command).chain(words);
    let mut names = names.filter_map(|word| Path::new(word).file_name()?.to_str());
    match names.any(|name| PACKAGE_RUNNERS.contains(&name)) {
        true => PACKAGE_RUNNER_GRACE,
        false => TERMINATE_GRACE,
    }
}

/// The error with which a supervisor could not start its program, from the exit status and stderr of the supervisor.
pub(super) fn spawn_error(status: ExitStatus, stderr: &[u8]) -> Option<std::io::Error> {
    if status.code() != Some(SPAWN_ERROR_EXIT) {
        return None;
    }
    let stderr = String::from_utf8_lossy(stderr);
    // The dynamic loader may have written warnings before it.
    let code = stderr
        .lines()
        .last()?
        .strip_prefix(SUPERVISOR_SPAWN_ERROR)?;
    Some(std::io::Error::from_raw_os_error(code.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_runners_get_more_time() {
        let table: [(&str, &[&str], bool); 9] = [
            ("npx", &["-y", "some-server"], true),
            ("/usr/local/bin/uvx", &["some-server"], true),
            ("sh", &["-c", "exec npx -y some-server"], true),
            ("/usr/bin/env", &["deno", "run", "server.ts"], true),
            ("pnpm", &[], true),
            ("node", &["/opt/npx/server.js"], false),
            ("python3", &["-m", "uvicorn"], false),
            ("npx-server", &[], false),
            ("", &[], false),
        ];
        for (command, arguments, is_runner) in table {
            let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
            let expected = match is_runner {
                true => PACKAGE_RUNNER_GRACE,
                false => TERMINATE_GRACE,
            };
            assert_eq!(
                grace(command, &arguments),
                expected,
                "{command} {arguments:?}"
            );
        }
    }
}
