//! A file's bytes, read within bounds and told apart by what is in it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{ConfigurationError, ConfigurationErrorKind};
use crate::{Configuration, Environment, codex_toml, mcp_servers_json};

/// The largest file that is read: 4 MiB. Of a larger one not more than this is looked at.
pub const MAXIMUM_BYTES: usize = 4 * 1024 * 1024;

/// Reads a configuration, whichever client wrote it: what begins with `{` is the `mcpServers` JSON, else it is Codex's
/// TOML. A server whose entry cannot be used is in the result with its problem, beside the others.
///
/// # Errors
/// The file as a whole cannot be read; [`ConfigurationError::kind`] tells why.
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
    let unreadable = |error| unreadable(path, error);
    // Before opening: a named pipe would keep us waiting.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "this is a folder; name the configuration file in it"
        } else {
            "this is not a regular file; name a configuration file"
        };
        return Err(ConfigurationError::new(
            ConfigurationErrorKind::NotAFile,
            path,
            what,
        ));
    }
    let mut bytes = Vec::new();
    let bound = u64::try_from(MAXIMUM_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(bound).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() > MAXIMUM_BYTES {
        return Err(too_large(path));
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
                "not UTF-8 text; save the file as UTF-8",
            )
            .with_source(error))
        }
    }
}

/// As [`read`], of text that is already at hand. `path` is for messages, and its folder is where a Codex configuration
/// keeps its credentials.
///
/// # Errors
/// The text as a whole is no configuration; [`ConfigurationError::kind`] tells why.
///
/// ```
/// use std::{collections::BTreeMap, path::Path};
/// use mcp_startup_config::{ConfigurationFormat, TransportConfig, parse};
///
/// let text = r#"
/// [mcp_servers.docs]
/// url = "https://example.com/mcp"
/// bearer_token_env_var = "DOCS_TOKEN"
///
/// [mcp_servers.broken]
/// url = "ftp://example.com"
/// "#;
/// let environment = BTreeMap::from([("DOCS_TOKEN".to_owned(), "s3cret".to_owned())]);
/// let configuration = parse(text, Path::new("/srv/codex/config.toml"), &environment)?;
///
/// assert_eq!(configuration.format, ConfigurationFormat::CodexToml);
/// assert_eq!(configuration.credentials.home, Path::new("/srv/codex"));
/// let docs = configuration.servers[0].config.as_ref().map_err(Clone::clone)?;
/// assert!(matches!(&docs.transport, TransportConfig::Http(http) if http.bearer.is_some()));
/// let problem = configuration.servers[1].config.as_ref().unwrap_err();
/// assert_eq!((problem.key.as_str(), problem.line), ("mcp_servers.broken.url", Some(7)));
/// assert!(!format!("{configuration:?}").contains("s3cret"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(
    text: &str,
    path: &Path,
    environment: &dyn Environment,
) -> Result<Configuration, ConfigurationError> {
    if text.len() > MAXIMUM_BYTES {
        return Err(too_large(path));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        mcp_servers_json::parse(text, path, environment)
    } else {
        codex_toml::parse(text, path, environment)
    }
}

/// The `.mcp.json` in a folder, if there is one. It came with the folder, perhaps from a stranger, and it names
/// programs: tell the user of it, and never start it unasked.
pub fn stranger_configuration(current_dir: &Path) -> Option<PathBuf> {
    Some(current_dir.join(".mcp.json")).filter(|path| path.is_file())
}

fn too_large(path: &Path) -> ConfigurationError {
    ConfigurationError::new(
        ConfigurationErrorKind::TooLarge,
        path,
        "larger than 4 MiB, which no configuration is; name another file",
    )
}

fn unreadable(path: &Path, error: io::Error) -> ConfigurationError {
    let (kind, what) = match error.kind() {
        io::ErrorKind::NotFound => (
            ConfigurationErrorKind::NotFound,
            "there is no such file; check the path".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            ConfigurationErrorKind::Unreadable,
            "you may not read this file; change its permissions".to_owned(),
        ),
        _ => (
            ConfigurationErrorKind::Unreadable,
            format!("this file cannot be read: {error}; check the path and the disk"),
        ),
    };
    ConfigurationError::new(kind, path, &what).with_source(error)
}
