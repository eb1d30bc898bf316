//! The handshake, in both eras of MCP.
//!
//! The client sends `initialize` (up to 2025-11-25) first, and `server/discover` (2026-07-28) only after an error. The other order
//! is slower and breaks servers: some legacy servers don't answer an unknown method, and some exit. A server that supports only
//! the new era refuses `initialize` immediately with an error; all tested servers do.

use std::time::Duration;

use mcp_startup_core::RequestTarget;
use rmcp::RoleClient;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ErrorCode, ErrorData, Implementation, ProtocolVersion,
};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::Transport;

use super::evidence_collector::EvidenceCollector;

const MAX_ERROR_CHARS: usize = 200;
const MAX_VERSIONS: usize = 20;
const MAX_VERSION_CHARS: usize = 40;

/// A server that has answered the handshake.
pub(crate) type Service = RunningService<RoleClient, ClientConfig>;

/// Why the handshake failed. The collector has the evidence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the server answered `initialize` with the error {code}: {message}")]
    Refused { code: i32, message: String },
    #[error("the server supports other versions of MCP: {0:?}")]
    NoCommonVersion(Vec<String>),
    #[error(transparent)]
    Failed(Box<ClientInitializeError>),
    #[error("the connection can't be used for a second handshake")]
    Lost,
}

/// The limit of the second handshake. A server that has just refused the first one is responsive, so a silent server does not
/// support the new era. It must not use up the limit of the start.
const SECOND_LIMIT: Duration = Duration::from_secs(5);

/// Performs the handshake over a transport that `connect` creates.
///
/// If the server refuses the first handshake, `connect` is called again, and may return the same connection.
/// `refused_by_status` returns whether the HTTP status refused a first handshake that had no JSON-RPC answer.
pub(crate) async fn handshake<T>(
    mut connect: impl FnMut() -> Option<T>,
    refused_by_status: impl Fn() -> bool,
    collector: &EvidenceCollector,
) -> Result<Service, HandshakeError>
where
    T: Transport<RoleClient> + 'static,
{
    let transport = connect().ok_or(HandshakeError::Lost)?;
    // Both handshakes are boxed: the SDK's futures are large, and would be copied together with the futures that contain them.
    let legacy = Box::pin(
        client(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .serve_with_lifecycle(transport, ClientLifecycleMode::Initialize),
    )
    .await;
    let refusal = match legacy {
        Ok(service) => return with_known_version(service, collector),
        Err(error) => match &error {
            ClientInitializeError::JsonRpcError(data) if may_be_of_another_era(data) => {
                HandshakeError::refused(data, collector)
            }
            ClientInitializeError::JsonRpcError(data) => {
                return Err(HandshakeError::refused(data, collector));
            }
            ClientInitializeError::UncorrelatedErrorResponse { .. } => HandshakeError::from(error),
            _ if refused_by_status() => HandshakeError::from(error),
            _ => return Err(HandshakeError::from(error)),
        },
    };
    let transport = connect().ok_or(HandshakeError::Lost)?;
    let requests = collector.log.len();
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
            return Err(HandshakeError::no_common_version(versions, collector));
        }
        Ok(Err(_)) | Err(_) => {}
    }
    // The server does not support the new era. The answer to the first handshake counts, unless the second one requires
    // authorization.
    if !matches!(
        collector.log.last_status(RequestTarget::Mcp),
        Some(401 | 403)
    ) {
        collector.log.truncate(requests);
    }
    Err(refusal)
}

impl From<ClientInitializeError> for HandshakeError {
    fn from(error: ClientInitializeError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl HandshakeError {
    /// The error to record. The SDK wraps the error of a transport in a message that only names the type of the transport.
    pub fn source_error(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Failed(sdk) => match &**sdk {
                ClientInitializeError::TransportError { error, .. } => error.error.as_ref(),
                sdk => sdk,
            },
            error => error,
        }
    }

    /// An error answer to `initialize`. If it lists the versions that the server supports, they are more useful than its code.
    fn refused(error: &ErrorData, collector: &EvidenceCollector) -> Self {
        match supported_versions(error) {
            Some(versions) => Self::no_common_version(versions.into_iter(), collector),
            None => Self::Refused {
                code: error.code.0,
                message: collector.sanitize(&error.message, MAX_ERROR_CHARS),
            },
        }
    }

    fn no_common_version<'a>(
        versions: impl Iterator<Item = &'a str>,
        collector: &EvidenceCollector,
    ) -> Self {
        let versions = versions.take(MAX_VERSIONS);
        Self::NoCommonVersion(
            versions
                .map(|version| collector.sanitize(version, MAX_VERSION_CHARS))
                .collect(),
        )
    }

    /// Adds the error to the evidence. Returns whether the server has answered the handshake with an error.
    pub fn record(&self, collector: &EvidenceCollector) -> bool {
        collector.record_error(self.source_error());
        collector.update(|evidence| {
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

/// The server may answer `initialize` with another version than the requested one. The client must know that version.
fn with_known_version(
    service: Service,
    collector: &EvidenceCollector,
) -> Result<Service, HandshakeError> {
    let version = service
        .peer_info()
        .map(|info| info.protocol_version.clone())
        .unwrap_or_default();
    match ProtocolVersion::KNOWN_VERSIONS.contains(&version) {
        true => Ok(service),
        false => Err(HandshakeError::no_common_version(
            std::iter::once(version.as_str()),
            collector,
        )),
    }
}

/// Whether an error answer to `initialize` may come from a server of the new era. The tested servers reject the method, its
/// params or its version. Any other error is a fault of this server, and a second handshake would only take time.
fn may_be_of_another_era(error: &ErrorData) -> bool {
    matches!(
        error.code,
        ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::INVALID_PARAMS
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::UNSUPPORTED_PROTOCOL_VERSION
    ) || supported_versions(error).is_some()
}

/// The supported versions in an error that rejects the version of the client (MCP 2026-07-28, protocol version negotiation).
fn supported_versions(error: &ErrorData) -> Option<Vec<&str>> {
    let supported = error.data.as_ref()?.get("supported")?.as_array()?;
    let versions: Vec<_> = supported
        .iter()
        .filter_map(|version| version.as_str())
        .collect();
    (!versions.is_empty()).then_some(versions)
}
