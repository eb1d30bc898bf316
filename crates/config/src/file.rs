//! Reads a configuration file from disk, up to a maximum size. Never writes to the disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::{Configuration, Environment, parse};

/// The maximum size of a configuration file: 4 MiB. Reading stops one byte after the limit.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Reads a configuration file and detects its format: a file that begins with `{` is `mcpServers` JSON, any other file
/// is Codex's TOML.
///
/// A server with an invalid entry is part of the result, with its [`EntryProblem`](crate::EntryProblem).
///
/// # Errors
/// Returns an error if the file as a whole cannot be read. [`ConfigurationError::kind`] has the reason.
///
/// ```
/// use mcp_startup_config::{ConfigurationErrorKind, ProcessEnvironment, read};
///
/// let error = read("no/such/config.toml".as_ref(), &ProcessEnvironment).unwrap_err();
/// assert_eq!(error.kind(), ConfigurationErrorKind::NotFound);
/// ```
pub fn read(
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    let io_error = |error| io_error(path, error);
    // Check the type before opening: opening a named pipe would block.
    let metadata = fs::metadata(path).map_err(io_error)?;
    if !metadata.is_file() {
        let problem = if metadata.is_dir() {
            "this is a folder; pass the path of the configuration file in it"
        } else {
            "this is not a regular file; pass the path of a configuration file"
        };
        return Err(ConfigurationError::new(
            ConfigurationErrorKind::NotAFile,
            path,
            problem,
        ));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(io_error)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ConfigurationError::too_large(path));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text, path, environment),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let newlines = valid.iter().filter(|byte| **byte == b'\n').count();
            let line = u32::try_from(newlines + 1).unwrap_or(u32::MAX);
            Err(ConfigurationError::at(
                ConfigurationErrorKind::NotUtf8,
                path,
                (line, None),
                match bytes.as_slice() {
                    [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                        "UTF-16 text, as PowerShell writes it, and not UTF-8; save the file as UTF-8"
                    }
                    _ => "not UTF-8 text; save the file as UTF-8",
                },
            )
            .with_source(error))
        }
    }
}

/// Returns the path of `.mcp.json` in a folder, if there is such a file. The file is not read.
///
/// The file belongs to a project, and its author may be a stranger. It names programs to start. Tell the user about it,
/// and start its servers only if the user asks for that.
pub fn untrusted_project_file(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(".mcp.json")).filter(|path| path.is_file())
}

fn io_error(path: &Path, error: io::Error) -> ConfigurationError {
    let (kind, problem) = match error.kind() {
        io::ErrorKind::NotFound => (
            ConfigurationErrorKind::NotFound,
            "there is no such file; check the path".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            ConfigurationErrorKind::Unreadable,
            "you do not have permission to read this file; change its permissions".to_owned(),
        ),
        _ => (
            ConfigurationErrorKind::Unreadable,
            format!("the file cannot be read: {error}; check the path and the disk"),
        ),
    };
    ConfigurationError::new(kind, path, &problem).with_source(error)
}
