//! Environment variables: where they are read from, and the folders that they name. Never accesses the file system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A source of environment variables: the process, or a map for tests and for hosts without an environment.
pub trait Environment {
    /// Returns the value of a variable, or `None` if it is not set or not valid Unicode.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of the current process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

/// Returns Codex's folder: `CODEX_HOME` if it is set, otherwise `.codex` in the user's home folder.
///
/// The home folder is `HOME`. On Windows, `USERPROFILE` takes precedence. A blank variable counts as not set, and so does one with a
/// relative path, which would be another folder in each folder: a project could bring it. Returns `None` if no variable names a
/// folder. The folder need not exist.
///
/// Source: <https://developers.openai.com/codex/config-advanced>.
///
/// ```
/// use std::{collections::BTreeMap, path::Path};
/// let environment = BTreeMap::from([("CODEX_HOME".to_owned(), "/srv/codex".to_owned())]);
/// assert_eq!(mcp_startup_config::codex_home(&environment).as_deref(), Some(Path::new("/srv/codex")));
/// ```
pub fn codex_home(environment: &dyn Environment) -> Option<PathBuf> {
    let moved = non_blank(environment, "CODEX_HOME").map(PathBuf::from);
    if let Some(home) = moved.filter(|home| is_absolute(home)) {
        return Some(home);
    }
    Some(home_folder(environment)?.join(".codex"))
}

/// Replaces a leading `~/` with the user's home folder. Returns any other path unchanged.
///
/// A shell does this for arguments, but not for paths in options of a program. The home folder is `HOME`. On Windows,
/// `USERPROFILE` takes precedence. If neither variable has an absolute path, the path is returned unchanged.
///
/// ```
/// use std::{collections::BTreeMap, path::Path};
/// let environment = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
/// let path = mcp_startup_config::expand_tilde("~/.codex/config.toml", &environment);
/// assert_eq!(path, Path::new("/home/ada/.codex/config.toml"));
/// ```
pub fn expand_tilde(path: &str, environment: &dyn Environment) -> PathBuf {
    match (path.strip_prefix("~/"), home_folder(environment)) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

fn home_folder(environment: &dyn Environment) -> Option<PathBuf> {
    let variables = if cfg!(windows) {
        ["USERPROFILE", "HOME"]
    } else {
        ["HOME", "USERPROFILE"]
    };
    variables
        .into_iter()
        .filter_map(|name| non_blank(environment, name))
        .map(PathBuf::from)
        .find(|folder| is_absolute(folder))
}

/// Whether a path does not depend on the current folder, on any system. Tests read the paths of Windows on Linux, and the other way
/// round.
pub(crate) fn is_absolute(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut bytes = text.bytes();
    let has_drive =
        bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && bytes.next() == Some(b':');
    path.has_root() || has_drive
}

/// Returns the value of a variable, or `None` if it is not set or blank.
pub(crate) fn non_blank(environment: &dyn Environment, name: &str) -> Option<String> {
    let value = environment.get(name);
    value.filter(|value| !value.trim().is_empty())
}
