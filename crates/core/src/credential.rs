//! Decides whether a stored credential can still be used, from facts without secrets and a time that the caller passes. Reads
//! no clock and no store.

use serde::{Deserialize, Serialize};

/// The time before its expiry at which an access token already counts as expired, in ms: 30 s.
pub const CLOCK_SKEW_MS: i64 = 30_000;

/// The facts about a stored record. They contain no secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct CredentialFacts {
    /// Whether the record has an access token that is not blank.
    pub access_token: bool,
    /// Whether the record has a refresh token that is not blank.
    pub refresh_token: bool,
    /// The time at which the access token expires, in ms since the Unix epoch. `None` if it is unknown.
    #[cfg_attr(feature = "typescript", ts(type = "number | null"))]
    pub expires_at_ms: Option<i64>,
}

/// Whether a stored access token can still be used, according to its record and the current time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum AccessTokenWorth {
    /// There is no access token, or it is blank.
    #[default]
    Absent,
    /// The access token expires in more than 30 s ([`CLOCK_SKEW_MS`]).
    Good,
    /// The expiry of the access token is unknown. It is used until the server rejects it.
    ExpiryUnknown,
    /// The access token has expired or expires within 30 s ([`CLOCK_SKEW_MS`]).
    Expired,
}

/// Whether the tokens of a stored credential can still be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub struct CredentialWorth {
    /// Whether the access token can still be used.
    pub access_token: AccessTokenWorth,
    /// Whether there is a refresh token that is not blank.
    pub refresh_token: bool,
}

/// The first request of a start, depending on the stored credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum FirstRequest {
    /// A request to the MCP server without a token, because no token is stored.
    WithoutToken,
    /// A request to the MCP server with the stored access token, without discovery before it.
    StoredToken,
    /// A token refresh, followed by a request to the MCP server with the new access token.
    Refresh,
    /// A request to the MCP server without a token. If the server rejects it, the expired access token is sent once, because
    /// the local clock may be wrong.
    WithoutTokenThenStored,
}

/// Returns whether the tokens of a stored credential can still be used at the time `now_ms`, in ms since the Unix epoch.
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
    /// Returns the first request of a start with this credential.
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

    /// Returns whether any token can still be used: an access token that is not known to have expired, or a refresh token.
    pub fn is_usable(self) -> bool {
        self.refresh_token
            || matches!(
                self.access_token,
                AccessTokenWorth::Good | AccessTokenWorth::ExpiryUnknown
            )
    }
}

/// Returns whether two issuer identifiers are the same.
///
/// They are compared as strings (RFC 8414, section 3.3), with one exception: an origin equals itself with a slash, because URL
/// libraries add one. A refresh token must only be sent to the issuer that issued it.
///
/// ```
/// use mcp_startup_core::same_issuer;
///
/// assert!(same_issuer("https://auth.example", "https://auth.example/"));
/// assert!(!same_issuer("https://auth.example", "https://auth.example/tenant"));
/// assert!(!same_issuer("https://auth.example/tenant", "https://auth.example/tenant/"));
/// ```
pub fn same_issuer(one: &str, other: &str) -> bool {
    without_slash(one) == without_slash(other)
}

/// The issuer without the slash at its end, if the rest is an origin.
fn without_slash(issuer: &str) -> &str {
    let is_origin = |rest: &&str| {
        let authority = rest.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| {
            !authority.is_empty() && !authority.contains(['/', '?', '#', '\\'])
        })
    };
    issuer.strip_suffix('/').filter(is_origin).unwrap_or(issuer)
}

/// How a client is authorized at an MCP server. Codex's app-server uses the same values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum McpAuthStatus {
    /// The status could not be determined, for example because the server did not answer.
    ///
    /// It is a value for a reader of Codex's `mcpServerStatus/list`. [`auth_status`] returns `None` instead.
    Unknown,
    /// The server does not support a sign-in: it publishes no OAuth metadata, or it is a stdio server.
    Unsupported,
    /// The server publishes OAuth metadata, and no usable token is stored.
    NotLoggedIn,
    /// The configuration contains a token or header for the server.
    BearerToken,
    /// A usable access token or refresh token is stored.
    OAuth,
}

/// The state of the connection to an MCP server, as `runtimeStatus` of Codex's `mcpServerStatus/list` reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(rename_all = "camelCase")
)]
pub enum McpServerConnectionStatus {
    /// The server has not been started.
    NotStarted,
    /// The start has begun.
    Starting,
    /// The server is ready.
    Connected,
    /// The start failed, and signing in fixes the failure: for the first time, again, or to grant more scopes.
    AuthenticationRequired,
    /// The start failed for any other reason.
    Failed,
    /// The host cancelled the start.
    Cancelled,
    /// The configuration disables the server.
    Disabled,
}

/// Returns how a client is authorized at an MCP server.
///
/// * `configured`: whether the configuration contains a token or header for the server.
/// * `stored`: the credential that is stored for exactly this server, if there is one.
/// * `oauth_published`: whether the server publishes OAuth metadata. Pass `Some(false)` for a stdio server, and `None` if this
///   is unknown because no request was sent.
///
/// Returns `None` if the status is [`NotLoggedIn`](McpAuthStatus::NotLoggedIn) or
/// [`Unsupported`](McpAuthStatus::Unsupported), but `oauth_published` is `None`.
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
    fn worth_and_first_request_depend_on_the_facts() {
        use AccessTokenWorth::*;
        use FirstRequest::*;
        let now = 1_800_000_000_000;
        // access token, refresh token, expiry, worth of the access token, first request
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
    fn auth_status_depends_on_configuration_store_and_server() {
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
        for (configured, stored, published, expected) in cases {
            assert_eq!(
                auth_status(configured, stored, published),
                expected,
                "{configured} {stored:?} {published:?}"
            );
        }
    }
}
