//! The handshake, in both eras of MCP.
//!
//! `initialize` (up to 2025-11-25) goes first, and `server/discover` (2026-07-28) only where it was answered by an error. The
//! other order is slower and breaks servers: of the legacy ones some stay silent at a method they do not know, and some exit.
//! A server of the new era alone refuses `initialize` at once, by an error, as every one that was tried does.

use std::time::Duration;

use mcp_startup_core::RequestTarget;
use rmcp::RoleClient;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ErrorCode, ErrorData, Implementation, ProtocolVersion,
};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::Transport;

use crate::findings::Findings;

const MAX_ERROR_CHARS: usize = 200;
const MAX_VERSIONS: usize = 20;
const MAX_VERSION_CHARS: usize = 40;

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

/// How long the second handshake may take. A server that has just refused the first is awake; one that stays silent now must not
/// use up the time of the start.
const SECOND_LIMIT: Duration = Duration::from_secs(5);

/// Shakes hands over a transport that `connect` makes: it is asked for a second one only where the server has refused the
/// first handshake, and may then hand out the same connection again. `refused_by_status` says of a first handshake that was not
/// answered in JSON-RPC whether it was refused all the same.
pub(crate) async fn shake_hands<T>(
    mut connect: impl FnMut() -> Option<T>,
    refused_by_status: impl Fn() -> bool,
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
        Ok(service) => return with_known_version(service, findings),
        Err(error) => match &error {
            ClientInitializeError::JsonRpcError(data) if may_be_of_another_era(data) => {
                HandshakeError::refused(data, findings)
            }
            ClientInitializeError::JsonRpcError(data) => {
                return Err(HandshakeError::refused(data, findings));
            }
            ClientInitializeError::UncorrelatedErrorResponse { .. } => HandshakeError::from(error),
            _ if refused_by_status() => HandshakeError::from(error),
            _ => return Err(HandshakeError::from(error)),
        },
    };
    let transport = connect().ok_or(HandshakeError::Lost)?;
    let requests = findings.log.len();
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::LATEST],
    };
    let modern =
        Box::pin(client(ProtocolVersion::LATEST).serve_with_lifecycle(transport, lifecycle));
    match tokio::time::timeout(SECOND_LIMIT, modern).await {
        Ok(Ok(service)) => return Ok(service),
        Ok(Err(ClientInitializeError::NoCompatibleProtocolVersion {
            server_supported, ..
        })) if !server_supported.is_empty() => {
            let versions = server_supported.iter().map(ProtocolVersion::as_str);
            return Err(HandshakeError::no_common_version(versions, findings));
        }
        Ok(Err(_)) | Err(_) => {}
    }
    // It was no server of the new era: what it said to the first handshake counts, unless it has asked for authorization.
    if !matches!(
        findings.log.last_status(RequestTarget::Mcp),
        Some(401 | 403)
    ) {
        findings.log.truncate(requests);
    }
    Err(refusal)
}

impl From<ClientInitializeError> for HandshakeError {
    fn from(error: ClientInitializeError) -> Self {
        Self::Failed(Box::new(error))
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

    /// An answer to `initialize` by an error; one that names the versions the server speaks says more than its code.
    fn refused(error: &ErrorData, findings: &Findings) -> Self {
        match supported_versions(error) {
            Some(versions) => Self::no_common_version(versions.into_iter(), findings),
            None => Self::Refused {
                code: error.code.0,
                message: findings.foreign(&error.message, MAX_ERROR_CHARS),
            },
        }
    }

    fn no_common_version<'a>(versions: impl Iterator<Item = &'a str>, findings: &Findings) -> Self {
        let versions = versions.take(MAX_VERSIONS);
        Self::NoCommonVersion(
            versions
                .map(|version| findings.foreign(version, MAX_VERSION_CHARS))
                .collect(),
        )
    }

    /// Enters it into the evidence. Returns whether the server has answered the handshake, if by an error.
    pub fn note(&self, findings: &Findings) -> bool {
        findings.cause(self.cause());
        findings.note(|evidence| {
            let protocol = &mut evidence.protocol;
            match self {
                Self::Refused { .. } => {
                    protocol.get_or_insert_default().error = Some(self.to_string());
                    true
                }
                Self::NoCommonVersion(versions) => {
                    protocol.get_or_insert_default().server_versions = Some(versions.clone());
                    true
                }
                Self::Failed(_) | Self::Lost => false,
            }
        })
    }
}

fn client(version: ProtocolVersion) -> ClientConfig {
    let this = Implementation::new("mcp-startup", env!("CARGO_PKG_VERSION"));
    ClientConfig::new(ClientCapabilities::default(), this).with_protocol_version(version)
}

/// The server may answer `initialize` with another version than it was asked for; one that is not known here can't be spoken.
fn with_known_version(service: Service, findings: &Findings) -> Result<Service, HandshakeError> {
    let version = service
        .peer_info()
        .map(|info| info.protocol_version.clone())
        .unwrap_or_default();
    match ProtocolVersion::KNOWN_VERSIONS.contains(&version) {
        true => Ok(service),
        false => Err(HandshakeError::no_common_version(
            std::iter::once(version.as_str()),
            findings,
        )),
    }
}

/// Whether an answer to `initialize` may mean that the server is of the new era: those that were tried answer that the method,
/// its params or its version is not theirs. Any other error is about this server, and a second handshake would only take time.
fn may_be_of_another_era(error: &ErrorData) -> bool {
    matches!(
        error.code,
        ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::INVALID_PARAMS
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::UNSUPPORTED_PROTOCOL_VERSION
    ) || supported_versions(error).is_some()
}

/// The versions in an error that says ours is not supported (MCP 2026-07-28, protocol version negotiation).
fn supported_versions(error: &ErrorData) -> Option<Vec<&str>> {
    let supported = error.data.as_ref()?.get("supported")?.as_array()?;
    let versions: Vec<_> = supported
        .iter()
        .filter_map(|version| version.as_str())
        .collect();
    (!versions.is_empty()).then_some(versions)
}
