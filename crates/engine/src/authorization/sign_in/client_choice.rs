//! Explains which OAuth client a sign-in to a server would use. It changes nothing.

use mcp_startup_auth::{ClientSettings, Discovery, RequestLog, discover_for, sign_in_client};
use mcp_startup_config::{HttpConfig, ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{ClientSource, DiscoveryOutcome, DiscoveryProblem};
use serde::Serialize;

use super::probe::probe;
use crate::authorization::{self, client_settings};
use crate::shared_context::SharedContext;

/// The OAuth client that a sign-in to a server would use, and why. It contains no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClientChoice {
    /// The source of the client; `None` if no sign-in can begin, or if that could not be determined.
    pub source: Option<ClientSource>,
    /// The reason for the choice, or for no choice. It is human-readable.
    pub reason: String,
    /// Each setting of the server with which the sign-in deviates from MCP. They are human-readable.
    pub deviations: Vec<String>,
}

pub(crate) async fn client_choice(entry: &ServerEntry, shared: &SharedContext) -> ClientChoice {
    let nothing = |reason: &str| ClientChoice {
        reason: reason.to_owned(),
        ..ClientChoice::default()
    };
    let Ok(config) = &entry.config else {
        return nothing("the configuration entry can't be used");
    };
    let TransportConfig::Http(http) = &config.transport else {
        return nothing("a program on this machine needs no sign-in");
    };
    if authorization::configured(http).is_some() {
        return nothing("the configuration has its token");
    }
    let limit = shared.limit_of(config);
    let choosing = Box::pin(choose(config, http, shared));
    let choice = tokio::time::timeout(limit, choosing).await;
    choice.unwrap_or_else(|_| nothing("the server did not respond in time"))
}

async fn choose(config: &ServerConfig, http: &HttpConfig, shared: &SharedContext) -> ClientChoice {
    let settings = client_settings(&config.oauth, shared);
    let challenge = probe(shared, http, None).await.challenge;
    let guarded = shared.network.guarded_client(&http.url).await;
    let log = RequestLog::default();
    let (challenge, client) = (challenge.as_deref(), Some(&settings));
    let found = discover_for(&guarded, &http.url, challenge, None, client, &log).await;
    let client = match &found.metadata {
        Some(metadata) => sign_in_client(&guarded, metadata, &settings).map_err(Some),
        None => Err(None),
    };
    let mut deviations = Vec::new();
    if config
        .oauth
        .resource
        .as_ref()
        .is_some_and(|resource| resource.trim().is_empty())
    {
        deviations.push("the parameter `resource` is left out, which MCP requires".to_owned());
    }
    let publishes_pkce = found
        .metadata
        .as_ref()
        .is_some_and(|metadata| metadata.code_challenge_methods_supported.is_some());
    if client.is_ok() && !publishes_pkce {
        deviations.push(
            "the sign-in service does not publish support for PKCE, which MCP requires".to_owned(),
        );
    }
    ClientChoice {
        source: client.ok(),
        reason: reason(client, &settings, &found).to_owned(),
        deviations,
    }
}

fn reason(
    client: Result<ClientSource, Option<DiscoveryProblem>>,
    settings: &ClientSettings,
    found: &Discovery,
) -> &'static str {
    use DiscoveryProblem as Problem;
    match client {
        Ok(ClientSource::Configuration) => "a client ID is configured",
        Ok(ClientSource::MetadataDocument) => {
            "no client ID is configured, and the sign-in service supports metadata documents"
        }
        Ok(ClientSource::Registration) if settings.metadata_url.is_some() => {
            "no client ID is configured, and the sign-in service does not support metadata documents but registers clients"
        }
        Ok(ClientSource::Registration) => {
            "no client ID and no metadata document is configured, and the sign-in service registers clients"
        }
        Err(Some(Problem::ClientRequired)) => {
            "no client ID is configured, and the sign-in service does not register this client"
        }
        Err(Some(Problem::ClientDocumentRequired)) => {
            "no client ID and no metadata document is configured, and the sign-in service does not register this client"
        }
        Err(Some(Problem::PkceNotPublished)) => {
            "the sign-in service does not publish support for PKCE, and the configuration does not allow this"
        }
        Err(Some(Problem::Unsupported)) => "the server offers no sign-in that this client supports",
        Err(Some(Problem::PkceNotSupported)) => "the sign-in service does not support PKCE",
        Err(Some(_)) => "the metadata of the sign-in service can't be used",
        Err(None) => match found.evidence.outcome {
            Some(DiscoveryOutcome::NotPublished) => "the server offers no sign-in",
            Some(DiscoveryOutcome::Unusable) => "the sign-in metadata of the server can't be used",
            _ => "the sign-in service could not be determined",
        },
    }
}
