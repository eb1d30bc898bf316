//! Finds the names of the sign-ins in goose's `secrets.yaml`. Its values are not read: without a URL, no token is sent.

use std::path::Path;

use super::entry::Entry;
use super::store_files::StoreFiles;
use super::{SignInHolder, StoreNote, json_store};

/// The beginning of a key with a sign-in. The rest is the name of the extension.
const PREFIX: &str = "oauth_creds_";

/// Returns the sign-ins of a store.
///
/// goose writes one mapping of YAML in block style, so the keys of its root are the lines without indentation.
pub(super) fn read(path: &Path, files: &dyn StoreFiles, notes: &mut Vec<StoreNote>) -> Vec<Entry> {
    let Some(bytes) = json_store::bytes(SignInHolder::Goose, path, files, notes) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut entries = Vec::new();
    let mut name: Option<String> = None;
    for line in text.lines() {
        let is_root = line.starts_with(|first: char| !first.is_whitespace() && first != '#');
        if is_root {
            name = key(line).and_then(|key| key.strip_prefix(PREFIX).map(str::to_owned));
            continue;
        }
        let Some(name) = &name else { continue };
        if has_value(line, "access_token:") {
            entries.push(Entry {
                holder: SignInHolder::Goose,
                name: Some(name.clone()),
                url: None,
                access_token: String::new().into(),
                refresh_token: false,
                expires_at_ms: None,
            });
        } else if has_value(line, "refresh_token:")
            && let Some(entry) = entries.last_mut()
            && entry.name.as_ref() == Some(name)
        {
            entry.refresh_token = true;
        }
    }
    entries
}

/// Returns whether an indented line has this key, and a value that is not blank.
fn has_value(line: &str, key: &str) -> bool {
    let value = line.trim_start().strip_prefix(key).map(str::trim);
    value.is_some_and(|value| !matches!(value, "" | "''" | "\"\"" | "null" | "~"))
}

/// Returns the key of a line of a mapping, without its quotation marks.
fn key(line: &str) -> Option<&str> {
    for mark in ['\'', '"'] {
        if let Some(quoted) = line.strip_prefix(mark) {
            let (key, rest) = quoted.split_once(mark)?;
            return rest.trim_start().starts_with(':').then_some(key);
        }
    }
    let (key, _) = line
        .split_once(": ")
        .or_else(|| line.trim_end().rsplit_once(':'))?;
    Some(key.trim_end())
}
