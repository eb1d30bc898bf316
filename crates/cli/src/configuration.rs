//! Which configuration a command uses.

use std::io::Write;
use std::path::{Path, PathBuf};

use mcp_startup::config::{
    self, Configuration, ProcessEnvironment, codex_home, untrusted_project_file,
};
use mcp_startup::printable;

use crate::CommandError;

const PATH_CHARS: usize = 500;

/// Reads the named configuration, or Codex's own. A configuration without servers is an error.
pub fn read(named: Option<PathBuf>) -> Result<Configuration, CommandError> {
    read_from(named.map_or_else(default_configuration, Ok)?)
}

/// Reads the configuration for a check, and prints which one it is if the user named none. A project file in the current folder is
/// mentioned and not used, because it may be part of someone else's repository.
pub fn read_for_check(named: Option<PathBuf>) -> Result<Configuration, CommandError> {
    if named.is_some() {
        return read(named);
    }
    let path = default_configuration()?;
    let mut stderr = anstream::stderr();
    let _ = writeln!(stderr, "Checking the servers of {}", shown(&path));
    if project_file().is_some() {
        let _ = writeln!(
            stderr,
            "This folder has a .mcp.json. Its servers were not started, because it may be part of someone else's repository. \
             If you trust it, run: mcp-startup check --config .mcp.json"
        );
    }
    read_from(path)
}

fn read_from(path: PathBuf) -> Result<Configuration, CommandError> {
    let configuration = config::read(&path, &ProcessEnvironment)?;
    for warning in &configuration.warnings {
        // It is one line and has no hidden characters.
        let _ = writeln!(anstream::stderr(), "{}, {warning}", shown(&path));
    }
    if configuration.servers.is_empty() {
        let shown = shown(&path);
        return Err(CommandError::Usage(format!(
            "no servers are configured in {shown}"
        )));
    }
    Ok(configuration)
}

/// A path, escaped for a terminal: the author of the file chose its name.
pub fn shown(path: &Path) -> String {
    printable(&path.display().to_string(), PATH_CHARS)
}

/// The path of Codex's configuration, if it exists.
fn default_configuration() -> Result<PathBuf, CommandError> {
    let path = codex_home(&ProcessEnvironment).map(|home| home.join("config.toml"));
    let looked = match path {
        Some(path) if path.exists() => return Ok(path),
        Some(path) => format!("{} does not exist", shown(&path)),
        None => "neither CODEX_HOME nor HOME is set".to_owned(),
    };
    let hint = match project_file() {
        Some(_) => {
            "; this folder has a .mcp.json, which may be part of someone else's repository: \
             if you trust it, use `--config .mcp.json`"
        }
        None => "; pass a configuration file with `--config FILE`, or try `mcp-startup demo`",
    };
    Err(CommandError::Usage(format!("{looked}{hint}")))
}

fn project_file() -> Option<PathBuf> {
    untrusted_project_file(&std::env::current_dir().ok()?)
}
