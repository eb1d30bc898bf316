//! Reads a configuration file from disk, up to a maximum size. Never writes to the disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mcp_startup_core::{file_kind, io_problem};

use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::{Configuration, Environment, parse};

/// The maximum size of a configuration file: 4 MiB. Reading stops one byte after the limit.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// The maximum number of servers in a table or list of a configuration file. Each server of a run needs about 10 to 40 kB of memory.
pub const MAX_SERVERS: usize = 2000;

/// Reads a configuration file and detects its format: a file that begins with `{` or has the extension `.json` is `mcpServers` JSON, any other file
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
    let bytes = read_bytes(path, MAX_FILE_BYTES).map_err(|error| io_error(path, error))?;
    parse(&text_of(path, bytes)?, path, environment)
}

/// Reads a regular file of at most `limit` bytes. Reading stops one byte after the limit.
pub(crate) fn read_bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Check the type before opening: opening a named pipe would block.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        let kind = file_kind(metadata.file_type());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, kind));
    }
    let file = File::open(path)?;
    // Files of the kernel have no size. Reading some of them waits for an event.
    if metadata.len() == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(limit.saturating_add(1)).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut bytes)?;
    match bytes.len() <= limit {
        true => Ok(bytes),
        false => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Converts the bytes of a file to text.
pub(crate) fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigurationError> {
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let valid = bytes
            .get(..error.utf8_error().valid_up_to())
            .unwrap_or_default();
        let newlines = valid.iter().filter(|byte| **byte == b'\n').count();
        let line = u32::try_from(newlines + 1).unwrap_or(u32::MAX);
        let problem = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                "UTF-16 text, as PowerShell writes it, and not UTF-8; save the file as UTF-8"
            }
            _ => "not UTF-8 text; save the file as UTF-8",
        };
        ConfigurationError::at(ConfigurationErrorKind::NotUtf8, path, (line, None), problem)
            .with_source(error.utf8_error())
    })
}

/// Returns the path of `.mcp.json` in a folder, if there is such a file. The file is not read.
///
/// The file belongs to a project, and its author may be a stranger. It names programs to start. Tell the user about it,
/// and start its servers only if the user asks for that.
pub fn untrusted_project_file(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(".mcp.json")).filter(|path| path.is_file())
}

/// Describes why a file could not be read.
pub(crate) fn io_error(path: &Path, error: io::Error) -> ConfigurationError {
    use ConfigurationErrorKind::{NotAFile, NotFound, Unreadable};
    let (kind, problem) = match error.kind() {
        io::ErrorKind::FileTooLarge => return ConfigurationError::too_large(path),
        io::ErrorKind::IsADirectory => {
            let problem = "this is a folder; pass the path of the configuration file in it";
            return ConfigurationError::new(NotAFile, path, problem);
        }
        io::ErrorKind::InvalidInput if error.get_ref().is_some() => {
            let problem = format!("this is {error}; pass the path of a configuration file");
            return ConfigurationError::new(NotAFile, path, &problem);
        }
        io::ErrorKind::NotFound => (NotFound, "there is no such file; check the path".to_owned()),
        io::ErrorKind::PermissionDenied => (
            Unreadable,
            "you do not have permission to read this file; change its permissions".to_owned(),
        ),
        _ => (
            Unreadable,
            format!(
                "the file cannot be read: {}; check the path and the disk",
                io_problem(&error)
            ),
        ),
    };
    ConfigurationError::new(kind, path, &problem).with_source(error)
}
