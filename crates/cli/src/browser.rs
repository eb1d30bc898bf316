//! Opens a page in the user's browser, and runs no program from the current folder for it.
//!
//! On Unix except macOS, this program is started again only to open the page, for two reasons:
//!
//! * The crate `webbrowser` and the scripts that it runs (`xdg-settings`, `xdg-open`) search the folders of `PATH` and of the XDG
//!   variables, also relative ones, and `webbrowser` has no option against that. The new process has no relative folder.
//! * `webbrowser` does not wait for the program that it starts. On Linux, the new process sees whether that program fails, because it
//!   has no other child.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
#[cfg(target_os = "linux")]
use std::time::Duration;

use url::Url;

#[cfg(feature = "app-server")]
use crate::this_program;

/// The hidden subcommand that opens the page at the URL that follows.
pub const SUBCOMMAND: &str = "__open-browser";

/// How long a program that opens a page may take to fail. One that becomes the browser runs for longer.
#[cfg(target_os = "linux")]
const FAILURE_LIMIT: Duration = Duration::from_secs(3);

/// Variables that contain a list of folders, and the value to use instead of an empty list. An empty `PATH` is the current folder,
/// and so may be the default of a shell if there is none.
const LISTS: [(&str, Option<&str>); 3] = [
    ("PATH", Some("/nonexistent")),
    ("XDG_DATA_DIRS", None),
    ("XDG_CONFIG_DIRS", None),
];
/// Variables that contain one folder.
const FOLDERS: [&str; 2] = ["XDG_DATA_HOME", "XDG_CONFIG_HOME"];

/// Opens a page over HTTP. Returns whether a browser was started. Waits for a browser that runs in the terminal, and up to 3 s for a
/// program that starts the browser.
///
/// `program` is the command, with its first arguments, that starts this program again. If it is empty, a program that fails is not
/// noticed, and nothing is opened if a variable has a relative folder.
pub fn open(url: &str, program: &[String]) -> bool {
    // A server may have chosen the URL.
    let is_http = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_http && open_url(url, program)
}

/// Opens a file of this program. Returns whether a browser was started.
#[cfg(feature = "app-server")]
pub fn open_file(path: &Path) -> bool {
    Url::from_file_path(path).is_ok_and(|url| open_url(url.as_str(), this_program::command()))
}

/// Whether a browser with windows can be opened here: not in a session over SSH, and not without a display.
#[cfg(feature = "app-server")]
pub fn has_display() -> bool {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match cfg!(any(windows, target_os = "macos")) {
        true => !is_set(&"SSH_CONNECTION"),
        false => ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]
            .iter()
            .any(is_set),
    }
}

fn open_url(url: &str, program: &[String]) -> bool {
    if cfg!(any(windows, target_os = "macos")) {
        return webbrowser::open(url).is_ok();
    }
    let changes = changes(|name| std::env::var_os(name));
    let Some((program, arguments)) = program.split_first() else {
        return changes.is_empty() && webbrowser::open(url).is_ok();
    };
    let mut command = Command::new(program);
    command.args(arguments).args([SUBCOMMAND, url]);
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.status().is_ok_and(|status| status.success())
}

/// Runs the subcommand. Returns the exit code.
pub fn run(arguments: &[OsString]) -> u8 {
    let is_clean = changes(|name| std::env::var_os(name)).is_empty();
    let opened = match arguments {
        [url] if is_clean => url
            .to_str()
            .is_some_and(|url| webbrowser::open(url).is_ok() && !has_failed()),
        _ => false,
    };
    u8::from(!opened)
}

/// Waits until the only child of this process has ended, or is certain to be a browser. Returns whether it failed.
#[cfg(target_os = "linux")]
fn has_failed() -> bool {
    use rustix::process::{WaitOptions, wait};
    const POLL: Duration = Duration::from_millis(20);
    let started = std::time::Instant::now();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((_, status))) => return status.exit_status() != Some(0),
            Ok(None) if started.elapsed() < FAILURE_LIMIT => std::thread::sleep(POLL),
            // `webbrowser` has waited for a browser in the terminal.
            Ok(None) | Err(_) => return false,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn has_failed() -> bool {
    false
}

/// The variables to change so that they name only absolute folders. `None` removes a variable.
fn changes(value: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, Option<OsString>)> {
    let lists = LISTS.iter().filter_map(|(name, if_empty)| {
        let absolute = absolute_folders(&value(name)?)?;
        let value = match absolute.is_empty() {
            true => if_empty.map(OsString::from),
            false => Some(absolute),
        };
        Some((*name, value))
    });
    let folders = FOLDERS.iter().filter_map(|name| {
        let value = value(name)?;
        (!Path::new(&value).is_absolute()).then_some((*name, None))
    });
    lists.chain(folders).collect()
}

/// The absolute folders of a list. `None` if all are absolute.
fn absolute_folders(list: &OsStr) -> Option<OsString> {
    let folders = || std::env::split_paths(list);
    if folders().all(|folder| folder.is_absolute()) {
        return None;
    }
    let absolute = folders().filter(|folder| folder.is_absolute());
    // A folder that was split off can be joined again.
    Some(std::env::join_paths(absolute).unwrap_or_default())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn relative_folders_are_removed() {
        // The value of every variable, and the new values of a list and of a single folder.
        let unchanged = None;
        type Unset<'a> = Option<Option<&'a str>>;
        let table: [(&str, Unset<'_>, Unset<'_>); 6] = [
            ("/a", unchanged, unchanged),
            ("", Some(None), Some(None)),
            (".", Some(None), Some(None)),
            ("relative", Some(None), Some(None)),
            ("/a:./b:/c:", Some(Some("/a:/c")), unchanged),
            (":/a", Some(Some("/a")), Some(None)),
        ];
        for (value, list, folder) in table {
            let changes = changes(|_| Some(value.into()));
            let found = |name: &str| {
                let mut changes = changes.iter();
                let change = changes.find(|(changed, _)| *changed == name);
                change.map(|(_, value)| value.as_deref().and_then(OsStr::to_str))
            };
            let path = list.map(|list| list.or(Some("/nonexistent")));
            assert_eq!(found("PATH"), path, "{value}");
            assert_eq!(found("XDG_DATA_DIRS"), list, "{value}");
            assert_eq!(found("XDG_CONFIG_HOME"), folder, "{value}");
        }
        assert_eq!(changes(|_| None), []);
    }
}
