//! Reads the stores with a file for each server, whose name is a hash of the server's URL: `mcp-remote`, and Kiro with Amazon Q.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use url::Url;

use super::entry::Entry;
use super::store_files::StoreFiles;
use super::stores::TOKEN_RESPONSE;
use super::{SignInHolder, SoughtServer, StoreNote, json_store};
use crate::StorageKeys;

/// The maximum number of folders of `mcp-remote` that are read. Its releases up to 0.1 have one for each version.
const MAX_FOLDERS: usize = 100;
/// The maximum number of files with a token for one server.
const MAX_FILES: usize = 20;

/// The files of `mcp-remote` that contain tokens, by the hash in their name.
#[derive(Default)]
pub(super) struct McpRemoteFiles(HashMap<String, Vec<PathBuf>>);

impl McpRemoteFiles {
    /// Adds the files below the folder of `mcp-remote`.
    pub fn add(&mut self, folder: &Path, files: &dyn StoreFiles) {
        let name_of = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
        let folders = files
            .list(folder)
            .into_iter()
            .filter(|path| name_of(path).is_some_and(|name| name.starts_with("mcp-remote-")));
        for folder in folders.take(MAX_FOLDERS) {
            for path in files.list(&folder) {
                let name = name_of(&path);
                let hash = name
                    .as_deref()
                    .and_then(|name| name.strip_suffix("_tokens.json"));
                if let Some(hash) = hash {
                    let known = self.0.entry(hash.to_owned()).or_default();
                    if known.len() < MAX_FILES {
                        known.push(path);
                    }
                }
            }
        }
    }

    /// Returns the sign-ins for a server. Without keys, they are those of a command without options.
    pub fn find(
        &self,
        server: &SoughtServer<'_>,
        url: &Url,
        files: &dyn StoreFiles,
        notes: &mut Vec<StoreNote>,
    ) -> Vec<Entry> {
        let mut keys: Vec<StorageKeys> = server.mcp_remote.cloned().into_iter().collect();
        if keys.is_empty() {
            // The URL is the one that is written, because it is part of the hash.
            keys.extend([server.url, url.as_str()].map(StorageKeys::of_url));
        }
        let mut hashes: Vec<_> = keys
            .into_iter()
            .flat_map(|keys| [keys.current, keys.old])
            .collect();
        hashes.sort();
        hashes.dedup();
        let paths = hashes.iter().filter_map(|hash| self.0.get(hash)).flatten();
        paths
            .filter_map(|path| file(SignInHolder::McpRemote, path, files, notes))
            .map(|entry| Entry {
                url: Some(url.clone()),
                ..entry
            })
            .collect()
    }
}

/// Returns the sign-in of Kiro and Amazon Q for a server. The hash is that of the origin and the path of its URL.
pub(super) fn kiro(
    folder: &Path,
    url: &Url,
    files: &dyn StoreFiles,
    notes: &mut Vec<StoreNote>,
) -> Option<Entry> {
    let hashed = format!("{}{}", url.origin().ascii_serialization(), url.path());
    let name = format!("{}.token.json", hexadecimal(&Sha256::digest(hashed)));
    file(SignInHolder::Kiro, &folder.join(name), files, notes)
}

/// Reads a file with one token.
fn file(
    holder: SignInHolder,
    path: &Path,
    files: &dyn StoreFiles,
    notes: &mut Vec<StoreNote>,
) -> Option<Entry> {
    let item = json_store::json(holder, path, files, notes)?;
    let token = json_store::token(&TOKEN_RESPONSE, &item, files.modified_ms(path))?;
    Some(token.entry(holder))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
