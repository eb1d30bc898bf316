//! Reads the sign-ins of a JSON store by its shape.

use std::io;
use std::path::Path;

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::entry::Entry;
use super::store_files::{MAX_STORE_BYTES, StoreFiles};
use super::stores::{Expiry, JsonStore, Source, TokenShape};
use super::{SignInHolder, StoreNote, timestamp};

/// The maximum length of an access token. Servers accept shorter headers.
const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// The maximum number of notes. A machine has few stores.
const MAX_NOTES: usize = 50;

/// Returns the sign-ins of a store. If the store is damaged, there are none, and a note.
pub(super) fn read(
    store: &JsonStore,
    path: &Path,
    files: &dyn StoreFiles,
    notes: &mut Vec<StoreNote>,
) -> Vec<Entry> {
    let Some(root) = json(store.holder, path, files, notes) else {
        return Vec::new();
    };
    let modified_ms = files.modified_ms(path);
    let mut entries = Vec::new();
    let mut add = |key: Option<&str>, item: &Value| {
        let name = text_of(&store.name, key, item);
        let url = text_of(&store.url, key, item);
        // A recorded URL that is not one is never equal to that of a server.
        let is_other = url.is_some_and(|url| Url::parse(url).is_err());
        if let Some(token) = token(&store.token, item, modified_ms).filter(|_| !is_other) {
            entries.push(Entry {
                holder: store.holder,
                name: name.map(str::to_owned),
                url: url.and_then(|url| Url::parse(url).ok()),
                ..token.entry(store.holder)
            });
        }
    };
    match root.pointer(store.items) {
        Some(Value::Object(items)) => {
            for (key, item) in items {
                add(Some(key), item);
            }
        }
        Some(Value::Array(items)) => {
            for item in items {
                add(None, item);
            }
        }
        // A client that has no sign-in yet.
        None | Some(Value::Null) if root.is_object() => {}
        _ => note(
            notes,
            store.holder,
            path,
            "it does not have the expected structure".to_owned(),
        ),
    }
    entries
}

/// Reads a JSON file. Returns `None` if it does not exist, and a note if it is damaged.
pub(super) fn json(
    holder: SignInHolder,
    path: &Path,
    files: &dyn StoreFiles,
    notes: &mut Vec<StoreNote>,
) -> Option<Value> {
    let bytes = bytes(holder, path, files, notes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    // An empty file is one that a client has just created.
    if text.trim_ascii().is_empty() {
        return None;
    }
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let problem = match error.is_eof() {
                true => "it is incomplete, or the client is writing it".to_owned(),
                false => format!("it is not valid JSON (line {})", error.line()),
            };
            note(notes, holder, path, problem);
            None
        }
    }
}

/// Reads a file. Returns `None` if it does not exist, and a note if it can't be read.
pub(super) fn bytes(
    holder: SignInHolder,
    path: &Path,
    files: &dyn StoreFiles,
    notes: &mut Vec<StoreNote>,
) -> Option<Vec<u8>> {
    match files.read(path, MAX_STORE_BYTES) {
        Ok(bytes) if bytes.len() <= MAX_STORE_BYTES => Some(bytes),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            None
        }
        failed => {
            use io::ErrorKind::{FileTooLarge, InvalidInput, IsADirectory, PermissionDenied};
            let problem = match failed.map_err(|error| (error.kind(), error)) {
                Ok(_) | Err((FileTooLarge, _)) => "it is larger than 4 MiB".to_owned(),
                Err((PermissionDenied, _)) => "you do not have permission to read it".to_owned(),
                Err((IsADirectory, _)) => "it is a folder".to_owned(),
                Err((InvalidInput, error)) if error.get_ref().is_some() => format!("it is {error}"),
                Err(_) => "it can't be read".to_owned(),
            };
            note(notes, holder, path, problem);
            None
        }
    }
}

fn note(notes: &mut Vec<StoreNote>, holder: SignInHolder, path: &Path, problem: String) {
    let note = StoreNote {
        holder,
        path: path.to_owned(),
        problem,
    };
    if notes.len() < MAX_NOTES && !notes.contains(&note) {
        notes.push(note);
    }
}

/// A token of a store that may be sent in a header.
pub(super) struct Token {
    access_token: SecretString,
    refresh_token: bool,
    expires_at_ms: Option<i64>,
}

impl Token {
    /// Returns the entry of this token, without a name and without a URL.
    pub fn entry(self, holder: SignInHolder) -> Entry {
        Entry {
            holder,
            name: None,
            url: None,
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_at_ms: self.expires_at_ms,
        }
    }
}

/// Returns the token of an item, or `None` if it has no usable one.
pub(super) fn token(shape: &TokenShape, item: &Value, modified_ms: Option<i64>) -> Option<Token> {
    let text = |pointer| item.pointer(pointer).and_then(Value::as_str);
    let access_token = text(shape.access_token).map(str::trim)?;
    let can_be_sent = (1..=MAX_TOKEN_BYTES).contains(&access_token.len())
        && access_token.bytes().all(|byte| byte.is_ascii_graphic());
    // Another type needs a proof with each request.
    let is_bearer = text(shape.token_type).is_none_or(|found| {
        let found = found.trim();
        found.is_empty() || found.eq_ignore_ascii_case("bearer")
    });
    if !can_be_sent || !is_bearer {
        return None;
    }
    let mut expires_at_ms = None;
    for expiry in shape.expiry {
        let found = match expiry {
            Expiry::MsOrNothing(at) if number(item, at) == Some(0.0) => return None,
            Expiry::Ms(at) | Expiry::MsOrNothing(at) => number(item, at).filter(|ms| *ms != 0.0),
            Expiry::Seconds(at) => number(item, at)
                .filter(|seconds| *seconds != 0.0)
                .map(|seconds| seconds * 1000.0),
            Expiry::Timestamp(at) => text(at)
                .and_then(timestamp::parse)
                .filter(|ms| *ms > 0)
                .map(|ms| ms as f64),
            Expiry::SecondsSince(at, since) => number(item, at)
                .zip(number(item, since))
                .map(|(seconds, since)| since + seconds * 1000.0),
            Expiry::SecondsSinceModified(at) => number(item, at)
                .zip(modified_ms)
                .map(|(seconds, since)| since as f64 + seconds * 1000.0),
        };
        if found.is_some() {
            expires_at_ms = found;
            break;
        }
    }
    Some(Token {
        access_token: access_token.to_owned().into(),
        refresh_token: text(shape.refresh_token).is_some_and(|text| !text.trim().is_empty()),
        // A conversion to an integer saturates.
        expires_at_ms: expires_at_ms.map(|ms| ms as i64),
    })
}

/// Returns a number, which some clients write as text.
fn number(item: &Value, pointer: &str) -> Option<f64> {
    let found = match item.pointer(pointer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    found.filter(|number| number.is_finite())
}

fn text_of<'a>(source: &Source, key: Option<&'a str>, item: &'a Value) -> Option<&'a str> {
    match source {
        Source::Absent => None,
        Source::Key => key,
        Source::Fields(fields) => fields
            .iter()
            .find_map(|field| item.pointer(field)?.as_str())
            .filter(|text| !text.trim().is_empty()),
    }
}
