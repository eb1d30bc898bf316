//! Which authorization server an MCP server names.

use std::sync::Arc;

use mcp_startup_core::{
    CredentialSent, DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, IoTrouble,
    RequestEvidence, RequestTarget, printable,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest,
    ProtectedResourceMetadataInvalidReason,
};
use url::Url;

use crate::network::{RequestLog, bare_url, read_body};

/// The largest metadata document that is read: 1 MB.
const MAX_DOCUMENT_BYTES: usize = 1_000_000;
const MAX_ISSUER_CHARS: usize = 2000;

/// Looks for the authorization server of the MCP server at `resource`, after it has answered 401: protected-resource metadata
/// (RFC 9728; the challenge's pointer first), then the authorization server's own (RFC 8414, OpenID Connect Discovery).
/// Every request goes through `client` and into `log`; none carries a credential.
///
/// It takes as long as the servers take: the caller has the limit.
pub async fn discover(
    client: &reqwest::Client,
    resource: &Url,
    challenge: Option<&str>,
    log: &RequestLog,
) -> DiscoveryEvidence {
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
    let found = |outcome, problem, issuer| DiscoveryEvidence {
        outcome: Some(outcome),
        issuer,
        problem,
    };
    match resolved {
        Ok(resolution) if resolution.source.is_discovered() => found(
            DiscoveryOutcome::Published,
            None,
            resolution
                .metadata
                .issuer
                .map(|issuer| printable(&issuer, MAX_ISSUER_CHARS)),
        ),
        Ok(_) => found(DiscoveryOutcome::NotPublished, None, None),
        Err(error) => {
            let problem = problem(&error);
            // Not the error itself: it may quote a URL with all that it is asked with.
            tracing::debug!(resource = bare_url(resource), ?problem, "discovery failed");
            match problem {
                Some(problem) => found(DiscoveryOutcome::Unusable, Some(problem), None),
                None => found(DiscoveryOutcome::Unavailable, None, None),
            }
        }
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
