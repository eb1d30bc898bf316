//! The sign-ins that other clients hold for a server, read from the stores that those clients keep readable.
//!
//! A store is only read: it is never written to, and a refresh token in it is never sent. An access token is returned only if it has not
//! expired and the store records the URL of the server. A damaged store has no sign-ins, and adds a note.

mod entry;
mod goose_secrets;
mod json_store;
mod keyed_files;
mod places;
mod source;
mod store_files;
mod stores;
mod timestamp;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use mcp_startup_core::{HeldSignInEvidence, HeldSignInState};
use secrecy::SecretString;
use url::Url;

pub use self::source::HeldSignInSource;
pub use self::store_files::{MAX_STORE_BYTES, StoreFiles, SystemFiles};

use self::entry::Entry;
use self::keyed_files::McpRemoteFiles;
use self::places::Places;
use crate::clients::Machine;
use crate::{ServerConfig, StorageKeys, TransportConfig};

/// A sign-in that another client holds for a server. `Debug` does not show the token.
#[derive(Debug, Clone)]
pub struct HeldSignIn {
    /// The name of the client for messages, for example `Claude Code`.
    pub client: String,
    /// The state of the sign-in in the store.
    pub state: HeldSignInState,
    /// The access token, only if the state is [`HeldSignInState::Valid`]. Send it only to the URL of the server, and never store it.
    pub access_token: Option<SecretString>,
    /// Whether the store has a refresh token. Only the client that holds it can use it, so it is never sent.
    pub refresh_token: bool,
    /// When the access token expires, in ms since the Unix epoch. `None` if the store does not show it.
    pub expires_at_ms: Option<u64>,
}

impl HeldSignIn {
    /// Returns the evidence of this sign-in. It contains no token.
    pub fn evidence(&self) -> HeldSignInEvidence {
        HeldSignInEvidence {
            client: Some(self.client.clone()),
            state: Some(self.state),
            refresh_token: Some(self.refresh_token),
            expires_at_ms: self.expires_at_ms,
        }
    }
}

macro_rules! holders {
    ($($variant:ident, $id:literal, $name:literal, $doc:literal;)*) => {
        /// A program whose sign-ins this crate can read.
        ///
        /// The sign-ins of other clients are not read, because they are encrypted, in a keyring or in a database: the Cursor IDE, VS Code,
        /// Zed, Claude Desktop, opencode V2 (SQLite), Claude Code on macOS (the keychain), Gemini CLI with encrypted storage, and goose
        /// with a keyring.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum SignInHolder {
            $(#[doc = $doc] $variant,)*
        }

        impl SignInHolder {
            /// All holders.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name for messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the holder of the sign-ins of the client with an ID such as `claude-code`. `None` if they can't be read.
            pub fn of_client(id: &str) -> Option<Self> {
                match id {
                    $($id => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

holders! {
    ClaudeCode, "claude-code", "Claude Code", "Claude Code on Linux and Windows, and on macOS in a remote session.";
    GeminiCli, "gemini-cli", "Gemini CLI", "Gemini CLI without encrypted storage.";
    QwenCode, "qwen-code", "Qwen Code", "Qwen Code without encrypted storage.";
    Opencode, "opencode", "opencode", "opencode V1.";
    Kilo, "kilo", "Kilo Code", "Kilo Code.";
    CursorCli, "cursor", "Cursor CLI", "The command-line client of Cursor. Its store has no URLs.";
    Cline, "cline", "Cline", "Cline.";
    Antigravity, "antigravity", "Antigravity", "The command-line client of Antigravity.";
    Kiro, "kiro", "Kiro", "Kiro. It shares its store with Amazon Q.";
    AmazonQ, "amazon-q", "Amazon Q", "The command-line client of Amazon Q. It shares its store with Kiro.";
    Continue, "continue", "Continue", "Continue.";
    Crush, "crush", "Crush", "Crush. Its store has no URLs.";
    Goose, "goose", "goose", "goose without a keyring. Its store has no URLs.";
    McpRemote, "mcp-remote", "mcp-remote", "The program `mcp-remote`, which other clients start.";
}

impl fmt::Display for SignInHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where to look for the stores.
#[derive(Clone, Copy)]
pub struct StoreLocations<'a> {
    /// The machine. Its environment variables name the home folder, and the folders that a user has moved.
    pub machine: &'a dyn Machine,
    /// The folder of the project. The Cursor CLI has a store for each project.
    pub project: Option<&'a Path>,
}

/// The server whose sign-in is searched for.
pub struct SoughtServer<'a> {
    /// The name of the server in the configuration.
    pub name: &'a str,
    /// The URL of the server as written in the configuration, with its variables expanded.
    pub url: &'a str,
    /// The clients that have this server in their configuration. Only the stores of these clients can match by the name.
    pub owners: &'a [SignInHolder],
    /// The name of the client that starts the `mcp-remote` command, for messages. The user can't open `mcp-remote` itself.
    pub started_by: Option<&'a str>,
    /// The keys of the `mcp-remote` command, if the server is configured with one. They depend on its options.
    pub mcp_remote: Option<&'a StorageKeys>,
}

/// A store that exists, but could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreNote {
    /// The program to which the store belongs.
    pub holder: SignInHolder,
    /// The path of the store.
    pub path: PathBuf,
    /// The problem. It contains no text of the store.
    pub problem: String,
}

/// The sign-ins in the stores of other clients.
///
/// The stores are read once, in time that is linear in their size. Finding a sign-in then takes constant time, and reads at most a few
/// small files of the programs that have a file for each server.
///
/// ```
/// use std::time::SystemTime;
/// use mcp_startup_config::clients::ThisMachine;
/// use mcp_startup_config::held_sign_ins::{HeldSignIns, SignInHolder, StoreLocations};
/// use mcp_startup_config::ServerConfig;
///
/// let mut linear = ServerConfig::http("linear", "https://mcp.linear.app/mcp")?;
/// let locations = StoreLocations {
///     machine: &ThisMachine::default(),
///     project: None,
/// };
/// let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
/// let now_ms = i64::try_from(now.as_millis())?;
/// let mut held = HeldSignIns::read(SignInHolder::ALL, locations, now_ms);
/// held.attach(&mut linear, &[SignInHolder::ClaudeCode], None, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HeldSignIns<'a> {
    locations: StoreLocations<'a>,
    now_ms: i64,
    holders: Vec<SignInHolder>,
    entries: Vec<Entry>,
    /// The best entry for each URL.
    by_url: HashMap<String, usize>,
    /// The best entry for each URL and name.
    by_url_and_name: HashMap<(String, String), usize>,
    /// The first entry without a URL for each holder and name.
    by_name: HashMap<(SignInHolder, String), usize>,
    mcp_remote: McpRemoteFiles,
    notes: Vec<StoreNote>,
}

impl<'a> HeldSignIns<'a> {
    /// Reads the stores of these programs. `now_ms` is the current time in ms since the Unix epoch.
    pub fn read(holders: &[SignInHolder], locations: StoreLocations<'a>, now_ms: i64) -> Self {
        let mut found = Self {
            locations,
            now_ms,
            holders: holders.to_vec(),
            entries: Vec::new(),
            by_url: HashMap::new(),
            by_url_and_name: HashMap::new(),
            by_name: HashMap::new(),
            mcp_remote: McpRemoteFiles::default(),
            notes: Vec::new(),
        };
        let places = Places::new(locations);
        for store in stores::JSON_STORES {
            if holders.contains(&store.holder) {
                for path in places.of(store.holder) {
                    let entries =
                        json_store::read(store, &path, locations.machine, &mut found.notes);
                    found.extend(entries);
                }
            }
        }
        if holders.contains(&SignInHolder::Goose) {
            for path in places.of(SignInHolder::Goose) {
                let entries = goose_secrets::read(&path, locations.machine, &mut found.notes);
                found.extend(entries);
            }
        }
        if holders.contains(&SignInHolder::McpRemote) {
            for folder in places.of(SignInHolder::McpRemote) {
                found.mcp_remote.add(&folder, locations.machine);
            }
        }
        found
    }

    fn extend(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let at = self.entries.len();
            let holder = entry.holder;
            match (&entry.url, &entry.name) {
                (Some(url), name) => {
                    let key = url.as_str().to_owned();
                    if let Some(name) = name {
                        let known = self.by_url_and_name.entry((key.clone(), name.clone()));
                        better(&self.entries, known.or_insert(at), at, &entry, self.now_ms);
                    }
                    let known = self.by_url.entry(key).or_insert(at);
                    better(&self.entries, known, at, &entry, self.now_ms);
                }
                (None, Some(name)) => {
                    self.by_name.entry((holder, name.clone())).or_insert(at);
                }
                (None, None) => continue,
            }
            self.entries.push(entry);
        }
    }

    /// Returns the best sign-in for a server: a valid one, or an expired one, or else one whose store records only the name. If
    /// several are valid, returns the one with the name of the server, or else the one that expires last.
    ///
    /// A URL matches if it is the same text, or the same URL after parsing. Nothing matches by a prefix.
    pub fn find(&mut self, server: &SoughtServer<'_>) -> Option<HeldSignIn> {
        let url = Url::parse(server.url).ok()?;
        let mut candidates = Vec::new();
        if self.holders.contains(&SignInHolder::McpRemote) {
            let files = self.locations.machine;
            candidates.extend(self.mcp_remote.find(server, &url, files, &mut self.notes));
        }
        if let Some(holder) = self.kiro_or_amazon_q(server) {
            for folder in Places::new(self.locations).of(holder) {
                let found =
                    keyed_files::kiro(&folder, &url, self.locations.machine, &mut self.notes);
                // The name of the file has no query, so the token may be for another one.
                let records_url = url.query().is_none() && url.fragment().is_none();
                candidates.extend(found.map(|entry| Entry {
                    holder,
                    url: records_url.then(|| url.clone()),
                    ..entry
                }));
            }
        }
        let key = url.as_str();
        let by_url = self.by_url.get(key);
        let by_url_and_name = self
            .by_url_and_name
            .get(&(key.to_owned(), server.name.to_owned()));
        let by_name = server
            .owners
            .iter()
            .filter_map(|owner| self.by_name.get(&(*owner, server.name.to_owned())));
        let known = by_url.into_iter().chain(by_url_and_name).chain(by_name);
        candidates
            .iter()
            .chain(known.filter_map(|at| self.entries.get(*at)))
            .max_by_key(|entry| entry.rank(Some(server.name), self.now_ms))
            .map(|entry| entry.sign_in(server.started_by.map(str::to_owned), self.now_ms))
    }

    /// The client to name for a sign-in in the store that Kiro and Amazon Q share: the one that has the server in its configuration.
    fn kiro_or_amazon_q(&self, server: &SoughtServer<'_>) -> Option<SignInHolder> {
        let both = [SignInHolder::Kiro, SignInHolder::AmazonQ];
        let known = both
            .into_iter()
            .filter(|holder| self.holders.contains(holder));
        known
            .clone()
            .find(|holder| server.owners.contains(holder))
            .or(known.min())
    }

    /// Sets [`ServerConfig::held_sign_in`] to the best sign-in for this server. `owners` are the clients that have the server in their
    /// configuration. A server with a configured bearer token or `Authorization` header has none, and neither has a program.
    pub fn attach(
        &mut self,
        config: &mut ServerConfig,
        owners: &[SignInHolder],
        started_by: Option<&str>,
        mcp_remote: Option<&StorageKeys>,
    ) {
        config.held_sign_in = self.of_server(config, owners, started_by, mcp_remote);
    }

    /// Returns the sign-in that [`attach`](Self::attach) sets.
    fn of_server(
        &mut self,
        config: &ServerConfig,
        owners: &[SignInHolder],
        started_by: Option<&str>,
        mcp_remote: Option<&StorageKeys>,
    ) -> Option<HeldSignIn> {
        let TransportConfig::Http(http) = &config.transport else {
            return None;
        };
        let mut headers = http.headers.iter();
        let is_configured = http.bearer.is_some()
            || headers.any(|header| header.name.eq_ignore_ascii_case("authorization"));
        if is_configured {
            return None;
        }
        self.find(&SoughtServer {
            name: &config.name,
            url: &http.written_url,
            owners,
            started_by,
            mcp_remote,
        })
    }

    /// Returns the stores that exist but could not be read.
    pub fn notes(&self) -> &[StoreNote] {
        &self.notes
    }
}

/// Replaces a known entry if the new one at `at` is better.
fn better(entries: &[Entry], known: &mut usize, at: usize, entry: &Entry, now_ms: i64) {
    let is_better = entries
        .get(*known)
        .is_none_or(|known| known.rank(None, now_ms) < entry.rank(None, now_ms));
    if is_better {
        *known = at;
    }
}
