//! The verdict: what the evidence of a failed start comes to.

use serde::{Deserialize, Serialize};

use crate::credential::AccessTokenWorth;
use crate::evidence::{
    CredentialSent, CredentialSource, DiscoveryOutcome, DiscoveryProblem, Evidence, IoTrouble,
    RequestEvidence, RequestTarget, SpawnFailure, StartPhase,
};
use crate::foreign_text::printable;
use crate::notification::McpServerStartupFailureReason;
use crate::refusal::{self, RefusalMeaning};

/// The longest message of a failure, in characters.
const MESSAGE_CHARS: usize = 300;
/// The longest part of a message that came from elsewhere, in characters.
const FOREIGN_CHARS: usize = 100;

/// What a failed start comes to, as a stable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StartupFailureKind {
    /// The entry of the configuration can't be used.
    InvalidConfiguration,
    /// The program is not on the PATH.
    ProgramNotFound,
    /// The start needed what is stored, and the store is locked, unreadable, corrupt, or of a kind that can't be read. It
    /// does not mean "signed out".
    CredentialStoreUnavailable,
    /// A token or header of the configuration, or an OAuth client of it, was refused.
    CredentialRejected,
    /// The server asks for more scope than the stored credentials were granted.
    InsufficientScope,
    /// The server refuses access, and no sign-in mends it.
    AccessDenied,
    /// Credentials are stored for this name and URL, the server refuses to go on without good ones, and they are spent.
    /// The only kind whose reason on the wire is not null.
    ReauthenticationRequired,
    /// The server wants authorization, and a refresh or the discovery could not be completed. What is stored stays stored.
    AuthorizationUnavailable,
    /// What the server publishes about its authorization can't be right.
    AuthorizationMisconfigured,
    /// The server wants a sign-in, and nothing is stored for this name and URL.
    SignInRequired,
    /// The server wants a key, publishes no OAuth, and nothing is configured.
    CredentialRequired,
    /// No connection: DNS, TCP or TLS.
    Unreachable,
    /// The time limit passed.
    TimedOut,
    /// The program ended.
    Exited,
    /// The server answered with an HTTP error.
    ServerError,
    /// Client and server have no version of MCP in common.
    UnsupportedProtocol,
    /// The answer is no MCP.
    NotMcp,
    /// Anything else; the cause is in the evidence.
    Other,
}

/// What mends a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Recovery {
    /// Nothing that the user of this client can do.
    None,
    /// Trying again, later.
    Retry,
    /// A first sign-in.
    SignIn,
    /// Signing in again.
    Reauthenticate,
    /// A sign-in that grants more scope.
    GrantScope,
    /// Changing the configuration.
    FixConfiguration,
    /// Unlocking or mending the place where credentials are stored.
    FixCredentialStore,
}

/// Why a start failed: a stable kind, a sentence for a person, what mends it, and the facts it was judged by.
///
/// Made by [`judge`] alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StartupFailure {
    kind: StartupFailureKind,
    message: String,
    recovery: Recovery,
    evidence: Evidence,
}

impl StartupFailure {
    /// What the start comes to, as a stable value.
    pub fn kind(&self) -> StartupFailureKind {
        self.kind
    }

    /// A sentence for a person, which names the server: at most 300 characters on one line, without control characters.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What mends it.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The facts it was judged by.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The reason on the wire: set for [`StartupFailureKind::ReauthenticationRequired`] and for nothing else.
    pub fn reason(&self) -> Option<McpServerStartupFailureReason> {
        match self.kind {
            StartupFailureKind::ReauthenticationRequired => {
                Some(McpServerStartupFailureReason::ReauthenticationRequired)
            }
            _ => None,
        }
    }
}

/// Judges a failed start by its evidence. Total: the least evidence gives [`StartupFailureKind::Other`].
///
/// The kinds of [`StartupFailureKind`] are tried in their order; the first whose case holds, wins.
///
/// ```
/// use mcp_startup_core::{judge, Evidence, Recovery, StartupFailureKind};
///
/// let first_sign_in: Evidence = serde_json::from_str(r#"{
///     "server": "linear",
///     "credential": {"source": "none"},
///     "requests": [{"to": "mcp", "credentialSent": "none", "status": 401}],
///     "discovered": {"outcome": "published", "issuer": "https://auth.example"}
/// }"#)?;
/// let failure = judge(first_sign_in);
/// assert_eq!((failure.kind(), failure.recovery()), (StartupFailureKind::SignInRequired, Recovery::SignIn));
/// assert_eq!(failure.reason(), None);
/// assert_eq!(judge(Evidence::default()).kind(), StartupFailureKind::Other);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn judge(evidence: Evidence) -> StartupFailure {
    let facts = Facts::of(&evidence);
    let (kind, recovery) = facts.row();
    let message = printable(&facts.message(kind), MESSAGE_CHARS);
    StartupFailure {
        kind,
        message,
        recovery,
        evidence,
    }
}

/// The evidence, with what the rows ask of it worked out once.
struct Facts<'a> {
    evidence: &'a Evidence,
    /// The last request to the MCP server: what it came to in the end.
    answer: Option<&'a RequestEvidence>,
    /// The last request to the token endpoint.
    refresh: Option<&'a RequestEvidence>,
    stored: bool,
    configured: bool,
}

impl<'a> Facts<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let last = |target| {
            evidence
                .requests
                .iter()
                .rev()
                .find(|request| request.to == Some(target))
        };
        let source = evidence.credential.as_ref().and_then(|found| found.source);
        Self {
            evidence,
            answer: last(RequestTarget::Mcp),
            refresh: last(RequestTarget::Token),
            stored: source == Some(CredentialSource::Stored),
            configured: source == Some(CredentialSource::Configuration),
        }
    }

    fn row(&self) -> (StartupFailureKind, Recovery) {
        use StartupFailureKind as Kind;
        let evidence = self.evidence;
        if evidence.configuration.is_some() {
            return (Kind::InvalidConfiguration, Recovery::FixConfiguration);
        }
        let process = evidence.process.as_ref();
        if process.is_some_and(|process| process.spawn == Some(SpawnFailure::NotFound)) {
            return (Kind::ProgramNotFound, Recovery::FixConfiguration);
        }
        if self.store_was_needed() {
            return (
                Kind::CredentialStoreUnavailable,
                Recovery::FixCredentialStore,
            );
        }
        if (self.configured && self.status() == Some(401))
            || (self.wants_authorization()
                && self.refresh_meaning() == Some(RefusalMeaning::ClientRejected))
        {
            return (Kind::CredentialRejected, Recovery::FixConfiguration);
        }
        if self.status() == Some(403) {
            return match self.stored && self.asks_for_scope() {
                true => (Kind::InsufficientScope, Recovery::GrantScope),
                false => (Kind::AccessDenied, Recovery::None),
            };
        }
        if self.wants_authorization() {
            return self.authorization_row();
        }
        match self.answer.and_then(|answer| answer.io) {
            Some(IoTrouble::Dns | IoTrouble::Connect | IoTrouble::Tls | IoTrouble::Closed) => {
                return (Kind::Unreachable, Recovery::Retry);
            }
            Some(IoTrouble::Timeout) => return (Kind::TimedOut, Recovery::Retry),
            Some(IoTrouble::TooLarge | IoTrouble::Malformed) | None => {}
        }
        if self.timed_out() {
            return (Kind::TimedOut, Recovery::Retry);
        }
        if process.is_some_and(|process| process.exit.is_some() || process.signal.is_some()) {
            return (Kind::Exited, Recovery::None);
        }
        match self.status() {
            Some(429 | 500..) => return (Kind::ServerError, Recovery::Retry),
            // An error of MCP's own that comes with a status is that error.
            Some(status) if !(200..300).contains(&status) && !self.names_its_versions() => {
                return (Kind::ServerError, Recovery::None);
            }
            _ => {}
        }
        let protocol = evidence.protocol.as_ref();
        if self.names_its_versions() {
            return (Kind::UnsupportedProtocol, Recovery::FixConfiguration);
        }
        if protocol.is_some_and(|protocol| protocol.not_mcp.is_some())
            || self.answered_in_a_foreign_type()
            || self.answer_was_no_answer()
        {
            return (Kind::NotMcp, Recovery::FixConfiguration);
        }
        (Kind::Other, Recovery::None)
    }

    /// The rows of a server that has answered 401 to a start without configured authorization.
    fn authorization_row(&self) -> (StartupFailureKind, Recovery) {
        use StartupFailureKind as Kind;
        if self.stored && self.is_spent() {
            return (Kind::ReauthenticationRequired, Recovery::Reauthenticate);
        }
        // The limit is the cause only where it ended what was still going on.
        let was_going_on = match self.refresh {
            Some(refresh) => refresh.status.is_none() && refresh.io.is_none(),
            None => match self.discovery() {
                None => true,
                Some(outcome) => self.stored && outcome == DiscoveryOutcome::Published,
            },
        };
        if self.timed_out() && was_going_on {
            return (Kind::TimedOut, Recovery::Retry);
        }
        if self.refresh_meaning() == Some(RefusalMeaning::Misconfigured) {
            return (Kind::AuthorizationMisconfigured, Recovery::None);
        }
        if self.refresh.is_some() {
            return (Kind::AuthorizationUnavailable, Recovery::Retry);
        }
        match self.discovery() {
            None | Some(DiscoveryOutcome::Unavailable) => {
                (Kind::AuthorizationUnavailable, Recovery::Retry)
            }
            Some(DiscoveryOutcome::Unusable) => (Kind::AuthorizationMisconfigured, Recovery::None),
            // Stored, not spent, and the refresh was not made.
            Some(DiscoveryOutcome::Published) if self.stored => {
                (Kind::AuthorizationUnavailable, Recovery::Retry)
            }
            Some(DiscoveryOutcome::Published) => (Kind::SignInRequired, Recovery::SignIn),
            // What is stored was granted by a server that no longer says where: no sign-in can mend that.
            Some(DiscoveryOutcome::NotPublished) if self.stored => {
                (Kind::AuthorizationMisconfigured, Recovery::None)
            }
            Some(DiscoveryOutcome::NotPublished) => {
                (Kind::CredentialRequired, Recovery::FixConfiguration)
            }
        }
    }

    /// Spent: the stored credential has been refused or can't be sent, and no refresh can mend it.
    fn is_spent(&self) -> bool {
        if self.sent() == Some(CredentialSent::Refreshed) {
            return true;
        }
        if self.refresh.is_some() {
            // It was sent: so it could be, and what came back decides.
            return self.refresh_meaning() == Some(RefusalMeaning::Spent);
        }
        let Some(worth) = self.evidence.credential.as_ref().and_then(|c| c.worth) else {
            return false;
        };
        let access_token_refused = worth.access_token == AccessTokenWorth::Absent
            || self.evidence.requests.iter().any(|request| {
                request.to == Some(RequestTarget::Mcp)
                    && request.credential_sent == Some(CredentialSent::Stored)
                    && request.status == Some(401)
            });
        access_token_refused && (!worth.refresh_token || self.refresh_token_may_not_be_sent())
    }

    /// A refresh token goes to the issuer that granted it and to no other: not, then, if that is unknown or not the one the
    /// server names.
    fn refresh_token_may_not_be_sent(&self) -> bool {
        let granted_by = self
            .evidence
            .credential
            .as_ref()
            .and_then(|credential| credential.stored_issuer.as_deref());
        let discovered = self.evidence.discovered.as_ref();
        let named = discovered.and_then(|discovered| discovered.issuer.as_deref());
        match (granted_by, named, self.discovery()) {
            (Some(granted_by), Some(named), Some(DiscoveryOutcome::Published)) => {
                !same_issuer(granted_by, named)
            }
            (None, _, _) => true,
            _ => false,
        }
    }

    fn refresh_meaning(&self) -> Option<RefusalMeaning> {
        let refresh = self.refresh?;
        let client = self
            .evidence
            .credential
            .as_ref()
            .and_then(|credential| credential.client_source);
        Some(refusal::meaning(
            refresh.status,
            refresh.oauth_error.as_deref(),
            client,
        ))
    }

    fn store_was_needed(&self) -> bool {
        let troubled = self
            .evidence
            .store
            .as_ref()
            .is_some_and(|store| store.trouble.is_some());
        troubled
            && !self.stored
            && !self.configured
            && match self.answer {
                None => self.evidence.process.is_none(),
                Some(_) => self.status() == Some(401),
            }
    }

    fn wants_authorization(&self) -> bool {
        self.status() == Some(401)
    }

    fn asks_for_scope(&self) -> bool {
        self.answer
            .and_then(|answer| answer.challenge.as_deref())
            .is_some_and(|challenge| error_attribute_is(challenge, "insufficient_scope"))
    }

    /// A page, or whatever else is neither of the two media types of an answer (MCP, Streamable HTTP).
    fn answered_in_a_foreign_type(&self) -> bool {
        let media_type = self
            .answer
            .filter(|answer| matches!(answer.status, Some(200..300)))
            .and_then(|answer| answer.content_type.as_deref())
            .map(|content_type| content_type.split(';').next().unwrap_or_default().trim());
        media_type.is_some_and(|found| {
            !["application/json", "text/event-stream"]
                .iter()
                .any(|known| found.eq_ignore_ascii_case(known))
        })
    }

    fn answer_was_no_answer(&self) -> bool {
        matches!(
            self.answer.and_then(|answer| answer.io),
            Some(IoTrouble::TooLarge | IoTrouble::Malformed)
        )
    }

    fn names_its_versions(&self) -> bool {
        let protocol = self.evidence.protocol.as_ref();
        protocol.is_some_and(|protocol| protocol.server_versions.is_some())
    }

    fn timed_out(&self) -> bool {
        match (self.evidence.elapsed_ms, self.evidence.limit_ms) {
            (Some(elapsed), Some(limit)) => elapsed >= limit,
            _ => false,
        }
    }

    fn status(&self) -> Option<u16> {
        self.answer.and_then(|answer| answer.status)
    }

    fn sent(&self) -> Option<CredentialSent> {
        self.answer.and_then(|answer| answer.credential_sent)
    }

    fn discovery(&self) -> Option<DiscoveryOutcome> {
        self.evidence
            .discovered
            .as_ref()
            .and_then(|discovered| discovered.outcome)
    }

    /// One sentence or two: what happened, and what to do next.
    fn message(&self, kind: StartupFailureKind) -> String {
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
                use crate::evidence::CredentialStoreTrouble as Trouble;
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
                        "set the store to `file`, or start the server with the client that wrote it",
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
                    Some(IoTrouble::Tls) => "the TLS connection failed",
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

/// Two issuers are one if they are the same string (RFC 8414, section 3.3); a slash at the end, which URL libraries add,
/// makes no other issuer.
fn same_issuer(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether a challenge has `error=VALUE` (RFC 6750, section 3), outside of any quoted text.
fn error_attribute_is(challenge: &str, value: &str) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    let attributes = challenge.split(|character: char| {
        match character {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' | ' ' | '\t' => return !quoted,
            _ => {}
        }
        false
    });
    attributes
        .filter_map(|attribute| attribute.split_once('='))
        .any(|(name, found)| name.eq_ignore_ascii_case("error") && found.trim_matches('"') == value)
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
