//! How a scenario describes its MCP endpoint: which protocol it speaks, and which requests it accepts.

use serde::{Deserialize, Serialize};

use super::{Reply, Rule};

/// The behavior of a scenario's MCP endpoint. The defaults describe a correct legacy server without authorization.
///
/// ```
/// let rows = mcp_startup_lab::scenarios();
/// let row = rows.iter().find(|row| row.name == "ready-sse").unwrap();
/// assert!(row.mcp.as_ref().unwrap().sse);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct McpEndpoint {
    /// The era of the protocol that the server speaks.
    pub era: Era,
    /// The only protocol version that the server offers and accepts, instead of the versions of its era.
    pub protocol_version: Option<String>,
    /// The number of tools that the server lists.
    pub tools: u32,
    /// Whether the server answers with `text/event-stream` instead of `application/json`.
    pub sse: bool,
    /// The `Mcp-Session-Id` header of the answer to `initialize`.
    pub session_id: Option<String>,
    /// Which requests are authorized.
    pub serves: Serves,
    /// The reply to unauthorized requests. By default, a 401 whose challenge names the protected-resource metadata.
    pub unauthorized: Option<Reply>,
    /// Rules that come before everything above. The first rule that matches a request answers it.
    pub respond: Vec<Rule>,
}

impl Default for McpEndpoint {
    fn default() -> Self {
        Self {
            era: Era::default(),
            protocol_version: None,
            tools: 1,
            sse: false,
            session_id: None,
            serves: Serves::Open,
            unauthorized: None,
            respond: Vec::new(),
        }
    }
}

/// An era of MCP.
///
/// ```
/// use mcp_startup_lab::Era;
/// assert_eq!(serde_json::from_str::<Era>(r#""modern""#).unwrap(), Era::Modern);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Era {
    /// Versions up to 2025-11-25: `initialize` works, and `server/discover` is an unknown method.
    #[default]
    Legacy,
    /// Version 2026-07-28: `server/discover` works, and `initialize` is an unknown method.
    Modern,
    /// Both eras. The client's request decides.
    Both,
}

/// Which requests an MCP endpoint accepts.
///
/// ```
/// use mcp_startup_lab::Serves;
/// let serves = serde_json::from_str::<Serves>(r#"{ "tokens": ["good-token"] }"#).unwrap();
/// assert_eq!(serves, Serves::Tokens(vec!["good-token".into()]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Serves {
    /// All requests, with any token or none.
    Open,
    /// Requests whose bearer token is listed here or was granted by the token endpoint.
    Tokens(Vec<String>),
}
