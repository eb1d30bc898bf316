//! Which authorization server an MCP server names.

use std::sync::Arc;

use mcp_startup_core::{
    CredentialSent, DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, IoTrouble,
    RequestEvidence, RequestTarget, printable,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, OAuthHttpClient, OAuthHttpClientFuture,
    OAuthHttpRequest, ProtectedResourceMetadataInvalidReason,
};
use url::Url;

use crate::network::{RequestLog, bare_url, read_body};

/// The largest metadata document that is read: 1 MB.
const MAX_DOCUMENT_BYTES: usize = 1_000_000;
const MAX_ISSUER_CHARS: usize = 2000;

/// What was found of a server's authorization server.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// The same as evidence.
    pub evidence: DiscoveryEvidence,
    /// The metadata, where it can be used.
    pub metadata: Option<AuthorizationMetadata>,
}

/// Looks for the authorization server of the MCP server at `resource`: protected-resource metadata (RFC 9728; the pointer of
/// the `challenge` first, if there was one), then the authorization server's own (RFC 8414, OpenID Connect Discovery). Every
/// request goes through `client` and into `log`; none carries a credential.
///
/// It takes as long as the servers take: the caller has the limit.
pub async fn discover(
    client: &reqwest::Client,
    resource: &Url,
    challenge: Option<&str>,
    log: &RequestLog,
) -> Discovered {
    let http = DiscoveryHttp {
        client: client.clone(),
        resource: resource.clone(),
        log: log.clone(),
    };
    let manager =
        AuthorizationManager::new_with_oauth_http_client(resource.clone(), Arc::new(http));
    let resolved = match manager.await {
        Ok(manager) => manager.resolve_metadata_from_challenge(challenge).await,
        Err(error) => Err(error),
    };
    let (outcome, problem, metadata) = match resolved {
        Ok(resolution) if resolution.source.is_discovered() => {
            (DiscoveryOutcome::Published, None, Some(resolution.metadata))
        }
        Ok(_) => (DiscoveryOutcome::NotPublished, None, None),
        Err(error) => {
            let problem = problem(&error);
            // Not the error itself: it may quote a URL with all that it is asked with.
            tracing::debug!(resource = bare_url(resource), ?problem, "discovery failed");
            match problem {
                Some(_) => (DiscoveryOutcome::Unusable, problem, None),
                None => (DiscoveryOutcome::Unavailable, None, None),
            }
        }
    };
    let issuer = metadata
        .as_ref()
        .and_then(|metadata| metadata.issuer.as_deref());
    Discovered {
        evidence: DiscoveryEvidence {
            outcome: Some(outcome),
            issuer: issuer.map(|issuer| printable(issuer, MAX_ISSUER_CHARS)),
            problem,
        },
        metadata,
    }
}

/// What is wrong with what is published; `None` where it could not be read at all.
fn problem(error: &AuthError) -> Option<DiscoveryProblem> {
    match error {
        AuthError::ProtectedResourceMetadataInvalid { reason, .. } => Some(match **reason {
            ProtectedResourceMetadataInvalidReason::ResourceMismatch { .. } => {
                DiscoveryProblem::ResourceMismatch
            }
            _ => DiscoveryProblem::InvalidMetadata,
        }),
        AuthError::AuthorizationServersUnavailable { .. } => {
            Some(DiscoveryProblem::NoAuthorizationServer)
        }
        AuthError::AuthorizationServerMismatch { .. }
        | AuthError::AuthorizationServerMissingIssuer { .. } => {
            Some(DiscoveryProblem::IssuerMismatch)
        }
        AuthError::MetadataError(_) | AuthError::UrlError(_) => {
            Some(DiscoveryProblem::InvalidMetadata)
        }
        _ => None,
    }
}

/// Whether the SDK can tell from a well-known URL which issuer its document must name (RFC 8414, section 3.3). Of any other one
/// it takes whatever issuer the document claims to be, and a refresh token would follow that claim.
fn is_bound_to_its_issuer(url: &Url) -> bool {
    const OPENID: &str = "/.well-known/openid-configuration";
    let path = url.path();
    !path.contains("/.well-known/")
        || path.ends_with(OPENID)
        || [
            OPENID,
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource",
        ]
        .iter()
        .filter_map(|known| path.strip_prefix(known))
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The SDK's requests, on our client.
struct DiscoveryHttp {
    client: reqwest::Client,
    resource: Url,
    log: RequestLog,
}

impl OAuthHttpClient for DiscoveryHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.request)?;
            // The SDK asks the resource for its challenge. That has been given and made use of; asking again could open a
            // stream of events that never ends.
            if *request.url() == self.resource {
                let answer = http::Response::builder().status(http::StatusCode::UNAUTHORIZED);
                return Ok(answer.body(Vec::new())?);
            }
            if !is_bound_to_its_issuer(request.url()) {
                let answer = http::Response::builder().status(http::StatusCode::NOT_FOUND);
                return Ok(answer.body(Vec::new())?);
            }
            let sent = self.log.sent(RequestEvidence {
                to: Some(RequestTarget::Discovery),
                url: Some(bare_url(request.url())),
                credential_sent: Some(CredentialSent::None),
                ..RequestEvidence::default()
            });
            let response = self
                .client
                .execute(request)
                .await
                .inspect_err(|error| sent.failed(error))?;
            sent.note(|noted| noted.status = Some(response.status().as_u16()));
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            let body = read_body(response, MAX_DOCUMENT_BYTES)
                .await
                .inspect_err(|error| sent.note(|noted| noted.io = Some(error.trouble())))
                .or_else(|error| match error.trouble() {
                    // Nothing that large is metadata: as good as a document that can't be parsed.
                    IoTrouble::TooLarge => Ok(Vec::new()),
                    _ => Err(error),
                })?;
            Ok(answer.body(body)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_known_documents_that_are_bound_to_an_issuer_are_read() {
        for (url, wanted) in [
            (
                "https://a.example/.well-known/oauth-authorization-server",
                true,
            ),
            (
                "https://a.example/.well-known/oauth-authorization-server/tenant",
                true,
            ),
            (
                "https://a.example/tenant/.well-known/openid-configuration",
                true,
            ),
            (
                "https://a.example/.well-known/openid-configuration/tenant",
                true,
            ),
            (
                "https://a.example/.well-known/oauth-protected-resource/mcp",
                true,
            ),
            ("https://a.example/metadata", true),
            ("https://a.example/.well-known/x", false),
            (
                "https://a.example/tenant/.well-known/oauth-authorization-server",
                false,
            ),
            (
                "https://a.example/.well-known/oauth-authorization-server-of-mine",
                false,
            ),
        ] {
            let url = url.parse().unwrap();
            assert_eq!(is_bound_to_its_issuer(&url), wanted, "{url}");
        }
    }
}
