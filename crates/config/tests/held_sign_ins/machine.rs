//! Stores in memory and on a disk, and the servers that have sign-ins in the fixtures.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mcp_startup_config::clients::{Machine, System};
use mcp_startup_config::held_sign_ins::{
    HeldSignIns, SignInHolder, SoughtServer, StoreFiles, StoreLocations, StoreNote,
};
use mcp_startup_config::{Environment, HeldSignIn};
use secrecy::ExposeSecret;

/// When most tokens of the fixtures expire.
pub const EXPIRES: i64 = 1_795_900_000_000;
/// When the files were modified: one hour, the lifetime of their tokens, before that.
pub const MODIFIED: i64 = EXPIRES - 3_600_000;
pub const HOME: &str = "/home/sam";
pub const PROJECT: &str = "/home/sam/work/shop";

/// A store that records URLs: its holder, its fixture, and a server with a sign-in in it.
pub struct Recorded {
    pub holder: SignInHolder,
    pub fixture: &'static str,
    pub name: &'static str,
    pub url: &'static str,
    pub token: &'static str,
    pub expires: i64,
    /// The name of the field with the refresh token.
    pub refresh_field: &'static str,
}

pub fn recorded() -> Vec<Recorded> {
    let store = |holder, fixture, (name, url), expires, refresh_field| Recorded {
        holder,
        fixture,
        name,
        url,
        token: match holder {
            SignInHolder::McpRemote => "not-a-real-token-a",
            _ => "not-a-real-token",
        },
        expires,
        refresh_field,
    };
    let tickets = ("tickets", "https://tickets.example.com/mcp");
    let cloud = ("cloud", "https://cloud.example.com/mcp");
    let nested = ("nested", "https://nested.example.com/mcp");
    let maps = ("maps", "https://maps.example.com/mcp");
    let api = ("api", "https://api.example.com/mcp");
    let old = ("old", "https://old.example.com/sse");
    let plain = ("plain", "https://a.example.com/mcp");
    use SignInHolder::*;
    vec![
        store(ClaudeCode, "claude-code", tickets, EXPIRES, "refreshToken"),
        store(GeminiCli, "gemini-cli", cloud, EXPIRES, "refreshToken"),
        store(QwenCode, "qwen-code", cloud, EXPIRES, "refreshToken"),
        store(Opencode, "opencode-v1", tickets, EXPIRES, "refreshToken"),
        store(Kilo, "kilo", tickets, EXPIRES, "refreshToken"),
        // `lastAuthenticatedAt` and one hour.
        store(Cline, "cline", nested, 1_790_003_600_000, "refresh_token"),
        // 2026-11-28T12:00:00Z.
        store(
            Antigravity,
            "antigravity-cli",
            maps,
            1_795_867_200_000,
            "refresh_token",
        ),
        store(Kiro, "amazon-q-kiro", api, EXPIRES, "refresh_token"),
        store(Continue, "continue", old, EXPIRES, ""),
        store(McpRemote, "mcp-remote", plain, EXPIRES, "refresh_token"),
    ]
}

/// The stores that record only names: the holder, its fixture, and the name of a server.
pub const NAMED: [(SignInHolder, &str, &str); 3] = [
    (SignInHolder::CursorCli, "cursor-cli", "design"),
    (SignInHolder::Crush, "crush", "linear-like"),
    (SignInHolder::Goose, "goose", "tickets"),
];

/// Files in memory. All of them were modified at the same time.
#[derive(Default, Clone)]
pub struct Files {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub modified: Option<i64>,
    pub error: Option<io::ErrorKind>,
}

impl Files {
    /// The fixture of a client, below the home folder.
    pub fn of(fixture: &str) -> Self {
        let mut files = Self {
            modified: Some(MODIFIED),
            ..Self::default()
        };
        files.add(fixture);
        files
    }

    pub fn add(&mut self, fixture: &str) {
        let root = fixtures().join(fixture).join("home");
        for path in tree(&root) {
            let at = Path::new(HOME).join(path.strip_prefix(&root).unwrap());
            self.files.insert(at, fs::read(path).unwrap());
        }
    }

    pub fn with(path: &str, text: &str) -> Self {
        Self {
            files: BTreeMap::from([(path.into(), text.as_bytes().to_vec())]),
            modified: Some(MODIFIED),
            error: None,
        }
    }

    /// Changes the text of every file.
    pub fn map(mut self, change: impl Fn(&str) -> String) -> Self {
        for bytes in self.files.values_mut() {
            *bytes = change(std::str::from_utf8(bytes).unwrap()).into_bytes();
        }
        self
    }
}

impl StoreFiles for Files {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        match self.error {
            Some(error) => Err(error.into()),
            None if bytes.len() > limit => Err(io::ErrorKind::FileTooLarge.into()),
            None => Ok(bytes.clone()),
        }
    }

    fn modified_ms(&self, path: &Path) -> Option<i64> {
        self.files.get(path).and(self.modified)
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        let below = self.files.keys().filter_map(|path| {
            let mut rest = path.strip_prefix(folder).ok()?.components();
            Some(folder.join(rest.next()?))
        });
        let mut entries: Vec<_> = below.collect();
        entries.dedup();
        entries
    }
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/held_sign_ins")
}

/// All files below a folder.
pub fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(tree(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

pub fn home() -> BTreeMap<String, String> {
    BTreeMap::from([("HOME".to_owned(), HOME.to_owned())])
}

/// A machine with these files and variables.
pub struct TestMachine<'a> {
    pub files: &'a dyn StoreFiles,
    pub environment: BTreeMap<String, String>,
    pub system: System,
}

impl<'a> TestMachine<'a> {
    pub fn new(files: &'a dyn StoreFiles) -> Self {
        Self {
            files,
            environment: home(),
            system: System::Linux,
        }
    }

    pub fn locations(&self) -> StoreLocations<'_> {
        StoreLocations {
            machine: self,
            project: Some(Path::new(PROJECT)),
        }
    }
}

impl Machine for TestMachine<'_> {
    fn system(&self) -> System {
        self.system
    }

    fn environment(&self) -> &dyn Environment {
        &self.environment
    }

    fn exists(&self, _path: &Path) -> bool {
        unreachable!("the stores only read files and list folders")
    }
}

impl StoreFiles for TestMachine<'_> {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.files.read(path, limit)
    }

    fn modified_ms(&self, path: &Path) -> Option<i64> {
        self.files.modified_ms(path)
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.list(folder)
    }
}

/// Finds a sign-in in all stores. The server is configured in all clients.
pub fn find(files: &Files, name: &str, url: &str, now: i64) -> Option<HeldSignIn> {
    find_owned(files, name, url, now, SignInHolder::ALL).0
}

pub fn find_owned(
    files: &Files,
    name: &str,
    url: &str,
    now: i64,
    owners: &[SignInHolder],
) -> (Option<HeldSignIn>, Vec<StoreNote>) {
    let machine = TestMachine::new(files);
    let locations = machine.locations();
    let mut held = HeldSignIns::read(SignInHolder::ALL, locations, now);
    let found = held.find(&SoughtServer {
        name,
        url,
        owners,
        started_by: None,
        mcp_remote: None,
    });
    (found, held.notes().to_vec())
}

pub fn token(found: &HeldSignIn) -> Option<&str> {
    found.access_token.as_ref().map(ExposeSecret::expose_secret)
}

/// A Claude Code store with these records: key, name, URL, token and expiry.
pub fn claude(records: &[(&str, &str, &str, &str)]) -> Files {
    let records = records.iter().enumerate().map(|(at, (name, url, token, expires))| {
        format!(
            r#""{name}|{at}": {{"serverName": "{name}", "serverUrl": "{url}", "accessToken": "{token}", "expiresAt": {expires}}}"#
        )
    });
    let records: Vec<String> = records.collect();
    let text = format!("{{\"mcpOAuth\": {{{}}}}}", records.join(","));
    Files::with("/home/sam/.claude/.credentials.json", &text)
}
