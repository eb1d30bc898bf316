//! Resolves the command of a server to a program, and builds the environment of that program.
//!
//! An empty or relative element of `PATH` is neither searched here nor passed on: it means the current folder, which may contain
//! foreign files.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use mcp_startup_config::{InheritedEnvironment, StdioConfig};
use secrecy::ExposeSecret;

/// Whether the program itself is the reason that it can't be run, and not a lack of resources on this machine.
pub(super) fn is_fault_of_program(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput
    ) || error.raw_os_error() == Some(EXEC_FORMAT_ERROR)
}

/// Whether the arguments and the variables are too long for the system.
pub(super) fn is_too_long(error: &std::io::Error) -> bool {
    /// The command line has more than 32,767 characters.
    const FILENAME_EXCED_RANGE: i32 = 206;
    error.kind() == std::io::ErrorKind::ArgumentListTooLong
        || (cfg!(windows) && error.raw_os_error() == Some(FILENAME_EXCED_RANGE))
}

/// "Exec format error" on Unix, "not a valid application" on Windows.
pub(super) const EXEC_FORMAT_ERROR: i32 = if cfg!(windows) { 193 } else { 8 };

/// The environment of the program, and the `PATH` that is searched for the command: the absolute elements of its `PATH`.
pub(super) fn environment(config: &StdioConfig) -> (Vec<(OsString, OsString)>, OsString) {
    let mut environment = configured_environment(config);
    let mut searched = OsString::new();
    if let Some((_, path)) = environment.iter_mut().find(|(name, _)| is_path(name)) {
        searched = absolute_elements(path);
        // An empty `PATH` means the current folder, and so may the default of a shell if there is none.
        *path = match searched.is_empty() && cfg!(unix) {
            true => NO_FOLDER.into(),
            false => searched.clone(),
        };
    }
    (environment, searched)
}

/// A `PATH` in which nothing is found.
const NO_FOLDER: &str = "/nonexistent";

fn is_path(name: &OsStr) -> bool {
    match cfg!(windows) {
        true => name.eq_ignore_ascii_case("PATH"),
        false => name == "PATH",
    }
}

/// A `PATH` without its empty and relative elements.
fn absolute_elements(path: &OsStr) -> OsString {
    if std::env::split_paths(path).all(|folder| folder.is_absolute()) {
        return path.to_owned();
    }
    let absolute = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    // An element that was split off can be joined again.
    std::env::join_paths(absolute).unwrap_or_default()
}

fn configured_environment(config: &StdioConfig) -> Vec<(OsString, OsString)> {
    let inherited: Vec<_> = match config.inherited {
        InheritedEnvironment::Everything => std::env::vars_os().collect(),
        InheritedEnvironment::WithoutSecrets => std::env::vars_os()
            .filter(|(name, _)| !InheritedEnvironment::indicates_a_secret(&name.to_string_lossy()))
            .collect(),
        InheritedEnvironment::Named(names) => names
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
            .collect(),
    };
    let configured = config
        .env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value.expose_secret())));
    let is_configured = |name: &OsString| {
        config.env.iter().any(|(configured, _)| {
            name == configured.as_str() || (is_path(name) && is_path(configured.as_ref()))
        })
    };
    inherited
        .into_iter()
        .filter(|(name, _)| !is_configured(name))
        .chain(configured)
        .collect()
}

/// Resolves `command` to the absolute path of a program. A name is searched for in `path`, the second result of [`environment`]. A
/// relative path is relative to the folder in which the program runs.
pub(super) fn find_program(command: &str, path: &OsStr, cwd: Option<&Path>) -> Option<PathBuf> {
    let command_path = Path::new(command);
    let found = if command_path.components().count() > 1 || command_path.is_absolute() {
        let path = cwd.map_or_else(|| command_path.to_owned(), |cwd| cwd.join(command_path));
        path.exists().then_some(path)?
    } else {
        let names = file_names(command);
        std::env::split_paths(path)
            // An empty list has one element: the empty one.
            .filter(|folder| folder.is_absolute())
            .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
            .find(|candidate| is_program(candidate))?
    };
    std::path::absolute(found).ok()
}

/// The file names of a command. On Windows, a file without a suffix is a script for another system.
fn file_names(command: &str) -> Vec<String> {
    if cfg!(not(windows)) || Path::new(command).extension().is_some() {
        return vec![command.to_owned()];
    }
    let suffixes = ["com", "exe", "bat", "cmd"];
    suffixes.map(|suffix| format!("{command}.{suffix}")).into()
}

#[cfg(unix)]
pub(super) fn is_program(candidate: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    candidate
        .metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_program(candidate: &Path) -> bool {
    candidate.is_file()
}
