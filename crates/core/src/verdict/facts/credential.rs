//! The facts that the answer of a server reports about the credential of its request: it is missing, not valid or not enough.

use crate::challenge::{attribute, attributes, error_attribute_is, has_scheme, key_scheme};
use crate::credential::AccessTokenWorth;
use crate::evidence::{CredentialEvidence, CredentialSent, RequestEvidence};
use crate::printable::printable;
use crate::refusal::RefusalMeaning;

use super::super::quotes::{Lacking, blames_credential, lacking, sentence};
use super::Facts;

/// The text with which Amazon API Gateway answers an unknown route, also if that needs no token.
const UNKNOWN_ROUTE: &str = "Missing Authentication Token";

/// Returns whether a server may refuse a credential with this status instead of 401, which its words show. Some vendors have statuses of their
/// own: 440, 498 and 499.
#[doc(hidden)]
pub fn refuses_credential(status: u16) -> bool {
    matches!(status, 400 | 403 | 422 | 440 | 498 | 499)
}

/// Returns whether a server has refused (HTTP 403) a token of the stored credential to which every scope in the challenge was granted.
/// A new sign-in would grant nothing more.
///
/// Returns false if this is not certain: the granted scopes are unknown, the challenge names none, the token has expired, or another
/// token or none was sent. HTTP 401 can also mean that the token is not valid.
#[doc(hidden)]
pub fn has_required_scopes(credential: &CredentialEvidence, refused: &RequestEvidence) -> bool {
    let is_in_use = match refused.credential_sent {
        Some(CredentialSent::Refreshed) => true,
        // A host may have sent another token than a stored one that is absent or has expired.
        Some(CredentialSent::Stored) => credential.worth.is_none_or(|worth| {
            use AccessTokenWorth::{ExpiryUnknown, Good};
            matches!(worth.access_token, Good | ExpiryUnknown)
        }),
        _ => false,
    };
    let granted = credential.granted_scopes.as_deref().unwrap_or_default();
    let challenge = refused.challenge.as_deref().unwrap_or_default();
    // All challenges of the header: it is not known which one applies.
    let required: Vec<String> = attributes(challenge, "scope").collect();
    let mut required = required
        .iter()
        .flat_map(|scopes| scopes.split_whitespace())
        .peekable();
    refused.status == Some(403)
        && is_in_use
        && required.peek().is_some()
        && required.all(|scope| granted.iter().any(|granted| granted == scope))
}

/// Why a server did not read the token that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum UnreadToken {
    /// It requires a key, in a header of its own.
    Key,
    /// It reports that the header of the token is missing.
    LostHeader,
    /// It requires a token with a proof of possession (RFC 9449).
    Proof,
}

impl Facts<'_> {
    /// Returns whether the server requires a scope that was not granted. Some servers use HTTP 401 instead of 403.
    pub(in super::super) fn requires_more_access(&self) -> bool {
        let had_a_token = !matches!(self.sent(), None | Some(CredentialSent::None));
        match self.status() {
            Some(403) => self.requires_scope() || (had_a_token && self.names_only_a_scope()),
            Some(401) => self.requires_scope() && had_a_token,
            _ => false,
        }
    }

    /// Returns whether the server requires only scopes that were already granted to the token.
    pub(in super::super) fn has_required_scopes(&self) -> bool {
        let credential = self.evidence.credential.as_ref();
        let both = credential.zip(self.answer);
        both.is_some_and(|(credential, answer)| has_required_scopes(credential, answer))
    }

    /// Returns whether the server wants a token, in another way than with HTTP 401, and none was sent because the stored credential
    /// can no longer be refreshed.
    pub(in super::super) fn lacks_the_spent_token(&self) -> bool {
        let names_bearer = || {
            let challenge = self.answer.and_then(|answer| answer.challenge.as_deref());
            challenge.is_some_and(|challenge| has_scheme(challenge, "Bearer"))
                && !self.requires_scope()
        };
        self.stored
            && self.sent() == Some(CredentialSent::None)
            && self.refresh_meaning() == Some(RefusalMeaning::Spent)
            && matches!(self.status(), Some(400 | 403))
            && (names_bearer() || self.rejects_credential())
    }

    /// Returns the authentication scheme that the server requires with HTTP 401, if it is one that needs no token: a gateway in front of
    /// the server may use it. Gateways that require a key have schemes of their own, such as `AzureApiManagementKey`.
    pub(in super::super) fn other_scheme(&self) -> Option<&str> {
        const TOKENS: [&str; 3] = ["Bearer", "DPoP", "OAuth"];
        const OTHERS: [&str; 5] = ["Basic", "Digest", "Negotiate", "NTLM", "AWS4-HMAC-SHA256"];
        let challenge = self.answer?.challenge.as_deref()?;
        let is_named = |scheme: &&str| has_scheme(challenge, scheme);
        if !self.requires_authorization() || TOKENS.iter().any(is_named) {
            return None;
        }
        let other = OTHERS.into_iter().find(is_named);
        other.or_else(|| key_scheme(challenge))
    }

    /// Returns why the server has not read the token that was sent. A challenge for bearer tokens means that it has.
    pub(in super::super) fn unread_token(&self) -> Option<UnreadToken> {
        let was_sent = matches!(
            self.sent(),
            Some(CredentialSent::Stored | CredentialSent::Refreshed | CredentialSent::Held)
        );
        let challenge = self.answer?.challenge.as_deref().unwrap_or_default();
        let is_named = |scheme: &str| has_scheme(challenge, scheme);
        if !was_sent
            || !matches!(self.status(), Some(400 | 401))
            || is_named("Bearer")
            || is_named("OAuth")
        {
            return None;
        }
        if is_named("DPoP") {
            return Some(UnreadToken::Proof);
        }
        Some(match lacking(&self.words()?)? {
            Lacking::Key => UnreadToken::Key,
            Lacking::Header => UnreadToken::LostHeader,
        })
    }

    /// Returns whether the server may have no route for the URL, although it reports a missing token.
    pub(in super::super) fn may_be_unknown_route(&self) -> bool {
        let body = self.answer.and_then(|answer| answer.body.as_deref());
        self.status() == Some(403)
            && body
                .and_then(sentence)
                .is_some_and(|words| words == UNKNOWN_ROUTE)
    }

    /// Returns whether the response means that the credential is not valid: HTTP 401, or another refusal in words.
    pub(in super::super) fn rejects_credential(&self) -> bool {
        match self.status() {
            Some(401) => !self.has_lost_session(),
            Some(status) if refuses_credential(status) && !self.may_be_unknown_route() => {
                let body = self.answer.and_then(|answer| answer.body.as_deref());
                let words = body.and_then(sentence);
                words.is_some_and(|words| blames_credential(&words))
            }
            _ => false,
        }
    }

    pub(in super::super) fn requires_scope(&self) -> bool {
        self.answer
            .and_then(|answer| answer.challenge.as_deref())
            .is_some_and(|challenge| error_attribute_is(challenge, "insufficient_scope"))
    }

    /// Returns the scopes that the challenge names, as one line.
    pub(in super::super) fn required_scope(&self) -> Option<String> {
        const MAX_CHARS: usize = 60;
        let challenge = self.answer?.challenge.as_deref()?;
        let scope = attribute(challenge, "scope")?;
        let scope = scope.replace('`', "");
        let scope = scope.split_whitespace().collect::<Vec<_>>().join(" ");
        (!scope.is_empty()).then(|| printable(&scope, MAX_CHARS))
    }

    /// Returns whether the challenge reports that the token is not valid (RFC 6750, section 3.1, which requires HTTP 401 for that).
    pub(in super::super) fn reports_invalid_token(&self) -> bool {
        let challenge = self.answer.and_then(|answer| answer.challenge.as_deref());
        // Some gateways report a missing scope in this way.
        challenge.is_some_and(|challenge| {
            error_attribute_is(challenge, "invalid_token")
                && attribute(challenge, "scope").is_none()
        })
    }

    /// Returns whether the challenge points to where a client gets a token (RFC 9728, section 5.1).
    pub(in super::super) fn points_to_sign_in(&self) -> bool {
        let challenge = self.answer.and_then(|answer| answer.challenge.as_deref());
        challenge.is_some_and(|challenge| attribute(challenge, "resource_metadata").is_some())
    }

    /// Returns whether the challenge names a scope and no error. Some servers leave out `insufficient_scope`.
    pub(in super::super) fn names_only_a_scope(&self) -> bool {
        let challenge = self.answer.and_then(|answer| answer.challenge.as_deref());
        challenge.is_some_and(|challenge| {
            has_scheme(challenge, "Bearer")
                && attribute(challenge, "scope").is_some()
                && attribute(challenge, "error").is_none()
        })
    }
}
