//! What a stored credential is worth, from facts that hold no secret and a clock that the caller reads.

use serde::{Deserialize, Serialize};

/// How long before its expiry an access token already counts as expired: 30 s, in ms.
pub const CLOCK_SKEW_MS: i64 = 30_000;

/// What is known of a stored record, without any secret of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct CredentialFacts {
    /// An access token is there and is not blank.
    pub access_token: bool,
    /// A refresh token is there and is not blank.
    pub refresh_token: bool,
    /// When the access token expires, in ms since the Unix epoch; `None` where the record does not say.
    #[cfg_attr(feature = "typescript", ts(type = "number | null"))]
    pub expires_at_ms: Option<i64>,
}

/// What an access token is worth, as far as its record and the clock tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum AccessTokenWorth {
    /// None is there, or a blank one.
    #[default]
    Absent,
    /// It expires more than 30 s ([`CLOCK_SKEW_MS`]) from now.
    Good,
    /// The record does not say when it expires: it is tried.
    ExpiryUnknown,
    /// It has expired, or will within 30 s ([`CLOCK_SKEW_MS`]).
    Expired,
}

/// What a stored credential is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct CredentialWorth {
    /// What its access token is worth.
    pub access_token: AccessTokenWorth,
    /// Whether it has a refresh token that is not blank.
    pub refresh_token: bool,
}

/// What is sent first, once a record is known to be stored (or not).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum FirstRequest {
    /// No token: nothing usable is stored.
    WithoutToken,
    /// The stored access token, with no discovery before it.
    StoredToken,
    /// A refresh, and then the token it gave.
    Refresh,
    /// No token; should the server refuse that, the stored token once, because our clock may be wrong.
    WithoutTokenThenStored,
}

/// Says what a stored credential is worth at `now_ms` (ms since the Unix epoch).
///
/// ```
/// use mcp_startup_core::{assess, AccessTokenWorth, CredentialFacts};
///
/// let facts = CredentialFacts { access_token: true, refresh_token: false, expires_at_ms: Some(1_000_000) };
/// assert_eq!(assess(&facts, 0).access_token, AccessTokenWorth::Good);
/// assert_eq!(assess(&facts, 970_000).access_token, AccessTokenWorth::Expired);
/// ```
pub fn assess(facts: &CredentialFacts, now_ms: i64) -> CredentialWorth {
    let access_token = match (facts.access_token, facts.expires_at_ms) {
        (false, _) => AccessTokenWorth::Absent,
        (true, None) => AccessTokenWorth::ExpiryUnknown,
        (true, Some(expires_at)) if expires_at.saturating_sub(CLOCK_SKEW_MS) > now_ms => {
            AccessTokenWorth::Good
        }
        (true, Some(_)) => AccessTokenWorth::Expired,
    };
    CredentialWorth {
        access_token,
        refresh_token: facts.refresh_token,
    }
}

impl CredentialWorth {
    /// What to send first with a credential of this worth.
    pub fn first_request(self) -> FirstRequest {
        match (self.access_token, self.refresh_token) {
            (AccessTokenWorth::Good | AccessTokenWorth::ExpiryUnknown, _) => {
                FirstRequest::StoredToken
            }
            (AccessTokenWorth::Expired | AccessTokenWorth::Absent, true) => FirstRequest::Refresh,
            (AccessTokenWorth::Expired, false) => FirstRequest::WithoutTokenThenStored,
            (AccessTokenWorth::Absent, false) => FirstRequest::WithoutToken,
        }
    }

    /// Whether anything in it can still be used: an access token that has not expired, or a refresh token.
    pub fn is_usable(self) -> bool {
        self.refresh_token
            || matches!(
                self.access_token,
                AccessTokenWorth::Good | AccessTokenWorth::ExpiryUnknown
            )
    }
}

/// Whether two issuers are one: the same string (RFC 8414, section 3.3), but for a slash at the end, which URL libraries add and
/// which makes no other issuer. A refresh token goes to the issuer that granted it, and to no other.
///
/// ```
/// use mcp_startup_core::same_issuer;
///
/// assert!(same_issuer("https://auth.example", "https://auth.example/"));
/// assert!(!same_issuer("https://auth.example", "https://auth.example/tenant"));
/// ```
pub fn same_issuer(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// How a client is authorized at a server, as Codex's app-server calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum McpAuthStatus {
    /// A sign-in has no place here: the server publishes no OAuth, or is a program (stdio).
    Unsupported,
    /// The server publishes OAuth, and nothing usable is stored.
    NotLoggedIn,
    /// The configuration carries the authorization.
    BearerToken,
    /// A stored record has a usable access or refresh token.
    OAuth,
}

/// Says how a client is authorized at a server.
///
/// `configured`: the configuration carries authorization. `stored`: what is stored for exactly this server.
/// `oauth_published`: whether the server publishes OAuth, `Some(false)` for stdio, `None` where nobody has asked it: then
/// [`NotLoggedIn`](McpAuthStatus::NotLoggedIn) and [`Unsupported`](McpAuthStatus::Unsupported) can't be told apart and the
/// answer is `None`.
pub fn auth_status(
    configured: bool,
    stored: Option<CredentialWorth>,
    oauth_published: Option<bool>,
) -> Option<McpAuthStatus> {
    if configured {
        return Some(McpAuthStatus::BearerToken);
    }
    if stored.is_some_and(CredentialWorth::is_usable) {
        return Some(McpAuthStatus::OAuth);
    }
    oauth_published.map(|published| match published {
        true => McpAuthStatus::NotLoggedIn,
        false => McpAuthStatus::Unsupported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_and_first_request_follow_the_facts() {
        use AccessTokenWorth::*;
        use FirstRequest::*;
        let now = 1_800_000_000_000;
        // access token, refresh token, expiry, worth of the access token, what is sent first
        let cases = [
            (true, true, Some(now + 3_600_000), Good, StoredToken),
            (
                true,
                false,
                Some(now + CLOCK_SKEW_MS + 1),
                Good,
                StoredToken,
            ),
            (
                true,
                false,
                Some(now + CLOCK_SKEW_MS),
                Expired,
                WithoutTokenThenStored,
            ),
            (true, true, Some(now + 20_000), Expired, Refresh),
            (true, false, None, ExpiryUnknown, StoredToken),
            (true, true, None, ExpiryUnknown, StoredToken),
            (true, true, Some(0), Expired, Refresh),
            (true, false, Some(-1), Expired, WithoutTokenThenStored),
            (true, false, Some(i64::MIN), Expired, WithoutTokenThenStored),
            (true, false, Some(i64::MAX), Good, StoredToken),
            (false, true, Some(now + 3_600_000), Absent, Refresh),
            (false, true, None, Absent, Refresh),
            (false, false, None, Absent, WithoutToken),
        ];
        for (access_token, refresh_token, expires_at_ms, worth, first) in cases {
            let facts = CredentialFacts {
                access_token,
                refresh_token,
                expires_at_ms,
            };
            let assessed = assess(&facts, now);
            assert_eq!(assessed.access_token, worth, "{facts:?}");
            assert_eq!(assessed.first_request(), first, "{facts:?}");
        }
    }

    #[test]
    fn auth_status_is_what_the_contract_says() {
        use McpAuthStatus::*;
        let worth = |access_token, refresh_token| {
            Some(CredentialWorth {
                access_token,
                refresh_token,
            })
        };
        let cases = [
            (true, None, None, Some(BearerToken)),
            (
                true,
                worth(AccessTokenWorth::Good, true),
                Some(true),
                Some(BearerToken),
            ),
            (
                false,
                worth(AccessTokenWorth::Good, false),
                None,
                Some(OAuth),
            ),
            (
                false,
                worth(AccessTokenWorth::ExpiryUnknown, false),
                None,
                Some(OAuth),
            ),
            (
                false,
                worth(AccessTokenWorth::Expired, true),
                Some(true),
                Some(OAuth),
            ),
            (
                false,
                worth(AccessTokenWorth::Expired, false),
                Some(true),
                Some(NotLoggedIn),
            ),
            (false, worth(AccessTokenWorth::Absent, false), None, None),
            (false, None, Some(true), Some(NotLoggedIn)),
            (false, None, Some(false), Some(Unsupported)),
            (false, None, None, None),
        ];
        for (configured, stored, published, wanted) in cases {
            assert_eq!(
                auth_status(configured, stored, published),
                wanted,
                "{configured} {stored:?} {published:?}"
            );
        }
    }
}
