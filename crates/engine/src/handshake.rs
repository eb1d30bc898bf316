//! The handshake, in both eras of MCP.
//!
//! `initialize` (up to 2025-11-25) goes first, and `server/discover` (2026-07-28) only where it was answered by an error. The
//! other order is slower and breaks servers: of the legacy ones some stay silent at a method they do not know, and some exit.
//! A server of the new era alone refuses `initialize` at once, by an error, as every one that was tried does.

use mcp_startup_core::ProtocolEvidence;
use rmcp::RoleClient;
use rmcp::model::{ClientCapabilities, ClientConfig, ErrorData, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::Transport;

use crate::findings::Findings;

/// A server that has answered the handshake.
pub(crate) type Service = RunningService<RoleClient, ClientConfig>;

/// The handshake failed; what is known of why is in the findings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the server answered `initialize` with the error {code}: {message}")]
    Refused { code: i32, message: String },
    #[error("the server speaks other versions of MCP: {0:?}")]
    NoCommonVersion(Vec<String>),
    #[error(transparent)]
    Failed(Box<ClientInitializeError>),
    #[error("the connection can't be used a second time")]
    Lost,
}

/// Shakes hands over a transport that `connect` makes: it is asked for a second one only where the server has refused the
/// first handshake, and may then hand out the same connection again. `second_chance` says, for a first handshake that failed
/// without an answer in JSON-RPC, whether it was refused all the same.
pub(crate) async fn shake_hands<T>(
    mut connect: impl FnMut() -> Option<T>,
    second_chance: impl Fn() -> bool,
    findings: &Findings,
) -> Result<Service, HandshakeError>
where
    T: Transport<RoleClient> + 'static,
{
    let transport = connect().ok_or(HandshakeError::Lost)?;
    // Boxed, as the second one: the SDK's futures are large, and each would be copied with all that holds it.
    let legacy = Box::pin(
        client(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .serve_with_lifecycle(transport, ClientLifecycleMode::Initialize),
    )
    .await;
    let refusal = match legacy {
        Ok(service) => return with_known_version(service),
        Err(ClientInitializeError::JsonRpcError(error)) => Some(error),
        Err(ClientInitializeError::UncorrelatedErrorResponse { .. }) => None,
        Err(_) if second_chance() => None,
        Err(error) => return Err(HandshakeError::Failed(Box::new(error))),
    };
    let transport = connect().ok_or(HandshakeError::Lost)?;
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::LATEST],
    };
    let modern =
        Box::pin(client(ProtocolVersion::LATEST).serve_with_lifecycle(transport, lifecycle)).await;
    match modern {
        Ok(service) => Ok(service),
        Err(ClientInitializeError::NoCompatibleProtocolVersion {
            server_supported, ..
        }) if !server_supported.is_empty() => {
            let versions = server_supported.iter().map(ToString::to_string).collect();
            Err(HandshakeError::NoCommonVersion(versions))
        }
        Err(error) => Err(match refusal {
            Some(refusal) => match supported_versions(&refusal) {
                Some(versions) => HandshakeError::NoCommonVersion(versions),
                None => HandshakeError::Refused {
                    code: refusal.code.0,
                    message: findings.mask.foreign(&refusal.message, 200),
                },
            },
            None => HandshakeError::Failed(Box::new(error)),
        }),
    }
}

impl HandshakeError {
    /// The error to be told: what the SDK says of a transport names its type, which tells nobody anything.
    pub fn cause(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Failed(sdk) => match &**sdk {
                ClientInitializeError::TransportError { error, .. } => error.error.as_ref(),
                sdk => sdk,
            },
            error => error,
        }
    }

    /// What it adds to the evidence of the protocol.
    pub fn note(&self, protocol: &mut ProtocolEvidence) {
        match self {
            Self::Refused { code, message } => {
                protocol.error = Some(format!(
                    "the server answered with the error {code}: {message}"
                ));
            }
            Self::NoCommonVersion(versions) => {
                protocol.server_versions = Some(versions.clone());
            }
            Self::Failed(_) | Self::Lost => {}
        }
    }
}

fn client(version: ProtocolVersion) -> ClientConfig {
    let this = Implementation::new("mcp-startup", env!("CARGO_PKG_VERSION"));
    ClientConfig::new(ClientCapabilities::default(), this).with_protocol_version(version)
}

/// The server may answer `initialize` with another version than it was asked for; one that is not known here can't be spoken.
fn with_known_version(service: Service) -> Result<Service, HandshakeError> {
    let version = service
        .peer_info()
        .map(|info| info.protocol_version.clone())
        .unwrap_or_default();
    match ProtocolVersion::KNOWN_VERSIONS.contains(&version) {
        true => Ok(service),
        false => Err(HandshakeError::NoCommonVersion(vec![version.to_string()])),
    }
}

/// The versions in an error that says ours is not supported (MCP 2026-07-28, protocol version negotiation).
fn supported_versions(error: &ErrorData) -> Option<Vec<String>> {
    let supported = error.data.as_ref()?.get("supported")?.as_array()?;
    let versions: Vec<_> = supported
        .iter()
        .filter_map(|version| version.as_str().map(str::to_owned))
        .collect();
    (!versions.is_empty()).then_some(versions)
}
