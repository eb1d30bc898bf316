//! Where environment variables come from, and the folder that they make Codex's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where variables come from: the process, or a map that a test or a host without an environment fills.
pub trait Environment {
    /// The variable's value. `None` if it is not set, or if its value is not Unicode.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
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

/// Codex's folder: `CODEX_HOME`, else `.codex` in the user's folder (`HOME`; on Windows `USERPROFILE` before it).
///
/// A blank variable counts as absent. `None` if no variable names a folder. Nothing is looked up on the disk.
/// Source: <https://developers.openai.com/codex/config-advanced>.
///
/// ```
/// use std::{collections::BTreeMap, path::Path};
/// let environment = BTreeMap::from([("CODEX_HOME".to_owned(), "/srv/codex".to_owned())]);
/// assert_eq!(mcp_startup_config::codex_home(&environment).as_deref(), Some(Path::new("/srv/codex")));
/// ```
pub fn codex_home(environment: &dyn Environment) -> Option<PathBuf> {
    if let Some(home) = set(environment, "CODEX_HOME") {
        return Some(home.into());
    }
    Some(user_folder(environment)?.join(".codex"))
}

/// A path as a person writes it: what begins with `~/` is in the user's folder. No shell has read it where it stands in a program.
///
/// ```
/// use std::{collections::BTreeMap, path::Path};
/// let environment = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
/// let path = mcp_startup_config::user_path("~/.codex/config.toml", &environment);
/// assert_eq!(path, Path::new("/home/ada/.codex/config.toml"));
/// ```
pub fn user_path(written: &str, environment: &dyn Environment) -> PathBuf {
    match (written.strip_prefix("~/"), user_folder(environment)) {
        (Some(rest), Some(folder)) => folder.join(rest),
        _ => written.into(),
    }
}

fn user_folder(environment: &dyn Environment) -> Option<PathBuf> {
    let variables = if cfg!(windows) {
        ["USERPROFILE", "HOME"]
    } else {
        ["HOME", "USERPROFILE"]
    };
    variables
        .into_iter()
        .find_map(|name| set(environment, name))
        .map(PathBuf::from)
}

/// The variable's value, unless it is blank.
fn set(environment: &dyn Environment, name: &str) -> Option<String> {
    let value = environment.get(name);
    value.filter(|value| !value.trim().is_empty())
}
