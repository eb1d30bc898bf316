//! Rules and replies: which requests a scenario answers differently, and the HTTP response it sends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A reply to the requests that match a condition.
///
/// ```
/// let rule: mcp_startup_lab::Rule = serde_json::from_str(
///     r#"{ "when": { "token": "any" }, "times": 1, "reply": { "status": 503 } }"#,
/// ).unwrap();
/// assert_eq!(rule.times, Some(1));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Which requests match. By default, all of them.
    #[serde(default)]
    pub when: When,
    /// How many requests the rule answers before it stops matching. By default, there is no limit.
    #[serde(default)]
    pub times: Option<u32>,
    /// The reply.
    pub reply: Reply,
}

/// The condition of a rule. A request must match every field that is present.
///
/// ```
/// let when = mcp_startup_lab::When { method: Some("initialize".into()), ..Default::default() };
/// assert_eq!(when.token, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct When {
    /// `none` (no token), `any` (any token) or a specific token. It is compared with the bearer token at the MCP endpoint, with the
    /// refresh token at the token endpoint, and with the token to revoke at the revocation endpoint.
    pub token: Option<String>,
    /// The JSON-RPC method at the MCP endpoint, the grant type at the token endpoint.
    pub method: Option<String>,
    /// The path below `/NAME`, to distinguish `/mcp` from `/mcp/`.
    pub path: Option<String>,
}

impl When {
    pub(crate) fn matches(&self, token: Option<&str>, method: Option<&str>, path: &str) -> bool {
        let token_matches = match self.token.as_deref() {
            None => true,
            Some("none") => token.is_none(),
            Some("any") => token.is_some(),
            expected => token == expected,
        };
        let method_matches = self.method.is_none() || self.method.as_deref() == method;
        let path_matches = self.path.as_deref().is_none_or(|expected| expected == path);
        token_matches && method_matches && path_matches
    }
}

/// An HTTP reply, or the way in which the server fails to send one.
///
/// ```
/// let reply: mcp_startup_lab::Reply = serde_json::from_str(
///     r#"{ "status": 429, "headers": { "Retry-After": "30" }, "body": { "text": "slow down" } }"#,
/// ).unwrap();
/// assert_eq!(reply.status, Some(429));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reply {
    /// The status. By default, 307 for a redirect and 200 for any other reply.
    pub status: Option<u16>,
    /// Headers other than the content type.
    pub headers: BTreeMap<String, String>,
    /// The content type. By default, the one that fits the body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Body,
    /// The `Location` header of a redirect.
    pub redirect: Option<String>,
    /// How many milliseconds the server waits before it replies.
    pub delay_ms: u64,
    /// Whether the server never answers the request.
    pub hang: bool,
    /// Whether the server closes the connection without an answer.
    pub close: bool,
}

/// The body of a reply.
///
/// ```
/// use mcp_startup_lab::Body;
/// let body: Body = serde_json::from_str(r#"{ "bytes": 1000000000 }"#).unwrap();
/// assert_eq!(body, Body::Bytes(1_000_000_000));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// Text, as `text/plain`.
    Text(String),
    /// JSON, as `application/json`.
    Json(Value),
    /// A form, as `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// One JSON string of this many bytes, generated while it is sent, without a `Content-Length`.
    Bytes(u64),
    /// A JSON string that never ends, one letter every 100 ms. With the content type `text/event-stream`, comments instead.
    Endless,
}
