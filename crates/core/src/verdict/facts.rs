//! The rows: what the evidence holds, and the first row that it makes true.

use crate::credential::{AccessTokenWorth, same_issuer};
use crate::evidence::{
    CredentialSent, CredentialSource, DiscoveryOutcome, Evidence, IoTrouble, RequestEvidence,
    RequestTarget, SpawnFailure,
};
use crate::refusal::{self, RefusalMeaning};

use super::{Recovery, StartupFailureKind};

/// The evidence, with what the rows ask of it worked out once.
pub(super) struct Facts<'a> {
    pub(super) evidence: &'a Evidence,
    /// The last request to the MCP server: what it came to in the end.
    pub(super) answer: Option<&'a RequestEvidence>,
    /// The last request to the token endpoint.
    pub(super) refresh: Option<&'a RequestEvidence>,
    pub(super) stored: bool,
    pub(super) configured: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
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

    pub(super) fn row(&self) -> (StartupFailureKind, Recovery) {
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

    pub(super) fn refresh_meaning(&self) -> Option<RefusalMeaning> {
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
        let needed = match self.answer {
            None => !self.stored && self.evidence.process.is_none(),
            // What is stored was read, and could not be refreshed because nothing could be written.
            Some(_) if self.stored => self.wants_authorization() && self.refresh.is_none(),
            Some(_) => self.wants_authorization(),
        };
        troubled && needed && !self.configured
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

    pub(super) fn status(&self) -> Option<u16> {
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
