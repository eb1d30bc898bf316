//! The sentence for a person: what happened, and what to do next.
//!
//! It is read by somebody at a terminal or in front of a desktop app who knows nothing of OAuth: an authorization server is a
//! "sign-in service" here, and what is stored is "your sign-in". The technical side stays in the evidence.

use std::borrow::Cow;

use crate::evidence::{
    CredentialStoreTrouble, DiscoveryOutcome, DiscoveryProblem, IoTrouble, StartPhase, Transport,
};
use crate::foreign_text::printable;
use crate::refusal::RefusalMeaning;

use super::facts::Facts;
use super::{MESSAGE_CHARS, StartupFailureKind};

/// The longest name of a server in a message, in characters.
const NAME_CHARS: usize = 60;
/// The longest part of a message that came from elsewhere, in characters.
const FOREIGN_CHARS: usize = 100;
/// The longest key of a configuration: what is wrong with it has to have room beside it.
const KEY_CHARS: usize = 72;
/// The longest name of a store that is not known.
const STORE_CHARS: usize = 40;
/// The longest end of a message that came from elsewhere.
const SAID_CHARS: usize = 160;

/// A message in its parts. When there is no room for all, what was said by others is cut first, and what to do never.
struct Sentence {
    happened: String,
    /// With the punctuation between it and what happened.
    todo: Cow<'static, str>,
    /// What the server, its program or its file said of it, at the end of the message.
    said: Option<String>,
}

impl Sentence {
    fn new(happened: impl Into<String>, todo: impl Into<Cow<'static, str>>) -> Self {
        Self {
            happened: happened.into(),
            todo: todo.into(),
            said: None,
        }
    }

    fn that_says(self, said: &str) -> Self {
        Self {
            said: Some(printable(said, SAID_CHARS)),
            ..self
        }
    }

    fn into_message(self) -> String {
        let room = MESSAGE_CHARS.saturating_sub(self.todo.chars().count());
        let mut message = printable(&self.happened, room);
        message.push_str(&self.todo);
        if let Some(said) = self.said {
            let room = MESSAGE_CHARS.saturating_sub(message.chars().count());
            message.push_str(&printable(&said, room));
        }
        message
    }
}

impl Facts<'_> {
    /// One sentence or two: what happened, and what to do next.
    pub(super) fn message(&self, kind: StartupFailureKind) -> String {
        let name = self.evidence.server.as_deref();
        match name.filter(|name| !name.trim().is_empty()) {
            Some(name) => self
                .sentence(kind, &printable(name, NAME_CHARS))
                .into_message(),
            None => {
                let message = self.sentence(kind, "the MCP server").into_message();
                match message.strip_prefix("the ") {
                    Some(rest) => format!("The {rest}"),
                    None => message,
                }
            }
        }
    }

    fn sentence(&self, kind: StartupFailureKind, server: &str) -> Sentence {
        use StartupFailureKind as Kind;
        match kind {
            Kind::InvalidConfiguration => self.invalid_configuration(server),
            Kind::ProgramNotFound => self.program_not_found(server),
            Kind::CredentialStoreUnavailable => self.credential_store_unavailable(server),
            Kind::CredentialRejected => self.credential_rejected(server),
            Kind::InsufficientScope => Sentence::new(
                format!("{server} asks for more access than your sign-in grants"),
                ": sign in again and grant it, or sign in with an account that has it",
            ),
            Kind::AccessDenied => Sentence::new(
                format!("{server} does not let your account, key or network in (HTTP 403)"),
                ": ask its operator for access",
            ),
            Kind::ReauthenticationRequired => Sentence::new(
                format!("The sign-in to {server} has expired or was revoked"),
                ": sign in again",
            ),
            Kind::AuthorizationUnavailable => self.authorization_unavailable(server),
            Kind::AuthorizationMisconfigured => Sentence::new(
                format!(
                    "{server} asks for a sign-in, and {}",
                    self.misconfiguration()
                ),
                ": tell its operator, who has to mend that",
            ),
            Kind::SignInRequired => Sentence::new(
                format!("{server} asks for a sign-in, and you have not signed in to it yet"),
                ": sign in",
            ),
            Kind::CredentialRequired => Sentence::new(
                format!("{server} asks for a key or token (HTTP 401) and offers no sign-in"),
                ": get one from its operator and add it to the configuration",
            ),
            Kind::Unreachable => self.unreachable(server),
            Kind::TimedOut => self.timed_out_sentence(server),
            Kind::Exited => self.exited(server),
            Kind::ServerError => self.server_error(server),
            Kind::UnsupportedProtocol => self.unsupported_protocol(server),
            Kind::NotMcp => self.not_mcp(server),
            Kind::Other => self.other(server),
        }
    }

    fn invalid_configuration(&self, server: &str) -> Sentence {
        let found = self.evidence.configuration.as_ref();
        let key = found.and_then(|found| text_of(&found.key));
        let key = key.map(|key| printable(key, KEY_CHARS));
        let place = match (key, found.and_then(|found| found.line)) {
            (Some(key), Some(line)) => format!("`{key}` (line {line})"),
            (Some(key), None) => format!("`{key}`"),
            (None, Some(line)) => format!("line {line}"),
            (None, None) => "its entry".to_owned(),
        };
        let happened = format!("{server} is not configured correctly");
        match found.and_then(|found| text_of(&found.problem)) {
            Some(problem) => {
                Sentence::new(happened, format!(". Mend {place}: ")).that_says(problem)
            }
            None => Sentence::new(happened, format!(". Mend {place}")),
        }
    }

    fn program_not_found(&self, server: &str) -> Sentence {
        let process = self.evidence.process.as_ref();
        let program = process.and_then(|process| text_of(&process.program));
        let is_searched_for = !program.is_some_and(|program| program.contains(['/', '\\']));
        let path = process
            .and_then(|process| text_of(&process.path))
            .filter(|_| is_searched_for)
            .map_or_else(String::new, |path| {
                format!(" (searched: {})", foreign(path))
            });
        let place = match is_searched_for {
            true => " on the PATH",
            false => "",
        };
        Sentence::new(
            format!(
                "{server} could not be started: {} was not found{place}{path}",
                self.program()
            ),
            "; install it or correct `command`",
        )
    }

    fn credential_store_unavailable(&self, server: &str) -> Sentence {
        use CredentialStoreTrouble::{Corrupt, Locked, Unreadable, Unsupported};
        const DESKTOP_OR_FILE: &str = ": run this in your desktop session, or set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in";
        const FILE_OR_OTHER_CLIENT: &str = ": set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in, or use the client that wrote it";
        let store = self.evidence.store.as_ref();
        let name = store.and_then(|store| text_of(&store.kind));
        let trouble = store.and_then(|store| store.trouble).unwrap_or(Unreadable);
        let place: Cow<'_, str> = match name {
            Some("keyring") => "the system's keyring".into(),
            Some("file") => "the file `.credentials.json`".into(),
            Some("secrets") => "Codex's encrypted store".into(),
            Some(other) => format!("the store `{}`", printable(other, STORE_CHARS)).into(),
            None => "the store of sign-ins".into(),
        };
        // What was read and can't be used any more could not be written again.
        let was_read = self.stored;
        let (trouble, todo) = match (trouble, name) {
            (Locked, Some("secrets")) => (
                "is locked",
                ": unlock the system's keyring, which has its key, and try again",
            ),
            (Locked, Some("file")) => (
                "is in use by another program",
                ": try again when that is done with it",
            ),
            (Locked, _) => ("is locked", ": unlock it and try again"),
            (Unreadable, Some("file")) if was_read => (
                "can't be written to",
                ": check that you may write to it and that there is room on the disk, and try again",
            ),
            (Unreadable, _) if was_read => (
                "can't be written to",
                ": check that this program may write to it, and try again",
            ),
            (Unreadable, Some("file")) => (
                "can't be read",
                ": check that you may read it, and try again",
            ),
            (Unreadable, Some("keyring" | "secrets")) => {
                ("can't be reached from here", DESKTOP_OR_FILE)
            }
            (Unreadable, _) => (
                "can't be read",
                ": check that it is there and that you may read it, and try again",
            ),
            (Corrupt, Some("keyring")) => (
                "has a damaged entry for it",
                ": delete that entry and sign in again",
            ),
            (Corrupt, _) => (
                "is damaged",
                ": mend it, or move it away and sign in again; nothing in it was changed",
            ),
            (Unsupported, Some("secrets")) => (
                "can be read by Codex alone",
                ": use Codex, or set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in",
            ),
            (Unsupported, _) => ("can't be read here", FILE_OR_OTHER_CLIENT),
        };
        let happened = match was_read {
            true => format!("{server} needs your sign-in renewed, and {place} {trouble}"),
            false => {
                format!("{server} asks for a sign-in, and yours may be in {place}, which {trouble}")
            }
        };
        Sentence::new(happened, todo)
    }

    fn credential_rejected(&self, server: &str) -> Sentence {
        let credential = self.evidence.credential.as_ref();
        let name = credential.and_then(|credential| text_of(&credential.name));
        match (self.configured, name) {
            (true, Some(name)) => Sentence::new(
                format!(
                    "{server} refused the configured key or token (`{}`)",
                    foreign(name)
                ),
                ": replace its value",
            ),
            (true, None) => Sentence::new(
                format!("{server} refused the configured key or token"),
                ": replace it in the configuration",
            ),
            (false, _) => Sentence::new(
                format!(
                    "{server} needs your sign-in renewed, and its sign-in service refused the OAuth client of the configuration"
                ),
                ": correct its client id or secret",
            ),
        }
    }

    fn authorization_unavailable(&self, server: &str) -> Sentence {
        const LATER: &str = ": try again later; you stay signed in";
        match self.refresh_meaning() {
            Some(RefusalMeaning::Transient) => Sentence::new(
                format!(
                    "{server} needs your sign-in renewed, and its sign-in service could not do that now"
                ),
                LATER,
            ),
            Some(_) => {
                let code = self
                    .refresh
                    .and_then(|refresh| text_of(&refresh.oauth_error))
                    .map_or_else(String::new, |code| format!(" ({})", foreign(code)));
                Sentence::new(
                    format!(
                        "{server} needs your sign-in renewed, and its sign-in service refused to do that{code}"
                    ),
                    ": try again later, or sign in again",
                )
            }
            None if self.stored => Sentence::new(
                format!("{server} needs your sign-in renewed, and that could not be done now"),
                LATER,
            ),
            None => Sentence::new(
                format!("{server} asks for a sign-in, and where to sign in could not be found out"),
                ": try again later",
            ),
        }
    }

    /// What is wrong with what the server says of its authorization, as the rest of a sentence.
    fn misconfiguration(&self) -> &'static str {
        let discovered = self.evidence.discovered.as_ref();
        match discovered.and_then(|discovered| discovered.problem) {
            Some(DiscoveryProblem::ResourceMismatch) => {
                "what it publishes about signing in is for another server"
            }
            Some(DiscoveryProblem::NoAuthorizationServer) => {
                "it names no sign-in service that can be used"
            }
            Some(DiscoveryProblem::IssuerMismatch) => {
                "the sign-in service that it names says that it is another one"
            }
            Some(DiscoveryProblem::InvalidMetadata) => {
                "what it publishes about signing in is not valid"
            }
            None if self.refresh_meaning() == Some(RefusalMeaning::Misconfigured) => {
                "its sign-in service does not know it (invalid_target)"
            }
            None if discovered
                .is_some_and(|found| found.outcome == Some(DiscoveryOutcome::Unusable)) =>
            {
                "what it publishes about signing in can't be used"
            }
            None => "it no longer says where to sign in",
        }
    }

    fn unreachable(&self, server: &str) -> Sentence {
        const NETWORK: &str = "; check the network and its URL, and try again";
        let host = self
            .answer
            .and_then(|answer| text_of(&answer.url))
            .and_then(host_of)
            .map_or_else(String::new, |host| format!(" ({})", foreign(host)));
        let (what, todo) = match self.answer.and_then(|answer| answer.io) {
            Some(IoTrouble::Dns) => ("the address of its host was not found", NETWORK),
            Some(IoTrouble::Tls) => (
                "no secure (TLS) connection could be made",
                "; check its URL, and that this machine trusts your network's certificates (SSL_CERT_FILE), and try again",
            ),
            Some(IoTrouble::Closed) => ("it closed the connection without an answer", NETWORK),
            _ => ("no connection could be made", NETWORK),
        };
        Sentence::new(format!("{server} can't be reached: {what}{host}"), todo)
    }

    fn timed_out_sentence(&self, server: &str) -> Sentence {
        let limit = self.evidence.limit_ms.or(self.evidence.elapsed_ms);
        let limit = limit.map_or_else(
            || "in time".to_owned(),
            |ms| format!("within {}", seconds(ms)),
        );
        let (during, todo) = match self.evidence.phase {
            Some(StartPhase::ReadingCredentials) => (
                ", because reading your sign-in took too long",
                ": see whether a keyring waits to be unlocked, and try again",
            ),
            phase => {
                let during = match phase {
                    Some(StartPhase::Configuring) => {
                        ", because reading its configuration took too long"
                    }
                    Some(StartPhase::Launching) => ", because its program took too long to start",
                    Some(StartPhase::Authorizing) => ", because its sign-in service did not answer",
                    Some(StartPhase::Initializing) => ", because it did not answer the handshake",
                    _ => "",
                };
                (during, ": try again, or give it more time")
            }
        };
        Sentence::new(format!("{server} was not ready {limit}{during}"), todo)
    }

    fn exited(&self, server: &str) -> Sentence {
        let process = self.evidence.process.as_ref();
        let how = match process.map(|process| (process.exit, process.signal)) {
            Some((_, Some(signal))) => format!("was ended by signal {signal}"),
            Some((Some(code), None)) => format!("exited with {code}"),
            _ => "exited".to_owned(),
        };
        let last = process
            .and_then(|process| text_of(&process.stderr))
            .and_then(|text| text.lines().next_back())
            .map(str::trim);
        let happened = format!("{server}: {} {how} before it was ready", self.program());
        match last {
            Some(line) => Sentence::new(happened, MEND_OR_REPORT).that_says(line),
            None => Sentence::new(
                happened + " and did not say why",
                ": run its command in a terminal to see more, or ask its maker",
            ),
        }
    }

    fn server_error(&self, server: &str) -> Sentence {
        const URL_OR_OPERATOR: &str = ": check its URL, or ask its operator";
        let status = self.status().unwrap_or_default();
        match status {
            429 => Sentence::new(
                format!("{server} takes no more requests for now (HTTP 429)"),
                match self.answer.and_then(|answer| text_of(&answer.retry_after)) {
                    // Seconds, or a date (RFC 9110, section 10.2.3).
                    Some(after) => match after.parse::<u32>() {
                        Ok(seconds) => format!(": try again in {seconds} s").into(),
                        Err(_) => format!(": try again later (after {})", foreign(after)).into(),
                    },
                    None => Cow::from(": try again later"),
                },
            ),
            500.. => Sentence::new(
                format!("{server} has a problem of its own (HTTP {status})"),
                ": try again later",
            ),
            300..400 => Sentence::new(
                format!("{server} sends its clients to another URL (HTTP {status})"),
                URL_OR_OPERATOR,
            ),
            404 | 405 | 410 => Sentence::new(
                format!("{server} was not found at its URL (HTTP {status})"),
                URL_OR_OPERATOR,
            ),
            _ => {
                let happened = format!("{server} refused the request (HTTP {status})");
                let protocol = self.evidence.protocol.as_ref();
                match protocol.and_then(|protocol| text_of(&protocol.error)) {
                    Some(error) => Sentence::new(
                        happened,
                        ": check its URL, or report this to its operator: ",
                    )
                    .that_says(error),
                    None => Sentence::new(happened, URL_OR_OPERATOR),
                }
            }
        }
    }

    fn unsupported_protocol(&self, server: &str) -> Sentence {
        let protocol = self.evidence.protocol.as_ref();
        let versions: Vec<&str> = protocol
            .and_then(|protocol| protocol.server_versions.as_ref())
            .into_iter()
            .flatten()
            .map(|version| version.trim())
            .filter(|version| !version.is_empty())
            .collect();
        let versions = match versions.is_empty() {
            true => String::new(),
            false => format!(" (it offers {})", foreign(&versions.join(", "))),
        };
        Sentence::new(
            format!("{server} speaks no version of MCP that this client speaks{versions}"),
            ": update the server or this client",
        )
    }

    fn not_mcp(&self, server: &str) -> Sentence {
        let protocol = self.evidence.protocol.as_ref();
        let beginning = protocol.and_then(|protocol| text_of(&protocol.not_mcp));
        let why = match (self.answer.and_then(|answer| answer.io), beginning) {
            (Some(IoTrouble::TooLarge), _) => ": its answer is too large".to_owned(),
            (Some(IoTrouble::Malformed), _) => ": its answer is not HTTP".to_owned(),
            (_, Some(text)) => format!(": its answer begins with \"{}\"", foreign(text)),
            (_, None) => String::new(),
        };
        let todo = match self.evidence.transport {
            Some(Transport::Stdio) => "; check its `command`, or ask its maker",
            Some(Transport::Http) => "; check its URL",
            None => "; check its URL or `command`",
        };
        Sentence::new(format!("{server} does not speak MCP{why}"), todo)
    }

    fn other(&self, server: &str) -> Sentence {
        let happened = format!("{server} could not be started");
        let protocol = self.evidence.protocol.as_ref();
        let cause = protocol
            .and_then(|protocol| text_of(&protocol.error))
            .or(text_of(&self.evidence.cause));
        match cause {
            Some(cause) => Sentence::new(happened, MEND_OR_REPORT).that_says(cause),
            None => Sentence::new(
                happened + ", and nothing is known of why",
                ": report this to its maker",
            ),
        }
    }

    /// The program, as the subject of a sentence.
    fn program(&self) -> String {
        let process = self.evidence.process.as_ref();
        match process.and_then(|process| text_of(&process.program)) {
            Some(name) => format!("`{}`", foreign(name)),
            None => "its program".to_owned(),
        }
    }
}

/// Whose turn it is where only what was said can tell.
const MEND_OR_REPORT: &str = "; mend or report this: ";

/// A text of the evidence, where there is more of it than blanks.
fn text_of(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn foreign(text: &str) -> String {
    printable(text, FOREIGN_CHARS)
}

/// Host and port of a URL. That is all a message shows of it: a path may have a key in it, and so may all that evidence should
/// not have.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", ms as f64 / 1000.0),
    }
}
