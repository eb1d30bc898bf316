//! MCP servers and an OAuth authorization server on loopback that fail on demand.
//!
//! Data describes their behavior. A [`Scenario`], one row of the folder `atlas`, describes how the MCP endpoint, the discovery documents
//! and the token endpoint answer, which credentials the client has stored, and how a start must end. [`Lab`] serves each scenario
//! under its own URL. [`serve_stdio`] runs a scenario that is a program on stdin and stdout. Every token in the atlas is fake and
//! public.
//!
//! | URL | content |
//! | --- | --- |
//! | `/` | all scenarios, as JSON |
//! | `/NAME/mcp` | the MCP endpoint of a scenario |
//! | `/NAME/requests` | the requests that the scenario has received, as JSON |
//! | `/.well-known/oauth-protected-resource/NAME/mcp` | the protected-resource metadata (RFC 9728) |
//! | `/.well-known/oauth-authorization-server/NAME` | the metadata of the issuer `/NAME` (RFC 8414); also served as OpenID configuration |
//! | `/NAME/authorize` | the authorization endpoint (RFC 6749, section 4.1); the user consents immediately |
//! | `/NAME/token`, `/NAME/register`, `/NAME/revoke` | the other endpoints of the authorization server |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mcp_startup_lab::LabError> {
//! let lab = mcp_startup_lab::Lab::start(0).await?;
//! for scenario in lab.scenarios() {
//!     println!("{}: {} {}", scenario.name, lab.url(&scenario.name), scenario.about);
//! }
//! lab.stop().await;
//! # Ok(())
//! # }
//! ```

mod authorization_server;
mod error;
mod lab;
mod mcp_endpoint;
mod protocol;
mod reply;
mod router;
mod scenario;
mod served;
mod stdio_server;

pub use error::LabError;
pub use lab::Lab;
pub use scenario::{
    Authorization, Body, ConfiguredAuthorization, ConfiguredHeader, Discovery, Era, Expectation,
    McpEndpoint, RenewedCredential, Reply, Rule, Scenario, Serves, StdioBehaviour, Step,
    StoredCredential, TokenEndpoint, When, config_toml, parse_scenarios, scenarios,
};
pub use served::{RecordedRequest, Target};
pub use stdio_server::serve_stdio;
