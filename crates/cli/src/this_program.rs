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
/// The command if a shell finds this program by its name.
const NAME_ON_PATH: &str = "mcp-startup";
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
            false => name_of(std::env::args_os(), is_on_path),
        }
    })
}

/// The command, from the arguments of the process. Node and Python run the program as a script, which `uvx` has in its cache, and Python
/// also as a module. `is_on_path` tells whether a shell finds the program at that path by its name.
fn name_of(
    mut arguments: impl Iterator<Item = OsString>,
    is_on_path: impl Fn(&Path) -> bool,
) -> Cow<'static, str> {
    let (Some(program), first, second) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return NAME_ON_PATH.into();
    };
    // Windows has several shells, which quote differently.
    let by_path = |path: &OsString| {
        let is_this = Path::new(path).file_name() == Some(NAME_ON_PATH.as_ref());
        let is_path = cfg!(unix) && Path::new(path).components().count() > 1;
        match is_this && is_path && !is_on_path(path.as_ref()) {
            true => path.to_str().map(|path| shell_word(path).into()),
            false => is_this.then(|| NAME_ON_PATH.into()),
        }
    };
    if let Some(name) = by_path(&program) {
        return name;
    }
    let Some(first) = first else {
        return NAME_ON_PATH.into();
    };
    if first == "-m" && second.is_some_and(|module| module == "mcp_startup") {
        let python = program.to_string_lossy();
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
        false => by_path(&first).unwrap_or(NAME_ON_PATH.into()),
    }
}

/// Whether a shell that searches its PATH for the name of the program finds the one at this path.
fn is_on_path(path: &Path) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders)
        .map(|folder| folder.join(NAME_ON_PATH))
        .filter(|candidate| is_executable(candidate));
    let real = |path: &Path| path.canonicalize().ok();
    found
        .next()
        .is_some_and(|found| real(path).is_some() && real(path) == real(&found))
}

fn is_executable(path: &Path) -> bool {
    let is_allowed = |metadata: &std::fs::Metadata| {
        #[cfg(unix)]
        return std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
        #[cfg(not(unix))]
        {
            let _ = metadata;
            true
        }
    };
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && is_allowed(&metadata))
}

/// The command that runs a program under a supervisor, if this program can do that.
pub fn supervisor() -> Option<Vec<OsString>> {
    THIS_PROGRAM.get()?.supervisor.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::suggestions::quoted_here;

    fn assert_name(arguments: &[&str], is_on_path: bool, expected: &str) {
        let named = name_of(arguments.iter().map(OsString::from), |_| is_on_path);
        assert_eq!(named, quoted_here(expected), "{arguments:?}");
    }

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
            assert_name(arguments, true, expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_is_not_on_the_path_is_run_by_its_path_again() {
        for (arguments, expected) in [
            (
                &["target/debug/mcp-startup", "check"][..],
                "target/debug/mcp-startup",
            ),
            (&["./mcp-startup"], "./mcp-startup"),
            (&["/my tools/mcp-startup"], "'/my tools/mcp-startup'"),
            (
                &["/venv/bin/python", ".venv/bin/mcp-startup", "check"],
                ".venv/bin/mcp-startup",
            ),
            (
                &["node", "node_modules/.bin/mcp-startup"],
                "node_modules/.bin/mcp-startup",
            ),
            (&["mcp-startup", "check"], "mcp-startup"),
            (&["mcp-startup", "/other/mcp-startup"], "mcp-startup"),
            (&["node", "/app/host.mjs"], "mcp-startup"),
        ] {
            assert_name(arguments, false, expected);
        }
    }
}
