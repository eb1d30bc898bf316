//! Scenarios: how a server behaves, which credentials and configuration its client has, and how a start must end.
//!
//! This module knows the format of the atlas. It serves nothing.

mod atlas;
mod configuration;
mod credential;
mod endpoint;
mod expectation;
mod oauth;
mod program;
mod rule;
mod urls;
mod validation;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use atlas::{parse_scenarios, scenarios};
pub use configuration::{ConfiguredAuthorization, ConfiguredHeader, config_toml};
pub use credential::StoredCredential;
pub use endpoint::{Era, McpEndpoint, Serves};
pub use expectation::{Expectation, RenewedCredential};
pub use oauth::{Authorization, Discovery, TokenEndpoint};
pub use program::{StdioBehaviour, Step};
pub use rule::{Body, Reply, Rule, When};

pub(crate) use urls::ScenarioUrls;
pub(crate) use validation::validate;

/// The behavior of a server, the state of its client, and how a start must end. One row of the atlas.
///
/// The texts of replies and of the stored credentials can contain placeholders, which the lab fills in when it serves them:
/// `{base}` (`http://127.0.0.1:PORT`), `{elsewhere}` (the same server at another origin), `{resource}` (the URL of the MCP
/// endpoint), `{prm}` (the URL of its protected-resource metadata) and `{issuer}`.
///
/// ```
/// let scenario = &mcp_startup_lab::scenarios()[0];
/// assert_eq!((scenario.name.as_str(), scenario.expect.state.as_str()), ("ready", "ready"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// The name: lower-case letters, digits and hyphens. It is a segment of the scenario's URLs.
    pub name: String,
    /// A human-readable description of the scenario, in one or two sentences.
    pub about: String,
    /// The rules, or the sections of a standard, that the expected result follows from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// The MCP endpoint. A scenario has either this or `stdio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpEndpoint>,
    /// The program on stdin and stdout. A scenario has either this or `mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdio: Option<StdioBehaviour>,
    /// The discovery documents.
    #[serde(default)]
    pub discovery: Discovery,
    /// The token endpoint.
    #[serde(default)]
    pub token: TokenEndpoint,
    /// How a user signs in.
    #[serde(default)]
    pub authorization: Authorization,
    /// Other pages by their path below `/NAME`, for example a login page or a document that has moved.
    #[serde(default)]
    pub pages: BTreeMap<String, Reply>,
    /// The credential record that the client has stored.
    #[serde(default)]
    pub stored: Option<StoredCredential>,
    /// The authorization in the client's configuration.
    #[serde(default)]
    pub configured: Option<ConfiguredAuthorization>,
    /// The start timeout in the client's configuration, if the scenario needs a short one.
    #[serde(default)]
    pub startup_timeout_sec: Option<u64>,
    /// How a start must end.
    pub expect: Expectation,
}
