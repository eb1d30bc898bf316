//! This program as a command: how it starts itself again, to serve as a demo server, to open a browser, or to supervise a server.
//!
//! `main` and the packages for Node and Python set it once. It does not change while the process runs.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Component, Path};
use std::sync::OnceLock;

use crate::output::suggestions::shell_word;

struct ThisProgram {
    command: Vec<String>,
    supervisor: Option<Vec<OsString>>,
}

static THIS_PROGRAM: OnceLock<ThisProgram> = OnceLock::new();
static NAME: OnceLock<Cow<'static, str>> = OnceLock::new();

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
    NAME.get_or_init(|| {
        // npm sets it for `npx` and `npm exec`. The program is on the PATH only until they end.
        let is_npx = std::env::var_os("npm_lifecycle_event").is_some_and(|event| event == "npx");
        match is_npx {
            true => "npx mcp-startup".into(),
            false => name_in_python(std::env::args_os()),
        }
    })
}

/// The command, from the arguments of the process. Python runs the program as a module, or as a script on the PATH, which `uvx` has in its
/// cache.
fn name_in_python(mut arguments: impl Iterator<Item = OsString>) -> Cow<'static, str> {
    let (python, first, second) = (arguments.next(), arguments.next(), arguments.next());
    let (Some(python), Some(first)) = (python, first) else {
        return "mcp-startup".into();
    };
    if first == "-m" && second.is_some_and(|module| module == "mcp_startup") {
        let python = python.to_string_lossy();
        return format!("{} -m mcp_startup", shell_word(&python)).into();
    }
    let mut names = Path::new(&first).components().map(|part| match part {
        Component::Normal(name) => name.to_string_lossy(),
        _ => "".into(),
    });
    let is_in_cache = names.any(|name| name == "uv")
        && names.any(|name| name.starts_with("archive-v") || name.starts_with("environments-v"));
    match is_in_cache {
        true => "uvx mcp-startup".into(),
        false => "mcp-startup".into(),
    }
}

/// The command that runs a program under a supervisor, if this program can do that.
pub fn supervisor() -> Option<Vec<OsString>> {
    THIS_PROGRAM.get()?.supervisor.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_one_that_the_user_has_run() {
        for (arguments, expected) in [
            (&["mcp-startup", "check"][..], "mcp-startup"),
            (&["/usr/bin/mcp-startup"], "mcp-startup"),
            (
                &["python3", "-m", "mcp_startup", "check"],
                "python3 -m mcp_startup",
            ),
            (
                &["/my venv/bin/python", "-m", "mcp_startup"],
                "'/my venv/bin/python' -m mcp_startup",
            ),
            (&["python3", "-m", "other"], "mcp-startup"),
            (
                &["/venv/bin/python", "/venv/bin/mcp-startup"],
                "mcp-startup",
            ),
            (
                &[
                    "/c/uv/archive-v0/x/bin/python",
                    "/c/uv/archive-v0/x/bin/mcp-startup",
                ],
                "uvx mcp-startup",
            ),
            (&["mcp-startup", "uv"], "mcp-startup"),
            (&[], "mcp-startup"),
        ] {
            let arguments = arguments.iter().map(OsString::from);
            assert_eq!(name_in_python(arguments), expected);
        }
    }
}
