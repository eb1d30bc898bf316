//! Keys from the environment or a file.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_startup_core::io_problem;
use secrecy::{ExposeSecret, SecretString};

use super::{EncryptionKey, KeyFuture, KeyProvider};

/// The part of a key file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Keys that are held in memory. The first one encrypts new records, and all of them decrypt.
///
/// ```
/// use mcp_startup_store_postgres::Keys;
///
/// // In practice, the text comes from `Keys::from_environment` or `Keys::from_file`.
/// let text = format!("2027:{} 2026:{}", "A".repeat(43) + "=", "B".repeat(42) + "A=");
/// let keys = Keys::parse(&text.into())?;
/// assert_eq!(keys.ids().collect::<Vec<_>>(), ["2027", "2026"]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keys(Vec<EncryptionKey>);

impl Keys {
    /// The environment variable that [`from_environment`](Self::from_environment) reads.
    pub const VARIABLE: &str = "MCP_STARTUP_STORE_KEYS";

    /// Reads keys from a text: `ID:KEY`, separated by white space or commas. A key is 32 bytes in base64, such as the output of
    /// `openssl rand -base64 32`. The first key encrypts new records.
    ///
    /// # Errors
    ///
    /// A human-readable message, without any part of a key, if the text is not valid, or if two keys have the same ID.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        let text = text.expose_secret();
        let separates = |c: char| c == ',' || c.is_whitespace();
        let mut keys: Vec<EncryptionKey> = Vec::new();
        for (at, entry) in text
            .split(separates)
            .filter(|text| !text.is_empty())
            .enumerate()
        {
            let at = at + 1;
            let (id, key) = entry
                .split_once(':')
                .ok_or_else(|| format!("key {at} is not `ID:KEY`"))?;
            let bytes = STANDARD.decode(key).ok();
            let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            let bytes = bytes.ok_or_else(|| format!("key {at} is not 32 bytes in base64"))?;
            let key =
                EncryptionKey::new(id, bytes).map_err(|error| format!("key {at}: {error}"))?;
            if keys.iter().any(|known| known.id() == key.id()) {
                return Err(format!("key {at} has the ID of an earlier key"));
            }
            keys.push(key);
        }
        match keys.is_empty() {
            true => Err("there is no key".to_owned()),
            false => Ok(Self(keys)),
        }
    }

    /// Reads keys from the environment variable [`VARIABLE`](Self::VARIABLE).
    ///
    /// # Errors
    ///
    /// A human-readable message if the variable is not set or not valid.
    pub fn from_environment() -> Result<Self, String> {
        let variable = Self::VARIABLE;
        let text = std::env::var(variable).map_err(|_| {
            format!("{variable} is not set; set it to `ID:KEY`, with a key from `openssl rand -base64 32`")
        })?;
        Self::parse(&text.into()).map_err(|error| format!("{variable}: {error}"))
    }

    /// Reads keys from a file.
    ///
    /// # Errors
    ///
    /// A human-readable message if the file can't be read or is not valid.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
            .map_err(|error| {
                format!("the key file {shown} can't be read: {}", io_problem(&error))
            })?;
        Self::parse(&text.into()).map_err(|error| format!("the key file {shown}: {error}"))
    }

    /// The IDs of the keys, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(EncryptionKey::id)
    }
}

impl KeyProvider for Keys {
    fn current(&self) -> KeyFuture<'_, EncryptionKey> {
        let key = self.0.first().cloned();
        Box::pin(async { key.ok_or_else(|| "there is no key".to_owned()) })
    }

    fn find<'a>(&'a self, id: &'a str) -> KeyFuture<'a, Option<EncryptionKey>> {
        let key = self.0.iter().find(|key| key.id() == id).cloned();
        Box::pin(async { Ok(key) })
    }
}
