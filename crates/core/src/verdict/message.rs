//! The sentence for a person: what happened, and what to do next.

use crate::evidence::{CredentialStoreTrouble, DiscoveryProblem, IoTrouble, StartPhase};
use crate::foreign_text::printable;
use crate::refusal::RefusalMeaning;

use super::StartupFailureKind;
use super::facts::Facts;

/// The longest part of a message that came from elsewhere, in characters.
const FOREIGN_CHARS: usize = 100;

impl Facts<'_> {
    /// One sentence or two: what happened, and what to do next.
    pub(super) fn message(&self, kind: StartupFailureKind) -> String {
        use StartupFailureKind as Kind;
        let evidence = self.evidence;
        let server = match evidence.server.as_deref() {
            Some(name) => printable(name, 60),
            None => "the MCP server".to_owned(),
        };
        let status = self.status().unwrap_or_default();
        let process = evidence.process.as_ref();
        let program = process
            .and_then(|process| process.program.as_deref())
            .map_or_else(
                || "its program".to_owned(),
                |name| format!("`{}`", foreign(name)),
            );
        match kind {
            Kind::InvalidConfiguration => {
                let found = evidence.configuration.clone().unwrap_or_default();
                let place = match (&found.key, found.line) {
                    (Some(key), Some(line)) => format!(" `{}` (line {line})", foreign(key)),
                    (Some(key), None) => format!(" `{}`", foreign(key)),
                    (None, Some(line)) => format!(" line {line}"),
                    (None, None) => " its entry".to_owned(),
                };
                let problem = found
                    .problem
                    .unwrap_or_else(|| "it can't be used".to_owned());
                format!(
                    "{server} is not configured correctly:{place}: {}",
                    printable(&problem, 160)
                )
            }
            Kind::ProgramNotFound => {
                let path = process
                    .and_then(|process| process.path.as_deref())
                    .map_or_else(String::new, |path| {
                        format!(" (searched: {})", printable(path, 120))
                    });
                format!(
                    "{server} could not be started: {program} was not found on the PATH{path}; install it or correct `command`"
                )
            }
            Kind::CredentialStoreUnavailable => {
                use CredentialStoreTrouble as Trouble;
                let store = evidence.store.clone().unwrap_or_default();
                let which = store
                    .kind
                    .map_or_else(String::new, |kind| format!(" ({})", foreign(&kind)));
                let (what, todo) = match store.trouble {
                    Some(Trouble::Locked) => ("is locked", "unlock it and try again"),
                    Some(Trouble::Corrupt) => (
                        "is damaged",
                        "mend or move the damaged file away; nothing in it was changed",
                    ),
                    Some(Trouble::Unsupported) => (
                        "is of a kind that can't be read here",
                        "set `mcp_oauth_credentials_store = \"file\"` in config.toml and sign in again there, or use the client that wrote it",
                    ),
                    Some(Trouble::Unreadable) | None => {
                        ("can't be read", "check that it is there and may be read")
                    }
                };
                format!(
                    "{server} asks for authorization, and the store of the credentials{which} {what}: {todo}"
                )
            }
            Kind::CredentialRejected => {
                let name = evidence
                    .credential
                    .as_ref()
                    .and_then(|credential| credential.name.as_deref());
                match (self.configured, name) {
                    (true, Some(name)) => format!(
                        "{server} refused the configured authorization (`{}`): replace its value",
                        foreign(name)
                    ),
                    (true, None) => {
                        format!("{server} refused the configured authorization: replace it")
                    }
                    (false, _) => format!(
                        "The authorization server of {server} refused the configured OAuth client: correct its client id or secret"
                    ),
                }
            }
            Kind::InsufficientScope => format!(
                "{server} asks for more access than was granted: sign in again and grant it"
            ),
            Kind::AccessDenied => format!(
                "{server} refused access (HTTP 403): the account or network that you use may not use it"
            ),
            Kind::ReauthenticationRequired => {
                format!("The sign-in to {server} has expired or was revoked: sign in again")
            }
            Kind::AuthorizationUnavailable => match self.refresh_meaning() {
                Some(RefusalMeaning::Undecided) => format!(
                    "{server} asks for authorization, and its authorization server did not renew the sign-in ({}): try again later, or sign in again",
                    self.refresh
                        .and_then(|r| r.oauth_error.as_deref())
                        .map_or_else(|| "no reason given".to_owned(), foreign)
                ),
                Some(_) => format!(
                    "{server} asks for authorization, and its authorization server could not renew the sign-in: try again later; you stay signed in"
                ),
                None if self.stored => format!(
                    "{server} asks for authorization, and the stored sign-in could not be renewed: try again later; you stay signed in"
                ),
                None => format!(
                    "{server} asks for authorization, and its authorization server could not be found out: try again later"
                ),
            },
            Kind::AuthorizationMisconfigured => {
                let why = match evidence
                    .discovered
                    .as_ref()
                    .and_then(|discovered| discovered.problem)
                {
                    Some(DiscoveryProblem::ResourceMismatch) => {
                        "its metadata is that of another resource"
                    }
                    Some(DiscoveryProblem::NoAuthorizationServer) => {
                        "it names no authorization server that can be used"
                    }
                    Some(DiscoveryProblem::IssuerMismatch) => {
                        "its authorization server's metadata is that of another issuer"
                    }
                    Some(DiscoveryProblem::InvalidMetadata) => "its metadata is not valid",
                    None if self.refresh_meaning() == Some(RefusalMeaning::Misconfigured) => {
                        "its authorization server does not know it (invalid_target)"
                    }
                    None => "it no longer says where to sign in",
                };
                format!("{server} asks for authorization, and {why}: its operator has to mend that")
            }
            Kind::SignInRequired => format!(
                "{server} asks for a sign-in, and you have not signed in to it yet: sign in"
            ),
            Kind::CredentialRequired => format!(
                "{server} asks for a key (HTTP 401) and offers no sign-in: add its token or header to the configuration"
            ),
            Kind::Unreachable => {
                let what = match self.answer.and_then(|answer| answer.io) {
                    Some(IoTrouble::Dns) => "the name of its host could not be resolved",
                    Some(IoTrouble::Tls) => {
                        "the TLS connection failed (where your network has a certificate authority of its own: SSL_CERT_FILE)"
                    }
                    Some(IoTrouble::Closed) => "it closed the connection without an answer",
                    _ => "no connection could be made",
                };
                let url = self
                    .answer
                    .and_then(|answer| answer.url.as_deref())
                    .map_or_else(String::new, |url| format!(" ({})", foreign(url)));
                format!(
                    "{server} can't be reached: {what}{url}; check the network and the URL, and try again"
                )
            }
            Kind::TimedOut => {
                let limit = evidence
                    .limit_ms
                    .or(evidence.elapsed_ms)
                    .map_or_else(String::new, |ms| format!(" within {}", seconds(ms)));
                let during = match evidence.phase {
                    Some(StartPhase::Configuring | StartPhase::ReadingCredentials) => {
                        " while its credentials were read"
                    }
                    Some(StartPhase::Launching) => " while its program was started",
                    Some(StartPhase::Initializing) => " to the handshake",
                    Some(StartPhase::Authorizing) => " while it was being authorized",
                    None => "",
                };
                format!("{server} did not answer{during}{limit}: try again, or give it more time")
            }
            Kind::Exited => {
                let process = process.cloned().unwrap_or_default();
                let how = match (process.exit, process.signal) {
                    (_, Some(signal)) => format!("was ended by signal {signal}"),
                    (Some(code), None) => format!("exited with {code}"),
                    (None, None) => "exited".to_owned(),
                };
                let last = process
                    .stderr
                    .as_deref()
                    .and_then(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
                match last {
                    Some(line) => format!(
                        "{server}: {program} {how} before it was ready; it last said: {}",
                        foreign(line.trim())
                    ),
                    None => format!(
                        "{server}: {program} {how} before it was ready, and said nothing on stderr"
                    ),
                }
            }
            Kind::ServerError => match status {
                429 => match self.answer.and_then(|answer| answer.retry_after.as_deref()) {
                    Some(after) => format!(
                        "{server} takes no more requests for now (HTTP 429): try again later (Retry-After: {})",
                        foreign(after)
                    ),
                    None => format!(
                        "{server} takes no more requests for now (HTTP 429): try again later"
                    ),
                },
                500.. => {
                    format!("{server} has a problem of its own (HTTP {status}): try again later")
                }
                300..400 => {
                    format!("{server} sends its clients elsewhere (HTTP {status}): check its URL")
                }
                404 | 405 | 410 => {
                    format!("{server} is not at this URL (HTTP {status}): check its URL")
                }
                _ => match evidence
                    .protocol
                    .as_ref()
                    .and_then(|protocol| protocol.error.as_deref())
                {
                    Some(error) => format!(
                        "{server} refused the request (HTTP {status}): {}",
                        foreign(error)
                    ),
                    None => format!(
                        "{server} refused the request (HTTP {status}): check its URL and its documentation"
                    ),
                },
            },
            Kind::UnsupportedProtocol => {
                let versions = evidence
                    .protocol
                    .as_ref()
                    .and_then(|protocol| protocol.server_versions.clone())
                    .unwrap_or_default()
                    .join(", ");
                format!(
                    "{server} speaks no version of MCP that this client does (it offers: {}): update one of them",
                    foreign(&versions)
                )
            }
            Kind::NotMcp => {
                let beginning = evidence
                    .protocol
                    .as_ref()
                    .and_then(|protocol| protocol.not_mcp.as_deref())
                    .filter(|text| !text.trim().is_empty());
                let why = match (self.answer.and_then(|answer| answer.io), beginning) {
                    (Some(IoTrouble::TooLarge), _) => {
                        ": its answer is larger than is read".to_owned()
                    }
                    (Some(IoTrouble::Malformed), _) => ": its answer is no HTTP".to_owned(),
                    (_, Some(text)) => format!(": its answer begins with \"{}\"", foreign(text)),
                    (_, None) => String::new(),
                };
                format!("{server} does not speak MCP{why}; check its URL or command")
            }
            Kind::Other => {
                let cause = evidence
                    .protocol
                    .as_ref()
                    .and_then(|protocol| protocol.error.as_deref())
                    .or(evidence.cause.as_deref());
                match cause {
                    Some(cause) => {
                        format!("{server} could not be started: {}", printable(cause, 160))
                    }
                    None => format!("{server} could not be started, and nothing is known of why"),
                }
            }
        }
    }
}

fn foreign(text: &str) -> String {
    printable(text, FOREIGN_CHARS)
}

fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", ms as f64 / 1000.0),
    }
}
