//! Finds the command of a container without the option that connects its input.

use mcp_startup_config::{EntryProblem, ServerConfig, TransportConfig};

/// Returns the problem of `docker run` and `docker exec` without `-i`: the container reads the end of its input, and not the messages.
pub(super) fn problem(config: &ServerConfig) -> Option<EntryProblem> {
    let TransportConfig::Stdio(stdio) = &config.transport else {
        return None;
    };
    let program = stdio.command.rsplit(['/', '\\']).next()?;
    if !["docker", "docker.exe", "podman", "podman.exe", "nerdctl"].contains(&program) {
        return None;
    }
    let args = &stdio.args;
    let subcommand = args.first()?.as_str();
    let is_connected = args.iter().any(|arg| is_interactive(arg));
    if !["run", "exec"].contains(&subcommand) || is_connected {
        return None;
    }
    let problem =
        format!("without `-i` after `{subcommand}`, the container does not read its input; add it");
    Some(config.problem("args", problem))
}

/// Whether an argument is `--interactive`, or a group of short options with `-i`.
fn is_interactive(arg: &str) -> bool {
    const MAX_BYTES: usize = 5;
    if matches!(arg, "--interactive" | "--interactive=true") {
        return true;
    }
    let group = arg.strip_prefix('-').unwrap_or_default();
    arg.len() <= MAX_BYTES
        && group.contains('i')
        && group.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_without_its_input_is_recognized() {
        let rows: [(&str, &[&str], bool); 9] = [
            ("docker", &["run", "--rm", "acme/server"], true),
            ("/usr/bin/podman", &["exec", "acme", "server"], true),
            ("docker", &["run", "-i", "--rm", "acme/server"], false),
            ("docker", &["run", "--rm", "-it", "acme/server"], false),
            ("docker", &["run", "--interactive", "acme/server"], false),
            ("docker", &["run", "--init", "--rm", "acme/server"], true),
            ("docker", &["compose", "run", "acme"], false),
            ("docker", &["mcp", "gateway", "run"], false),
            ("npx", &["run", "acme"], false),
        ];
        for (command, args, expected) in rows {
            let config = ServerConfig::stdio("acme", command, args.iter().copied()).unwrap();
            assert_eq!(problem(&config).is_some(), expected, "{command} {args:?}");
        }
    }
}
