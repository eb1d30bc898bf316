//! How a scenario describes its OAuth side: the discovery documents, the token endpoint, and how a user signs in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Reply, Rule};

/// The discovery documents of a scenario. The defaults are those of a correct server.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "discovery-500").unwrap();
/// assert_eq!(row.discovery.protected_resource.as_ref().unwrap().status, Some(500));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Discovery {
    /// A reply that replaces the protected-resource metadata (RFC 9728).
    pub protected_resource: Option<Reply>,
    /// A reply that replaces the authorization server's metadata (RFC 8414, and OpenID Connect Discovery).
    pub authorization_server: Option<Reply>,
    /// Fields to change in the protected-resource metadata. Null removes a field.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub protected_resource_fields: Map<String, Value>,
    /// Fields to change in the authorization server's metadata. Null removes a field.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub authorization_server_fields: Map<String, Value>,
}

/// The behavior of a scenario's token endpoint. By default it grants `fresh-token-1`, `fresh-token-2`, … for `good-refresh`. The
/// MCP endpoint accepts each of them, and `expires_in` is one hour.
///
/// ```
/// let token = mcp_startup_lab::TokenEndpoint::default();
/// assert_eq!(token.accepts, ["good-refresh"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TokenEndpoint {
    /// The refresh tokens that are valid when the lab starts.
    pub accepts: Vec<String>,
    /// Whether each refresh returns a new refresh token (`fresh-refresh-1`, …) and invalidates the used one. If a client sends a used
    /// one again, every granted token is revoked.
    pub rotates: bool,
    /// The `expires_in` of a granted token. Null omits the field.
    pub expires_in: Option<i64>,
    /// Rules that come before everything above. The first rule that matches a request answers it. The MCP endpoint accepts a token
    /// from such a reply only if `serves` lists it.
    pub respond: Vec<Rule>,
}

impl Default for TokenEndpoint {
    fn default() -> Self {
        Self {
            accepts: vec!["good-refresh".into()],
            rotates: false,
            expires_in: Some(3600),
            respond: Vec::new(),
        }
    }
}

/// How a user signs in at a scenario's authorization server: with an authorization code and PKCE (RFC 6749, section 4.1; RFC 7636).
/// The user consents immediately.
///
/// By default, the server registers every client as the public client `client-1`, and knows the client of
/// [`configured`]. It redirects the user with a code, and with `iss` if its metadata announces it. It exchanges the
/// code for an access token and a refresh token (`fresh-refresh-1`, …) with the requested scopes.
///
/// [`configured`]: crate::Scenario::configured
///
/// ```
/// let denied: mcp_startup_lab::Authorization = serde_json::from_str(
///     r#"{ "answer": { "error": "access_denied", "error_description": "Not today." } }"#,
/// ).unwrap();
/// assert_eq!(denied.answer["error"].as_deref(), Some("access_denied"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Authorization {
    /// The resource that the server grants tokens for (RFC 8707). By default, the one that the protected-resource metadata names.
    /// If it is empty, the server refuses a request that names a resource.
    pub resource: Option<String>,
    /// Parameters to change in the redirect back to the client. Null removes a parameter. If there is an `error`, the server issues no
    /// code.
    pub answer: BTreeMap<String, Option<String>>,
    /// Fields to change in the registration response (RFC 7591). Null removes a field. A `client_secret` makes the client a confidential
    /// one: it must authenticate with this secret, by the method in `token_endpoint_auth_method`.
    pub registered: Map<String, Value>,
    /// A reply that replaces the registration response.
    pub register: Option<Reply>,
    /// Rules for the revocation endpoint (RFC 7009). The first rule that matches a request answers it, and nothing is revoked. In a
    /// condition, `token` is the token to revoke.
    pub revoke: Vec<Rule>,
}
