//! Which authorization server an MCP server names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{
    CredentialSent, DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, IoTrouble,
    RequestEvidence, RequestTarget, printable, same_issuer,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, OAuthHttpClient, OAuthHttpClientFuture,
    OAuthHttpRequest, ProtectedResourceMetadataInvalidReason,
};
use serde_json::Value;
use url::Url;

use crate::network::{RequestLog, bare_url, read_body};

/// The largest metadata document that is read: 1 MB.
const MAX_DOCUMENT_BYTES: usize = 1_000_000;
const MAX_ISSUER_CHARS: usize = 2000;
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// What was found of a server's authorization server.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// The same as evidence.
    pub evidence: DiscoveryEvidence,
    /// The metadata, where it can be used.
    pub metadata: Option<AuthorizationMetadata>,
    /// The resource as its own metadata calls it (RFC 9728, section 2), where that was found.
    pub resource: Option<String>,
    /// The scopes that the resource's metadata names (RFC 9728, section 2).
    pub scopes: Vec<String>,
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
    let seen = Arc::new(Mutex::new(Seen::default()));
    let http = DiscoveryHttp {
        client: client.clone(),
        resource: resource.clone(),
        log: log.clone(),
        seen: seen.clone(),
        issuer_alone: false,
    };
    let manager =
        AuthorizationManager::new_with_oauth_http_client(resource.clone(), Arc::new(http));
    let resolved = match manager.await {
        Ok(manager) => manager.resolve_metadata_from_challenge(challenge).await,
        Err(error) => Err(error),
    };
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let (outcome, problem, metadata) = match resolved {
        Ok(resolution) if resolution.source.is_discovered() => {
            (DiscoveryOutcome::Published, None, Some(resolution.metadata))
        }
        Ok(_) => {
            let points = challenge.is_some_and(|text| text.contains("resource_metadata"));
            let (outcome, problem) = seen.in_place_of_metadata(resource, points);
            (outcome, problem, None)
        }
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
    let mut discovered = Discovered::new(outcome, metadata);
    discovered.evidence.problem = problem;
    if discovered.metadata.is_some() {
        discovered.resource = seen.resource;
        discovered.scopes = seen.scopes;
    }
    discovered
}

/// Reads the metadata of an issuer that is known already (RFC 8414, OpenID Connect Discovery): for a resource that does not
/// say which it is.
pub async fn discover_issuer(
    client: &reqwest::Client,
    issuer: &str,
    log: &RequestLog,
) -> Option<Discovered> {
    let url = Url::parse(issuer).ok()?;
    let http = DiscoveryHttp {
        client: client.clone(),
        resource: url.clone(),
        log: log.clone(),
        seen: Arc::default(),
        issuer_alone: true,
    };
    let manager = AuthorizationManager::new_with_oauth_http_client(url, Arc::new(http));
    let resolution = manager
        .await
        .ok()?
        .resolve_metadata_from_challenge(None)
        .await
        .ok()?;
    let is_it = |named: &str| same_issuer(named, issuer);
    (resolution.source.is_discovered() && resolution.metadata.issuer.as_deref().is_some_and(is_it))
        .then(|| Discovered::new(DiscoveryOutcome::Published, Some(resolution.metadata)))
}

impl Discovered {
    fn new(outcome: DiscoveryOutcome, metadata: Option<AuthorizationMetadata>) -> Self {
        let issuer = metadata
            .as_ref()
            .and_then(|metadata| metadata.issuer.as_deref());
        Self {
            evidence: DiscoveryEvidence {
                outcome: Some(outcome),
                issuer: issuer.map(|issuer| printable(issuer, MAX_ISSUER_CHARS)),
                problem: None,
            },
            metadata,
            ..Self::default()
        }
    }
}

/// What was seen of the documents. The SDK reads them, and keeps it to itself.
#[derive(Debug, Default)]
struct Seen {
    /// The resource that the last protected-resource metadata was for.
    resource: Option<String>,
    /// The scopes that it names.
    scopes: Vec<String>,
    /// The HTTP status of the first document: of the one that the challenge points to, where it does.
    first_status: Option<u16>,
}

impl Seen {
    /// What it means that no authorization server was found, and that nothing else is wrong by what the SDK says. A challenge
    /// that points to metadata says that there is a sign-in.
    fn in_place_of_metadata(
        &self,
        resource: &Url,
        challenge_points: bool,
    ) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
        use DiscoveryProblem as Problem;
        let problem = match &self.resource {
            Some(named) if is_part_of(resource, named) => Problem::NoAuthorizationServer,
            Some(_) => Problem::ResourceMismatch,
            None if !challenge_points => return (DiscoveryOutcome::NotPublished, None),
            // A page of something in between, it may be.
            None if matches!(self.first_status, Some(200..300)) => {
                return (DiscoveryOutcome::Unavailable, None);
            }
            None => Problem::InvalidMetadata,
        };
        (DiscoveryOutcome::Unusable, Some(problem))
    }
}

/// Whether metadata that names this resource is meant for the server at `url`: it has the same origin, and its path is the
/// server's or a part of it (RFC 9728, section 3.3, as MCP has it).
fn is_part_of(url: &Url, resource: &str) -> bool {
    let Ok(named) = Url::parse(resource) else {
        return false;
    };
    let whole = |url: &Url| format!("{}/", url.path().trim_end_matches('/'));
    named.origin() == url.origin() && whole(url).starts_with(&whole(&named))
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
            PROTECTED_RESOURCE,
        ]
        .iter()
        .filter_map(|known| path.strip_prefix(known))
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Notes what resource a protected-resource metadata document is for. One that is the server's but for a slash at the end
/// (which MCP asks servers to leave out, and clients to take) is handed to the SDK without it.
fn read_resource(document: Vec<u8>, url: &Url, seen: &mut Seen) -> Vec<u8> {
    let Ok(Value::Object(mut metadata)) = serde_json::from_slice(&document) else {
        return document;
    };
    let Some(Value::String(named)) = metadata.get("resource") else {
        return document;
    };
    seen.resource = Some(named.clone());
    let scopes = metadata.get("scopes_supported").and_then(Value::as_array);
    let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
    seen.scopes = scopes.map(str::to_owned).collect();
    let differs_by_a_slash = named.strip_suffix('/') == Some(url.as_str());
    if !differs_by_a_slash {
        return document;
    }
    metadata.insert("resource".to_owned(), url.as_str().into());
    serde_json::to_vec(&metadata).unwrap_or(document)
}

/// The SDK's requests, on our client.
struct DiscoveryHttp {
    client: reqwest::Client,
    resource: Url,
    log: RequestLog,
    seen: Arc<Mutex<Seen>>,
    /// What is asked about is an issuer, and no resource: there is no protected-resource metadata of it.
    issuer_alone: bool,
}

impl DiscoveryHttp {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
            let is_of_a_resource = request.url().path().contains(PROTECTED_RESOURCE);
            if !is_bound_to_its_issuer(request.url()) || (self.issuer_alone && is_of_a_resource) {
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
            let status = response.status().as_u16();
            sent.note(|noted| noted.status = Some(status));
            self.seen().first_status.get_or_insert(status);
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
            let body = read_resource(body, &self.resource, &mut self.seen());
            Ok(answer.body(body)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_meant_for_its_resource_and_what_lies_beneath() {
        let url: Url = "https://a.example/tenant/mcp".parse().unwrap();
        for (resource, wanted) in [
            ("https://a.example/tenant/mcp", true),
            ("https://a.example/tenant/mcp/", true),
            ("https://a.example/tenant", true),
            ("https://a.example", true),
            ("https://a.example/ten", false),
            ("https://a.example/tenant/mcp/more", false),
            ("https://a.example:444/tenant/mcp", false),
            ("http://a.example/tenant/mcp", false),
            ("https://b.example/tenant/mcp", false),
            ("tenant/mcp", false),
        ] {
            assert_eq!(is_part_of(&url, resource), wanted, "{resource}");
        }
    }

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
