//! Which configuration a command is about.

use std::io::Write;
use std::path::{Path, PathBuf};

use mcp_startup::config::{
    self, Configuration, ProcessEnvironment, codex_home, stranger_configuration,
};
use mcp_startup::printable;

use crate::CommandError;

const PATH_CHARS: usize = 500;

/// Reads the configuration that was named, or Codex's own. One with no servers in it is nothing to work with.
pub fn read(named: Option<PathBuf>) -> Result<Configuration, CommandError> {
    read_from(named.map_or_else(default_configuration, Ok)?)
}

/// The same for a check, which starts what stands there: Codex's own is named first. One that lies in the current folder may be a
/// stranger's: it is named too, and not started.
pub fn read_for_check(named: Option<PathBuf>) -> Result<Configuration, CommandError> {
    if named.is_some() {
        return read(named);
    }
    let path = default_configuration()?;
    let mut stderr = anstream::stderr();
    let _ = writeln!(stderr, "Checking the servers of {}", shown(&path));
    if stranger().is_some() {
        let _ = writeln!(
            stderr,
            "There is a .mcp.json in this folder. It may have come with somebody's repository, so it is not started; \
             if you trust it: mcp-startup check --config .mcp.json"
        );
    }
    read_from(path)
}

fn read_from(path: PathBuf) -> Result<Configuration, CommandError> {
    let configuration = config::read(&path, &ProcessEnvironment)?;
    if configuration.servers.is_empty() {
        let shown = shown(&path);
        return Err(CommandError::Usage(format!(
            "no server is configured in {shown}"
        )));
    }
    Ok(configuration)
}

/// A path as it may come to a terminal: whoever made the file chose its name.
pub fn shown(path: &Path) -> String {
    printable(&path.display().to_string(), PATH_CHARS)
}

/// Where Codex has its configuration, if there is one.
fn default_configuration() -> Result<PathBuf, CommandError> {
    let path = codex_home(&ProcessEnvironment).map(|home| home.join("config.toml"));
    let looked = match path {
        Some(path) if path.exists() => return Ok(path),
        Some(path) => format!("{} does not exist", shown(&path)),
        None => "neither CODEX_HOME nor HOME is set".to_owned(),
    };
    let hint = match stranger() {
        Some(_) => {
            "; there is a .mcp.json in this folder, which may have come with somebody's repository: \
             if you trust it, use `--config .mcp.json`"
        }
        None => "; name a configuration with `--config FILE`, or see `mcp-startup demo`",
    };
    Err(CommandError::Usage(format!("{looked}{hint}")))
}

fn stranger() -> Option<PathBuf> {
    stranger_configuration(&std::env::current_dir().ok()?)
}
