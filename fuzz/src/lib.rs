//! Code that several targets share. The crates under test do not use it, so that it computes the expected results independently.

mod cost;
mod mutation;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_startup_config::clients::{Client, Machine, System, discover_client};
use mcp_startup_config::held_sign_ins::StoreFiles;
use mcp_startup_config::{CredentialStoreMode, Environment, ServerEntry, TransportConfig, parse};
use mcp_startup_core::{
    CredentialSource, Evidence, McpServerStatusUpdatedNotification, RequestTarget,
    StartupFailureKind, decode, encode, judge,
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use cost::{Cost, CountingAllocator, Linear, cost_of};
pub use mutation::{Layout, mutate};

/// Returns the members of a JSON object unchanged, including repeated names. Returns `None` if the JSON is not an object.
pub fn members(json: &[u8]) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Members(Vec<(String, Box<RawValue>)>);

    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Object;

            impl<'de> Visitor<'de> for Object {
                type Value = Members;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }

            deserializer.deserialize_map(Object)
        }
    }

    let members: Members = serde_json::from_slice(json).ok()?;
    Some(members.0)
}

/// Returns the lines of a text with their numbers, which begin at 1, without line breaks. An empty text after the last line break is
/// not a line.
pub fn numbered_lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    lines.pop_if(|line| line.is_empty());
    let without_carriage_return = |line| <[u8]>::strip_suffix(line, b"\r").unwrap_or(line);
    (1..).zip(lines.into_iter().map(without_carriage_return))
}

/// Returns whether a text can be shown as one line.
pub fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// A value that must not appear in any output.
const SECRET: &str = "s3cret-canary";

static ENVIRONMENT: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    [
        ("TOKEN", "s3cret-canary"),
        ("LINES", "s3cret-canary\nof two lines"),
        ("URL", "https://mcp.example/mcp?key=s3cret-canary"),
        ("BLANK", " "),
        ("EMPTY", ""),
        ("HOME", "/home/user"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
});

/// Reads a configuration, and checks the properties that hold for every text.
pub fn check_configuration(text: &str) {
    // A text that the file contains in plain sight may be shown, even if it is the secret.
    let hides_secret = |shown: &str| text.contains(SECRET) || !shown.contains(SECRET);
    let lines = text.matches('\n').count() as u32 + 1;
    let is_valid_line = |line: Option<u32>| line.is_none_or(|line| (1..=lines).contains(&line));

    let configuration = match parse(text, Path::new("/srv/codex/config.toml"), &*ENVIRONMENT) {
        Ok(configuration) => configuration,
        Err(error) => {
            let message = error.to_string();
            assert!(is_one_line(&message), "{message:?}");
            assert!(hides_secret(&message) && hides_secret(&format!("{error:?}")));
            assert!(
                is_valid_line(error.line()),
                "line {:?} of {lines}",
                error.line()
            );
            return;
        }
    };
    if let CredentialStoreMode::Unknown(mode) = &configuration.credentials.mode {
        assert!(is_one_line(mode), "{mode:?}");
    }
    let of_servers = configuration.servers.iter().flat_map(|server| {
        let causes = server.config.as_ref().map(|config| &config.possible_causes);
        let warnings = server.warnings.iter().chain(&server.compatibility_warnings);
        warnings.chain(causes.into_iter().flatten())
    });
    for warning in configuration.warnings.iter().chain(of_servers) {
        let message = warning.to_string();
        assert!(
            is_one_line(&message) && hides_secret(&message),
            "{message:?}"
        );
        assert!(is_valid_line(warning.line), "{message}");
    }
    for server in &configuration.servers {
        assert!(is_one_line(&server.name), "{:?}", server.name);
        let config = match &server.config {
            Ok(config) => config,
            Err(problem) => {
                let message = problem.to_string();
                assert!(is_one_line(&message), "{message:?}");
                assert!(hides_secret(&message), "{message:?}");
                assert!(
                    is_valid_line(problem.line),
                    "line {:?} of {lines}",
                    problem.line
                );
                continue;
            }
        };
        assert!(hides_secret(&format!("{config:?}")), "{config:?}");
        assert!((1..=200).contains(&config.name.len()));
        assert_eq!(config.name, server.name);
        let has_same_name = |other: &&ServerEntry| other.name == server.name;
        assert_eq!(
            configuration.servers.iter().filter(has_same_name).count(),
            1
        );
        if let Some(limit) = config.startup_timeout {
            assert!(!limit.is_zero() && limit <= Duration::from_secs(86_400));
        }
        match &config.transport {
            TransportConfig::Http(http) => {
                assert!(matches!(http.url.scheme(), "http" | "https"));
                assert!(http.url.username().is_empty() && http.url.password().is_none());
                assert_unique(http.headers.iter().map(|header| header.name.to_lowercase()));
            }
            TransportConfig::Stdio(stdio) => {
                assert!(!stdio.command.trim().is_empty());
                let mut texts = stdio.args.iter().chain([&stdio.command]);
                assert!(!texts.any(|text| text.contains('\0')));
                assert_unique(stdio.env.iter().map(|(name, _)| name));
            }
        }
    }
}

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// Returns how often a client has looked up an environment variable.
pub fn lookups() -> usize {
    LOOKUPS.load(Ordering::Relaxed)
}

/// A machine with one file of one client.
struct OneFile<'a> {
    path: &'static str,
    text: &'a str,
}

impl Environment for OneFile<'_> {
    fn get(&self, name: &str) -> Option<String> {
        LOOKUPS.fetch_add(1, Ordering::Relaxed);
        match name {
            "CONFIG_PATH" => Some("/srv/librechat.yaml".to_owned()),
            name => ENVIRONMENT.get(name).cloned(),
        }
    }
}

impl Machine for OneFile<'_> {
    fn system(&self) -> System {
        System::Linux
    }

    fn environment(&self) -> &dyn Environment {
        self
    }

    fn exists(&self, _path: &Path) -> bool {
        false
    }

    /// No other program writes the file.
    fn wait(&self, _time: Duration) {}
}

impl StoreFiles for OneFile<'_> {
    fn read(&self, path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
        match path == Path::new(self.path) {
            true => Ok(self.text.into()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, _folder: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Reads a file of goose, Continue or LibreChat, and checks the properties that hold for every text.
pub fn check_client_file(client: Client, text: &str) {
    let path = match client {
        Client::Goose => "/home/user/.config/goose/config.yaml",
        Client::Continue => "/home/user/.continue/config.yaml",
        _ => "/srv/librechat.yaml",
    };
    let hides_secret = |shown: &str| text.contains(SECRET) || !shown.contains(SECRET);
    let lines = text
        .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .count() as u32;
    let files = discover_client(client, &OneFile { path, text }, Path::new("/work"));
    for file in &files {
        if let Some(error) = &file.error {
            let message = error.to_string();
            assert!(
                is_one_line(&message) && hides_secret(&message),
                "{message:?}"
            );
            assert!(error.line().is_none_or(|line| (1..=lines).contains(&line)));
            assert!(file.servers.is_empty());
        }
        for server in &file.servers {
            let why = server.why_not_checkable().unwrap_or_default();
            assert!(is_one_line(&why) && hides_secret(&why), "{why:?}");
            // The name of a host is sent to a name server, so it is shown.
            let in_host = server.entry.config.as_ref().is_ok_and(|config| {
                let TransportConfig::Http(http) = &config.transport else {
                    return false;
                };
                http.url.host_str().is_some_and(|host| host.contains(SECRET))
            });
            assert!(in_host || hides_secret(&format!("{:?}", server.entry)));
        }
    }
}

fn assert_unique<T: Ord + fmt::Debug>(items: impl Iterator<Item = T>) {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    assert!(items.is_sorted_by(|one, next| one < next), "{items:?}");
}

/// Judges the evidence, and checks the properties that hold for every verdict.
pub fn check_verdict(evidence: &Evidence) -> StartupFailureKind {
    let failure = judge(evidence.clone());
    assert_eq!(failure.evidence(), evidence);
    let message = failure.message();
    assert!(!message.is_empty() && is_one_line(message), "{message:?}");
    assert!(message.chars().count() <= 300, "{message:?}");
    if let Some(server) = &evidence.server
        && server.bytes().all(|byte| byte.is_ascii_graphic())
        && server.len() <= 60
    {
        assert!(message.contains(server.as_str()), "{message:?}");
    }

    let requires_sign_in_again = failure.kind() == StartupFailureKind::ReauthenticationRequired;
    assert_eq!(failure.reason().is_some(), requires_sign_in_again);
    if requires_sign_in_again {
        let source = evidence
            .credential
            .as_ref()
            .and_then(|credential| credential.source);
        assert_eq!(source, Some(CredentialSource::Stored));
        let mut requests = evidence.requests.iter().rev();
        let last = requests.find(|request| request.to == Some(RequestTarget::Mcp));
        assert_eq!(last.and_then(|request| request.status), Some(401));
    }
    let notification = McpServerStatusUpdatedNotification::from_failure("x", &failure);
    assert_eq!(notification.failure_reason().cloned(), failure.reason());
    assert_eq!(
        decode(encode(&notification).as_bytes()),
        Ok(Some(notification))
    );
    failure.kind()
}
