//! Derives the kind and the recovery from the evidence: the rows of the table of kinds, of which the first that applies wins.
//! Writes no message.

mod credential;

use crate::challenge::attribute;
use crate::credential::{AccessTokenWorth, same_issuer};
use crate::evidence::{
    ClientSource, CredentialSent, CredentialSource, DiscoveryOutcome, DiscoveryProblem, Evidence,
    IoTrouble, RequestEvidence, RequestTarget, SpawnFailure, StartPhase,
};
use crate::refusal::{self, RefusalMeaning};

use std::borrow::Cow;

pub(super) use self::credential::UnreadToken;
pub use self::credential::{has_required_scopes, refuses_credential};
use super::program_output::{is_request, other_purpose, question, reason};
use super::quotes::{
    framing_fault, is_generic_error, names_unknown_session, repeats_request, sentence,
};
use super::{Recovery, StartupFailureKind};

/// The evidence, with the facts that several rows use.
pub(super) struct Facts<'a> {
    pub(super) evidence: &'a Evidence,
    /// The last request to the MCP server. Its response decides.
    pub(super) answer: Option<&'a RequestEvidence>,
    /// The request to the token endpoint that decides: the refresh.
    pub(super) refresh: Option<&'a RequestEvidence>,
    pub(super) stored: bool,
    pub(super) configured: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
        let sent_to = |target| {
            let requests = evidence.requests.iter().rev();
            requests.filter(move |request| request.to == Some(target))
        };
        let source = evidence.credential.as_ref().and_then(|found| found.source);
        Self {
            evidence,
            answer: sent_to(RequestTarget::Mcp).next(),
            refresh: refresh_of(sent_to(RequestTarget::Token)),
            stored: source == Some(CredentialSource::Stored),
            configured: source == Some(CredentialSource::Configuration),
        }
    }

    /// The recovery that may fix the failure if the one of its kind does not.
    pub(super) fn fallback(&self, kind: StartupFailureKind) -> Option<Recovery> {
        let may_be_spent = kind == StartupFailureKind::AuthorizationUnavailable
            && self.refresh_meaning() == Some(RefusalMeaning::Undecided);
        may_be_spent.then_some(Recovery::Reauthenticate)
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
        if (self.configured && self.rejects_credential())
            || (self.requires_authorization()
                && self.refresh_meaning() == Some(RefusalMeaning::ClientRejected))
        {
            return (Kind::CredentialRejected, Recovery::FixConfiguration);
        }
        if self.lacks_the_spent_token() {
            return (Kind::ReauthenticationRequired, Recovery::Reauthenticate);
        }
        let is_held = self.is_held_by_client();
        if self.stored && self.requires_more_access() && !self.has_required_scopes() {
            return (Kind::InsufficientScope, Recovery::GrantScope);
        }
        if self.status() == Some(403) && !is_held {
            return (Kind::AccessDenied, Recovery::None);
        }
        if evidence.exceeded.is_some() {
            return (Kind::LimitExceeded, Recovery::None);
        }
        if is_held {
            let unread = self.unread_row().filter(|_| !self.requires_more_access());
            return unread.unwrap_or((Kind::SignInHeldByClient, Recovery::OpenClient));
        }
        if self.requires_authorization() {
            return self.authorization_row();
        }
        match self.answer.and_then(|answer| answer.io) {
            Some(
                IoTrouble::Dns
                | IoTrouble::Connect
                | IoTrouble::ProxyRefused
                | IoTrouble::Tls
                | IoTrouble::Closed,
            ) => return (Kind::Unreachable, Recovery::Retry),
            Some(IoTrouble::Timeout) => return (Kind::TimedOut, Recovery::Retry),
            Some(IoTrouble::TooLarge | IoTrouble::Malformed) | None => {}
        }
        if self.invalid_result().is_some() {
            // Only the author of the server can fix it.
            return (Kind::NotMcp, Recovery::None);
        }
        if self.timed_out() {
            return match self.stdout() {
                Some(stdout) if repeats_request(stdout) || framing_fault(stdout).is_some() => {
                    (Kind::NotMcp, Recovery::FixConfiguration)
                }
                Some(_) if self.question().is_none() && self.request().is_some() => {
                    (Kind::TimedOut, Recovery::Retry)
                }
                // More time does not help a program that uses its stdout for other things, or reports another purpose.
                Some(_) => (Kind::TimedOut, Recovery::FixConfiguration),
                None if self.other_purpose().is_some() || self.question().is_some() => {
                    (Kind::TimedOut, Recovery::FixConfiguration)
                }
                None => (Kind::TimedOut, Recovery::Retry),
            };
        }
        if process.is_some_and(|process| process.exit.is_some() || process.signal.is_some()) {
            return (Kind::Exited, Recovery::None);
        }
        match self.status() {
            // The answer of a proxy (RFC 9110, section 15.5.8), or of the network (RFC 6585, section 6).
            Some(407 | 511) => return (Kind::Unreachable, Recovery::Retry),
            // The server does not support the request (RFC 9110, sections 15.6.2 and 15.6.6).
            Some(501 | 505) => return (Kind::ServerError, Recovery::None),
            Some(status) if refusal::is_transient(status) => {
                return (Kind::ServerError, Recovery::Retry);
            }
            // If an MCP error comes with an HTTP error status, the MCP error decides.
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
            || self.has_foreign_media_type()
            || self.response_was_unreadable()
        {
            return (Kind::NotMcp, Recovery::FixConfiguration);
        }
        (Kind::Other, Recovery::None)
    }

    /// Returns the row for a server that responded with 401 to a start without a configured credential.
    fn authorization_row(&self) -> (StartupFailureKind, Recovery) {
        use StartupFailureKind as Kind;
        if self.stored && self.is_spent() {
            return (Kind::ReauthenticationRequired, Recovery::Reauthenticate);
        }
        if self.stored
            && !self.refresh_has_failed()
            && let Some(row) = self.unread_row()
        {
            return row;
        }
        // The time limit is the cause only if it interrupted a request.
        let was_interrupted = match self.refresh {
            Some(refresh) => refresh.status.is_none() && refresh.io.is_none(),
            None => match self.discovery() {
                None => true,
                Some(outcome) => self.stored && outcome == DiscoveryOutcome::Published,
            },
        };
        if self.timed_out() && was_interrupted {
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
            // The stored credential can still be refreshed, but no refresh was sent.
            Some(DiscoveryOutcome::Published) if self.stored => {
                (Kind::AuthorizationUnavailable, Recovery::Retry)
            }
            Some(DiscoveryOutcome::Published) => match self.discovery_problem() {
                None => (Kind::SignInRequired, Recovery::SignIn),
                Some(
                    DiscoveryProblem::ClientRequired | DiscoveryProblem::ClientDocumentRequired,
                ) => (Kind::ClientRequired, Recovery::FixConfiguration),
                Some(DiscoveryProblem::PkceNotPublished) => {
                    (Kind::AuthorizationMisconfigured, Recovery::FixConfiguration)
                }
                Some(_) => (Kind::AuthorizationMisconfigured, Recovery::None),
            },
            // The stored credential was issued when the server published OAuth metadata, but now it publishes none. Signing in
            // does not fix this.
            Some(DiscoveryOutcome::NotPublished) if self.stored => {
                (Kind::AuthorizationMisconfigured, Recovery::None)
            }
            Some(DiscoveryOutcome::NotPublished) => {
                (Kind::CredentialRequired, Recovery::FixConfiguration)
            }
        }
    }

    /// Returns the row for a server, or a gateway in front of it, that did not read the token of a sign-in.
    fn unread_row(&self) -> Option<(StartupFailureKind, Recovery)> {
        use StartupFailureKind as Kind;
        let was_sent = !matches!(self.sent(), None | Some(CredentialSent::None));
        match self.unread_token() {
            Some(UnreadToken::LostHeader | UnreadToken::Proof) => {
                Some((Kind::AuthorizationMisconfigured, Recovery::None))
            }
            Some(UnreadToken::Key) => Some((Kind::CredentialRequired, Recovery::FixConfiguration)),
            None if self.other_scheme().is_some() && (was_sent || self.stored) => {
                Some((Kind::CredentialRequired, Recovery::FixConfiguration))
            }
            None => None,
        }
    }

    /// Returns whether the stored credential can no longer be used: it was rejected or can't be sent, and can't be refreshed.
    fn is_spent(&self) -> bool {
        // A gateway that requires another scheme does not read the token.
        let is_read = self.other_scheme().is_none() && self.unread_token().is_none();
        if self.sent() == Some(CredentialSent::Refreshed) {
            return is_read;
        }
        if self.refresh.is_some() {
            // The refresh token could be sent, so the response decides.
            return self.refresh_meaning() == Some(RefusalMeaning::Spent);
        }
        let Some(worth) = self.evidence.credential.as_ref().and_then(|c| c.worth) else {
            return false;
        };
        let is_expired = worth.access_token == AccessTokenWorth::Expired;
        let access_token_refused = worth.access_token == AccessTokenWorth::Absent
            || (is_read || is_expired)
                && self.evidence.requests.iter().any(|request| {
                    request.to == Some(RequestTarget::Mcp)
                        && request.credential_sent == Some(CredentialSent::Stored)
                        && request.status == Some(401)
                });
        access_token_refused && (!worth.refresh_token || self.refresh_token_may_not_be_sent())
    }

    /// Returns whether the refresh token must not be sent, because its issuer is unknown or is not the one that the server
    /// names. A refresh token must only be sent to the issuer that issued it.
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
        // Without a complete response, nothing was refused.
        let status = match refresh.io {
            None | Some(IoTrouble::TooLarge) => refresh.status,
            Some(_) => None,
        };
        Some(refusal::meaning(
            status,
            refresh.oauth_error.as_deref(),
            client,
        ))
    }

    fn store_was_needed(&self) -> bool {
        let is_unavailable = self
            .evidence
            .store
            .as_ref()
            .is_some_and(|store| store.trouble.is_some());
        let needed = match self.answer {
            None => !self.stored && self.evidence.process.is_none(),
            // The stored credential was read, but was not refreshed because the store can't be written to.
            Some(_) if self.stored => self.requires_authorization() && self.refresh.is_none(),
            Some(_) => self.requires_authorization(),
        };
        is_unavailable && needed && !self.configured
    }

    fn requires_authorization(&self) -> bool {
        self.status() == Some(401) && !self.has_lost_session()
    }

    /// Returns whether the server has answered the handshake, and then reports with HTTP 401 that it does not know the session. It accepted
    /// the credential before, or needs none.
    pub(super) fn has_lost_session(&self) -> bool {
        let words = || self.words();
        self.status() == Some(401)
            && self.method_after_handshake().is_some()
            && words().is_some_and(|words| names_unknown_session(&words))
    }

    /// Returns whether the server requires a credential, there is none of our own, and another client holds a sign-in.
    fn is_held_by_client(&self) -> bool {
        let is_ours = self.stored || self.configured || self.refresh.is_some();
        let is_refused = self.sent() == Some(CredentialSent::Held)
            && (self.rejects_credential() || self.requires_more_access());
        self.evidence.held_sign_in.is_some()
            && !is_ours
            && (self.requires_authorization() || is_refused)
    }

    /// Returns whether a refresh was sent and granted no token.
    pub(super) fn refresh_has_failed(&self) -> bool {
        self.refresh.is_some() && self.sent() != Some(CredentialSent::Refreshed)
    }

    /// Returns whether a sign-in can begin, as far as the discovery shows.
    pub(super) fn offers_sign_in(&self) -> bool {
        self.discovery() == Some(DiscoveryOutcome::Published) && self.discovery_problem().is_none()
    }

    /// Returns the sentence in the body of the error response, or the description in its challenge (RFC 6750, section 3). A body with
    /// only a code is no explanation.
    pub(super) fn words(&self) -> Option<Cow<'_, str>> {
        let answer = self.answer?;
        let body = answer.body.as_deref().and_then(sentence);
        let explains = |words: &Cow<'_, str>| words.contains(' ');
        if body.as_ref().is_some_and(explains) {
            return body;
        }
        let challenge = answer.challenge.as_deref();
        let description = challenge.and_then(|text| attribute(text, "error_description"));
        let description = description.and_then(|text| Some(sentence(&text)?.into_owned().into()));
        description.or(body)
    }

    /// Returns the output of a stdio server that is not MCP.
    pub(super) fn stdout(&self) -> Option<&str> {
        let process = self.evidence.process.as_ref()?;
        let is_stdio =
            self.answer.is_none() && self.evidence.phase != Some(StartPhase::ReadingCredentials);
        text_of(&process.stdout).filter(|_| is_stdio)
    }

    /// Returns whether the server only repeats what it is sent.
    pub(super) fn repeats_requests(&self) -> bool {
        let protocol = self.evidence.protocol.as_ref();
        let beginning = protocol.and_then(|protocol| text_of(&protocol.not_mcp));
        [beginning, self.stdout()]
            .into_iter()
            .flatten()
            .any(repeats_request)
    }

    /// Returns the line of the output of a program that shows another purpose than MCP over stdio, with its name and the remedy.
    pub(super) fn other_purpose(&self) -> Option<(&str, &'static str, &'static str)> {
        let process = self.evidence.process.as_ref()?;
        let output = [text_of(&process.stderr), self.stdout()];
        let is_in_handshake = self.evidence.phase == Some(StartPhase::Initializing);
        output
            .into_iter()
            .flatten()
            .find_map(other_purpose)
            .filter(|_| is_in_handshake)
    }

    /// Returns the output of a stdio server that ends with a question, to which it waits for an answer, and the question.
    pub(super) fn question(&self) -> Option<(&str, String)> {
        let process = self.evidence.process.as_ref()?;
        let outputs = [self.stdout(), text_of(&process.stderr)];
        let mut outputs = outputs.into_iter().flatten();
        outputs.find_map(|output| Some((output, question(output)?)))
    }

    /// Returns the lines in which a stdio server asks the user to sign in, or to confirm something, at an address.
    pub(super) fn request(&self) -> Option<String> {
        let process = self.evidence.process.as_ref()?;
        let outputs = [self.stdout(), text_of(&process.stderr)];
        let mut reasons = outputs
            .into_iter()
            .flatten()
            .filter_map(|output| reason(output, true));
        reasons.find(|reason| is_request(reason))
    }

    /// Returns the error with which the server responded, or that it logged.
    pub(super) fn protocol_error(&self) -> Option<&str> {
        let protocol = self.evidence.protocol.as_ref()?;
        text_of(&protocol.error)
    }

    /// Returns whether the error with which the server responded names no reason.
    pub(super) fn has_generic_error(&self) -> bool {
        let protocol = self.evidence.protocol.as_ref();
        let message = protocol.and_then(|protocol| protocol.error_message.as_deref());
        let error = self.protocol_error();
        error.is_some_and(|error| is_generic_error(message.unwrap_or(error)))
    }

    /// Returns the method whose result is invalid, and the problem with it.
    pub(super) fn invalid_result(&self) -> Option<(&str, &str)> {
        let protocol = self.evidence.protocol.as_ref()?;
        let method = text_of(&protocol.invalid_method).unwrap_or("initialize");
        Some((method, text_of(&protocol.invalid_field)?))
    }

    /// Returns the method of the last message to the MCP server, if the server had already accepted the handshake.
    pub(super) fn method_after_handshake(&self) -> Option<&str> {
        let is_handshake = |method: &str| matches!(method, "initialize" | "server/discover");
        let method = self.answer?.method.as_deref()?;
        let accepted = self.evidence.requests.iter().any(|request| {
            request.to == Some(RequestTarget::Mcp)
                && request.method.as_deref().is_some_and(is_handshake)
                && matches!(request.status, Some(200..300))
        });
        (accepted && !is_handshake(method)).then_some(method)
    }

    /// Returns whether the response has a media type that Streamable HTTP does not allow, for example that of an HTML page.
    fn has_foreign_media_type(&self) -> bool {
        self.foreign_media_type().is_some()
    }

    /// Returns that media type.
    pub(super) fn foreign_media_type(&self) -> Option<&str> {
        let media_type = self
            .answer
            .filter(|answer| matches!(answer.status, Some(200..300)))
            .and_then(|answer| answer.content_type.as_deref())
            .map(|content_type| content_type.split(';').next().unwrap_or_default().trim());
        media_type.filter(|found| {
            !["application/json", "text/event-stream"]
                .iter()
                .any(|known| found.eq_ignore_ascii_case(known))
        })
    }

    fn response_was_unreadable(&self) -> bool {
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

    pub(super) fn sent(&self) -> Option<CredentialSent> {
        self.answer.and_then(|answer| answer.credential_sent)
    }

    pub(super) fn discovery_problem(&self) -> Option<DiscoveryProblem> {
        let discovered = self.evidence.discovered.as_ref();
        discovered.and_then(|discovered| discovered.problem)
    }

    fn discovery(&self) -> Option<DiscoveryOutcome> {
        self.evidence
            .discovered
            .as_ref()
            .and_then(|discovered| discovered.outcome)
    }
}

/// Returns the refresh, of the requests to the token endpoint from the last to the first: the last one. If that was refused without a
/// reason that decides, because it was repeated in another form, an earlier refusal of the client decides.
fn refresh_of<'a>(
    mut requests: impl Iterator<Item = &'a RequestEvidence>,
) -> Option<&'a RequestEvidence> {
    let meaning = |request: &RequestEvidence, client| {
        refusal::meaning(request.status, request.oauth_error.as_deref(), client)
    };
    let rejects_client = |request: &&RequestEvidence| {
        let configured = meaning(request, Some(ClientSource::Configuration));
        request.io.is_none() && configured == RefusalMeaning::ClientRejected
    };
    let last = requests.next()?;
    let is_refused = matches!(last.status, Some(400..500));
    if !is_refused || meaning(last, None) != RefusalMeaning::Undecided || rejects_client(&last) {
        return Some(last);
    }
    Some(requests.find(rejects_client).unwrap_or(last))
}

/// Returns a text of the evidence, or `None` if it is blank.
pub(super) fn text_of(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}
