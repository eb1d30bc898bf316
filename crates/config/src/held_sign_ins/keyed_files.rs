//! Reads the stores with a file for each server, whose name is a hash of the server's URL: `mcp-remote`, and Kiro with Amazon Q.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use md5::Md5;
use sha2::{Digest, Sha256};
use url::Url;

use super::entry::Entry;
use super::store_files::StoreFiles;
use super::stores::TOKEN_RESPONSE;
use super::{SignInHolder, SoughtServer, StoreNote, json_store};

/// The maximum number of folders of `mcp-remote` that are read. Its releases up to 0.1 have one for each version.
const MAX_FOLDERS: usize = 100;
/// The maximum number of files with a token for one server.
const MAX_FILES: usize = 20;

/// The options of an `mcp-remote` command that select its sign-in. All texts are as written, with variables such as `${TOKEN}`.
#[derive(Debug, Clone, Default)]
pub struct McpRemoteOptions {
    /// The name of the client that starts the command, for messages.
    pub started_by: Option<String>,
    /// The value of `--resource`.
    pub resource: Option<String>,
    /// The parameters of `--authorize-param`.
    pub authorize_params: BTreeMap<String, String>,
    /// The headers of `--header`. The names and the values are trimmed.
    pub headers: BTreeMap<String, String>,
    /// The value of `--client-metadata-url`.
    pub client_metadata_url: Option<String>,
    /// The value of `--token-endpoint`.
    pub token_endpoint: Option<String>,
}

impl McpRemoteOptions {
    /// Returns the names of the files for a URL, without their suffix: the one of current releases, and the one of releases up to 0.1.
    fn hashes(&self, url: &str) -> Vec<String> {
        let object = |map: &BTreeMap<String, String>| {
            let json = (!map.is_empty()).then(|| serde_json::to_string(map));
            json.and_then(Result::ok)
        };
        let headers = object(&self.headers);
        let current = [
            Some(url.to_owned()),
            self.resource.clone(),
            object(&self.authorize_params),
            headers.clone(),
            self.client_metadata_url.clone(),
            self.token_endpoint.clone(),
        ];
        let early = [Some(url.to_owned()), self.resource.clone(), headers];
        let hash = |parts: &[Option<String>]| {
            let parts: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
            hexadecimal(&Md5::digest(parts.join("|")))
        };
        let mut hashes = vec![hash(&current), hash(&early)];
        hashes.dedup();
        hashes
    }
}

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

    /// Returns the sign-ins for a server. The URL is the one that is written, because it is part of the hash.
    pub fn find(
        &self,
        server: &SoughtServer<'_>,
        url: &Url,
        files: &dyn StoreFiles,
        notes: &mut Vec<StoreNote>,
    ) -> Vec<Entry> {
        let without_options = McpRemoteOptions::default();
        let options = server.mcp_remote.unwrap_or(&without_options);
        let mut hashes = options.hashes(server.url);
        if url.as_str() != server.url {
            hashes.extend(options.hashes(url.as_str()));
        }
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
