//! The handshake, in all eras of MCP.
//!
//! The client sends `initialize` (up to 2025-11-25) first, and `server/discover` (2026-07-28) only after a refusal. The other order
//! is slower and breaks servers: some legacy servers don't answer an unknown method, and some exit. A server that supports only
//! the new era refuses `initialize` immediately; all tested servers do. No error code decides: each SDK has its own.
//!
//! A server that names the versions it supports gets one more request with one of them. A URL that does not exist for POST may speak
//! the transport of 2024-11-05, HTTP+SSE.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_startup_config::ProtocolEra;
use mcp_startup_core::RequestTarget;
use rmcp::RoleClient;
use rmcp::model::{ClientCapabilities, ClientConfig, ErrorData, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::Transport;

use super::evidence_collector::EvidenceCollector;
use crate::transport::checked_results::CheckedResults;
use crate::transport::http::McpHttp;
use crate::transport::http_sse::HttpSse;
use crate::transport::server_requests::LimitedServerRequests;

/// The code with which a server of the new era refuses a request without its headers (MCP 2026-07-28).
const HEADER_MISMATCH: i32 = -32020;
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
    #[error(
        "the server names no URL for messages within its origin, as the transport HTTP+SSE of 2024-11-05 requires"
    )]
    NotHttpSse,
    #[error("the server refuses to open the event stream of HTTP+SSE")]
    NoEventStream,
    #[error("the connection can't be used for a second handshake")]
    Lost,
}

/// The limits of a second handshake. A server that has just refused the first one is responsive, so a silent server does not support
/// the second one. It must not use up the limit of the start.
const SECOND_LIMIT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(900)..=Duration::from_secs(5);
/// How many times as long as the first handshake the second one may take.
const SECOND_FACTOR: u32 = 4;

/// A server whose first handshake was refused.
struct Refusal {
    error: HandshakeError,
    /// The versions that the server has named, if any.
    versions: Vec<String>,
    /// The HTTP status, if it is the only answer.
    status: Option<u16>,
    /// The limit of a second handshake. `None` if no other handshake can help.
    second_limit: Option<Duration>,
}

impl Refusal {
    /// Whether the answer to GET decides, because the server has no POST there: it requires authorization or, if the URL exists, is
    /// unavailable for another reason.
    fn is_decided_by_get(&self, collector: &EvidenceCollector) -> bool {
        matches!(
            (self.status, collector.log.last_status(RequestTarget::Mcp)),
            (Some(404 | 405), Some(401)) | (Some(405), Some(403 | 429 | 500..))
        )
    }
}

/// Performs the handshake over a transport that `connect` creates. If the server refuses the first handshake, `connect` is called
/// again, and may return the same connection. With `is_known_modern`, an earlier start has found a server of the new era. Over HTTP,
/// `http` can open a connection of 2024-11-05.
pub(crate) async fn handshake<T>(
    mut connect: impl FnMut() -> Option<T>,
    http: Option<&McpHttp>,
    era: ProtocolEra,
    is_known_modern: bool,
    collector: &Arc<EvidenceCollector>,
) -> Result<Service, HandshakeError>
where
    T: Transport<RoleClient> + 'static,
{
    if era == ProtocolEra::Modern || is_known_modern {
        let transport = connect().ok_or(HandshakeError::Lost)?;
        let error = match discover(transport, None, collector).await {
            Ok(service) => return Ok(service),
            Err(error) => error.unwrap_or(HandshakeError::Lost),
        };
        // A server that was found to be of the new era may have been replaced.
        let is_refused = error.is_answer() || refused_by_status(collector).is_some();
        if era == ProtocolEra::Modern || !is_refused {
            return Err(error);
        }
        collector.log.truncate(0);
    }
    let transport = connect().ok_or(HandshakeError::Lost)?;
    let mut refusal = match initialize(
        transport,
        ProtocolVersion::LATEST_WITH_INITIALIZE,
        collector,
    )
    .await
    {
        Ok(service) => return Ok(service),
        Err(refusal) => refusal,
    };
    if let Some(http) = http {
        http.end_session().await;
    }
    let Some(limit) = refusal.second_limit else {
        return Err(refusal.error);
    };
    if era == ProtocolEra::Legacy {
        let modern = ProtocolVersion::LATEST;
        refusal
            .versions
            .retain(|version| version != modern.as_str());
        if refusal.versions.is_empty() {
            return Err(refusal.error);
        }
    }
    let requests = collector.log.len();
    let second = second_handshake(&mut connect, http, &refusal, limit, collector).await;
    match second {
        Ok(Some(service)) => Ok(service),
        Ok(None) => {
            // The answer to the first handshake counts, unless the second one requires authorization, or is unavailable on a server
            // that supports only the new era.
            let is_modern = matches!(&refusal.error, HandshakeError::Refused { code, .. } if *code == HEADER_MISMATCH);
            let counts = match collector.log.last_status(RequestTarget::Mcp) {
                Some(401 | 403) => true,
                Some(408 | 425 | 429 | 500..) => is_modern,
                _ => false,
            };
            if !counts {
                collector.log.truncate(requests);
            }
            // A server that names a version of this client, and does not speak it, is described by its own words.
            let has_common = refusal
                .versions
                .iter()
                .any(|version| version == ProtocolVersion::LATEST.as_str());
            Err(match refusal.versions.is_empty() || has_common {
                true => refusal.error,
                false => {
                    let versions = refusal.versions.iter().map(String::as_str);
                    HandshakeError::no_common_version(versions, collector)
                }
            })
        }
        Err(error) => Err(error),
    }
}

/// Tries what the refusal of the first handshake permits. Returns `None` if nothing else is supported either.
async fn second_handshake<T>(
    connect: &mut impl FnMut() -> Option<T>,
    http: Option<&McpHttp>,
    refusal: &Refusal,
    limit: Duration,
    collector: &Arc<EvidenceCollector>,
) -> Result<Option<Service>, HandshakeError>
where
    T: Transport<RoleClient> + 'static,
{
    let named = |version: &ProtocolVersion| {
        let named = &refusal.versions;
        named.iter().any(|name| name == version.as_str())
    };
    if !refusal.versions.is_empty() && !named(&ProtocolVersion::LATEST) {
        let known = ProtocolVersion::KNOWN_VERSIONS.iter().rev();
        let mut common = known.filter(|version| version.has_initialize() && named(version));
        let Some(version) = common.next() else {
            return Ok(None);
        };
        let Some(transport) = connect() else {
            return Ok(None);
        };
        let second = initialize(transport, version.clone(), collector);
        return match tokio::time::timeout(limit, second).await {
            Ok(Ok(service)) => Ok(Some(service)),
            Ok(Err(_)) | Err(_) => Ok(None),
        };
    }
    let is_missing = matches!(refusal.status, Some(404 | 405));
    if is_missing && let Some(service) = over_http_sse(http, refusal, limit, collector).await? {
        return Ok(Some(service));
    }
    let Some(transport) = connect() else {
        return Ok(None);
    };
    match discover(transport, Some(limit), collector).await {
        Ok(service) => return Ok(Some(service)),
        Err(Some(error)) => return Err(error),
        Err(None) => {}
    }
    match refusal.status {
        Some(_) if !is_missing => over_http_sse(http, refusal, limit, collector).await,
        _ => Ok(None),
    }
}

/// Performs the handshake over the transport of 2024-11-05, if the server speaks it.
async fn over_http_sse(
    http: Option<&McpHttp>,
    refusal: &Refusal,
    limit: Duration,
    collector: &Arc<EvidenceCollector>,
) -> Result<Option<Service>, HandshakeError> {
    let Some(http) = http else {
        return Ok(None);
    };
    let opening = http.open_http_sse();
    let opened = tokio::time::timeout(limit, opening).await;
    let Ok(Some(transport)) = opened else {
        // The body of a refusal can be slow.
        return match http.may_use_http_sse() && refusal.is_decided_by_get(collector) {
            true => Err(HandshakeError::NoEventStream),
            false => Ok(None),
        };
    };
    if !http.may_use_http_sse() {
        let versions = std::iter::once("2024-11-05 over HTTP+SSE");
        return Err(HandshakeError::no_common_version(versions, collector));
    }
    initialize_over_http_sse(transport, collector)
        .await
        .map(Some)
}

/// Performs the handshake with a server that is configured for HTTP+SSE.
pub(crate) async fn handshake_over_http_sse(
    http: &McpHttp,
    collector: &Arc<EvidenceCollector>,
) -> Result<Service, HandshakeError> {
    let Some(transport) = http.open_http_sse().await else {
        return Err(HandshakeError::NotHttpSse);
    };
    initialize_over_http_sse(transport, collector).await
}

async fn initialize_over_http_sse(
    transport: HttpSse,
    collector: &Arc<EvidenceCollector>,
) -> Result<Service, HandshakeError> {
    let transport = CheckedResults::new(transport, collector.clone());
    let transport = LimitedServerRequests::new(transport, collector);
    initialize(
        transport,
        ProtocolVersion::LATEST_WITH_INITIALIZE,
        collector,
    )
    .await
    .map_err(|refusal| refusal.error)
}

/// Performs the handshake with `initialize`.
async fn initialize<T>(
    transport: T,
    version: ProtocolVersion,
    collector: &EvidenceCollector,
) -> Result<Service, Refusal>
where
    T: Transport<RoleClient> + 'static,
{
    let began = Instant::now();
    // The handshakes are boxed: the SDK's futures are large, and would be copied together with the futures that contain them.
    let result = Box::pin(
        client(version.clone()).serve_with_lifecycle(transport, ClientLifecycleMode::Initialize),
    )
    .await;
    let second_limit =
        Some((began.elapsed() * SECOND_FACTOR).clamp(*SECOND_LIMIT.start(), *SECOND_LIMIT.end()));
    let error = match result {
        Ok(service) => {
            return with_known_version(service, collector).map_err(|error| Refusal {
                error,
                versions: Vec::new(),
                status: None,
                second_limit: None,
            });
        }
        Err(error) => error,
    };
    let refused = refused_by_status(collector);
    let other_than_requested = |found: &String| found != version.as_str();
    Err(match error {
        ClientInitializeError::JsonRpcError(data) => Refusal {
            versions: supported_versions(&data)
                .into_iter()
                .filter(other_than_requested)
                .collect(),
            error: HandshakeError::refused(&data, collector),
            status: None,
            second_limit,
        },
        error @ ClientInitializeError::UncorrelatedErrorResponse { .. } => Refusal {
            error: error.into(),
            versions: Vec::new(),
            status: None,
            second_limit,
        },
        error => match refused {
            Some((status, words)) => Refusal {
                error: error.into(),
                versions: versions_in(&words).filter(other_than_requested).collect(),
                status: Some(status),
                second_limit,
            },
            None => Refusal {
                error: error.into(),
                versions: Vec::new(),
                status: None,
                second_limit: None,
            },
        },
    })
}

/// Performs the handshake of the new era. The error is `None` if the server does not support it.
pub(crate) async fn discover<T>(
    transport: T,
    limit: Option<Duration>,
    collector: &EvidenceCollector,
) -> Result<Service, Option<HandshakeError>>
where
    T: Transport<RoleClient> + 'static,
{
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::LATEST],
    };
    let modern =
        Box::pin(client(ProtocolVersion::LATEST).serve_with_lifecycle(transport, lifecycle));
    let result = match limit {
        Some(limit) => tokio::time::timeout(limit, modern)
            .await
            .map_err(|_| None)?,
        None => modern.await,
    };
    match result {
        Ok(service) => Ok(service),
        Err(ClientInitializeError::NoCompatibleProtocolVersion {
            server_supported, ..
        }) if !server_supported.is_empty() => {
            let versions = server_supported.iter().map(ProtocolVersion::as_str);
            Err(Some(HandshakeError::no_common_version(versions, collector)))
        }
        Err(error) => Err(limit.is_none().then(|| match error {
            ClientInitializeError::JsonRpcError(data) => HandshakeError::refused(&data, collector),
            error => error.into(),
        })),
    }
}

/// The HTTP status that refused the handshake, and the words of the answer. Statuses that have another meaning are not refusals of
/// an era.
fn refused_by_status(collector: &EvidenceCollector) -> Option<(u16, String)> {
    let last = collector.log.last(RequestTarget::Mcp)?;
    let status = last
        .status
        .filter(|status| matches!(status, 400..500) && !matches!(status, 401 | 403 | 407 | 429))?;
    let method = last.method.as_deref()?;
    matches!(
        method,
        "initialize" | "notifications/initialized" | "server/discover"
    )
    .then(|| (status, last.body.unwrap_or_default()))
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

    /// An error answer to `initialize`.
    fn refused(error: &ErrorData, collector: &EvidenceCollector) -> Self {
        Self::Refused {
            code: error.code.0,
            message: collector.error_text(error, MAX_ERROR_CHARS),
        }
    }

    /// Whether the server has answered the handshake.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NoCommonVersion(_))
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
        match self {
            Self::Refused { message, .. } => {
                collector.record_protocol_error(self.to_string(), Some(message.clone()));
            }
            Self::NotHttpSse => collector.record_protocol_error(self.to_string(), None),
            Self::NoCommonVersion(versions) => collector.update(|evidence| {
                let protocol = evidence.protocol.get_or_insert_default();
                protocol.server_versions = Some(versions.clone());
            }),
            Self::Failed(_) | Self::NoEventStream | Self::Lost => return false,
        }
        true
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

/// The supported versions in an error that rejects the version of the client: in its data, in the form of MCP 2026-07-28 or another
/// one, or in its message.
fn supported_versions(error: &ErrorData) -> Vec<String> {
    let data = error.data.as_ref();
    let lists = data.and_then(|data| data.as_object());
    let listed = lists
        .into_iter()
        .flat_map(|members| members.values())
        .filter_map(|member| member.as_array())
        .flatten()
        .filter_map(|version| version.as_str());
    let mut versions: Vec<_> = listed
        .filter(|text| versions_in(text).next().is_some())
        .take(MAX_VERSIONS)
        .map(str::to_owned)
        .collect();
    if versions.is_empty() {
        versions = versions_in(&error.message).collect();
        if let Some(text) = data.and_then(|data| data.as_str()) {
            versions.extend(versions_in(text));
        }
    }
    versions
}

/// The versions of MCP in a text: dates from 2024 on.
fn versions_in(text: &str) -> impl Iterator<Item = String> {
    const FORM: &[u8] = b"dddd-dd-dd";
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let starts = (0..bytes.len()).filter(move |start| {
        let found = bytes.get(*start..start + FORM.len());
        let is_date = found.is_some_and(|found| {
            let fits = |(byte, form): (&u8, &u8)| match form {
                b'd' => byte.is_ascii_digit(),
                _ => byte == form,
            };
            found.starts_with(b"202") && found.iter().zip(FORM).all(fits)
        });
        is_date
            && !is_digit(bytes.get(start + FORM.len()))
            && !is_digit(start.checked_sub(1).and_then(|before| bytes.get(before)))
    });
    let dates = starts.filter_map(|start| text.get(start..start + FORM.len()));
    dates.take(MAX_VERSIONS).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_found_in_data_and_in_text() {
        let listed = |data, message: &str| {
            let error = ErrorData::invalid_params(message.to_owned(), data);
            supported_versions(&error)
        };
        for (data, message, expected) in [
            (
                Some(json!({"supported": ["2026-07-28"], "requested": "x"})),
                "",
                vec!["2026-07-28"],
            ),
            (
                Some(json!({"supportedVersions": ["2025-06-18", "2025-03-26"]})),
                "",
                vec!["2025-06-18", "2025-03-26"],
            ),
            (
                None,
                "Unsupported protocol version (supported versions: 2025-06-18, 2024-11-05)",
                vec!["2025-06-18", "2024-11-05"],
            ),
            (
                Some(json!("supported: 2024-11-05")),
                "no",
                vec!["2024-11-05"],
            ),
            (
                Some(json!({"trace": ["a", "b"]})),
                "build 12025-06-180, 1999-01-01, 2025-6-18",
                vec![],
            ),
        ] {
            assert_eq!(listed(data, message), expected, "{message}");
        }
    }
}
