//! Fetches the metadata documents that the SDK requests, and records the parts that the SDK does not expose.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{
    CredentialSent, DiscoveryOutcome, DiscoveryProblem, IoTrouble, RequestEvidence, RequestTarget,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadataResolution, OAuthHttpClient,
    OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest, WWWAuthenticateParams,
};
use serde_json::Value;
use url::Url;

use crate::network::{
    BlockedRequest, GuardedClient, GuardedClientError, RequestLog, SentRequest, bare_url, read_body,
};

/// The size limit of a metadata document: 1 MB.
pub(super) const MAX_DOCUMENT_BYTES: usize = 1_000_000;
/// The number of redirects that are followed for each document.
const MAX_REDIRECTS: usize = 3;
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// The parts of the fetched documents that the SDK reads but does not expose.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The `resource` of the last protected-resource metadata document.
    pub resource: Option<String>,
    /// The `scopes_supported` of that document.
    pub scopes: Vec<String>,
    /// The HTTP status of the first document, which is the one that the challenge points to, if any.
    pub first_status: Option<u16>,
    /// The first blocked request, and the problem with the metadata that results from it.
    pub blocked: Option<(BlockedRequest, DiscoveryProblem)>,
}

impl Seen {
    /// The outcome if the SDK found no authorization server and reported no other problem. A challenge that points
    /// to metadata means that the server offers a sign-in.
    pub fn outcome_without_metadata(
        &self,
        resource: &Url,
        challenge: Option<&str>,
    ) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
        use DiscoveryProblem as Problem;
        let challenge = challenge.filter(|text| text.contains("resource_metadata"));
        let problem = match (&self.resource, challenge, &self.blocked) {
            (_, _, Some((_, problem))) => *problem,
            (Some(named), ..) if is_part_of(resource, named) => Problem::NoAuthorizationServer,
            (Some(_), ..) => Problem::ResourceMismatch,
            (None, None, None) => return (DiscoveryOutcome::NotPublished, None),
            // The SDK does not follow this pointer.
            (None, Some(challenge), None)
                if WWWAuthenticateParams::parse(challenge, resource)
                    .resource_metadata_url
                    .is_none() =>
            {
                Problem::InvalidMetadata
            }
            // This may be a page of an intermediary, such as a captive portal.
            (None, Some(_), None) if matches!(self.first_status, Some(200..300)) => {
                return (DiscoveryOutcome::Unavailable, None);
            }
            (None, Some(_), None) => Problem::InvalidMetadata,
        };
        (DiscoveryOutcome::Unusable, Some(problem))
    }
}

/// Whether protected-resource metadata that names `resource` applies to the server at `url`. Both must have the same
/// origin, and the path of the resource must be the server's path or a parent of it (RFC 9728, section 3.3, as applied
/// by MCP).
pub(super) fn is_part_of(url: &Url, resource: &str) -> bool {
    let Ok(named) = Url::parse(resource) else {
        return false;
    };
    let whole = |url: &Url| format!("{}/", url.path().trim_end_matches('/'));
    named.origin() == url.origin() && whole(url).starts_with(&whole(&named))
}

/// Whether the SDK can derive from a well-known URL which issuer its document must name (RFC 8414, section 3.3). For
/// any other well-known URL, the SDK accepts the issuer that the document claims, and a refresh token could be sent to
/// that issuer.
pub(super) fn is_bound_to_its_issuer(url: &Url) -> bool {
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

/// Records the resource of a protected-resource metadata document. MCP asks servers to omit a trailing slash and
/// clients to accept one. If the resource differs from the server's URL only by a trailing slash, the SDK receives the
/// document without the slash.
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

/// Sends the SDK's requests through the guarded client.
#[derive(Clone)]
pub(super) struct DiscoveryHttp {
    pub guarded: GuardedClient,
    pub resource: Url,
    pub log: RequestLog,
    pub seen: Arc<Mutex<Seen>>,
    /// Whether `resource` is an issuer, which has no protected-resource metadata.
    pub is_issuer: bool,
}

impl DiscoveryHttp {
    pub async fn resolve(
        self,
        challenge: Option<&str>,
    ) -> (Result<AuthorizationMetadataResolution, AuthError>, Seen) {
        let (resource, http) = (self.resource.clone(), Arc::new(self.clone()));
        let resolved = match AuthorizationManager::new_with_oauth_http_client(resource, http).await
        {
            Ok(manager) => manager.resolve_metadata_from_challenge(challenge).await,
            Err(error) => Err(error),
        };
        let seen = std::mem::take(&mut *self.seen());
        (resolved, seen)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches a document and follows its redirects. Returns `None` if a request is blocked or the redirects lead
    /// to no document.
    async fn fetch(
        &self,
        mut request: reqwest::Request,
    ) -> Result<Option<(reqwest::Response, SentRequest)>, GuardedClientError> {
        let problem = match is_of_an_authorization_server(request.url()) {
            true => DiscoveryProblem::NoAuthorizationServer,
            false => DiscoveryProblem::InvalidMetadata,
        };
        let headers = request.headers().clone();
        for _ in 0..=MAX_REDIRECTS {
            let url = request.url().clone();
            let sent = self.log.sent(RequestEvidence {
                to: Some(RequestTarget::Discovery),
                url: Some(bare_url(&url)),
                credential_sent: Some(CredentialSent::None),
                ..RequestEvidence::default()
            });
            let response = match self.guarded.execute(request).await {
                Ok(response) => response,
                Err(GuardedClientError::Blocked(blocked)) => {
                    sent.not_sent();
                    self.seen().blocked.get_or_insert((blocked, problem));
                    return Ok(None);
                }
                Err(error) => {
                    sent.note(|noted| noted.io = Some(error.trouble()));
                    return Err(error);
                }
            };
            sent.note(|noted| noted.status = Some(response.status().as_u16()));
            if !response.status().is_redirection() {
                return Ok(Some((response, sent)));
            }
            let next = location(&url, &response).filter(|next| *next != self.resource);
            let Some(next) = next else {
                return Ok(None);
            };
            request = reqwest::Request::new(reqwest::Method::GET, next);
            *request.headers_mut() = headers.clone();
        }
        Ok(None)
    }
}

/// The target of a redirect that a GET request may follow (RFC 9110, section 15.4).
fn location(url: &Url, response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(http::header::LOCATION)?;
    let mut next = url.join(location.to_str().ok()?).ok()?;
    next.set_fragment(None);
    Some(next)
}

fn is_of_an_authorization_server(url: &Url) -> bool {
    url.path().contains("/.well-known/") && !is_of_a_resource(url)
}

fn is_of_a_resource(url: &Url) -> bool {
    url.path().contains(PROTECTED_RESOURCE)
}

fn empty_response(
    status: http::StatusCode,
) -> Result<http::Response<Vec<u8>>, OAuthHttpClientError> {
    Ok(http::Response::builder().status(status).body(Vec::new())?)
}

impl OAuthHttpClient for DiscoveryHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.request)?;
            // The SDK requests the resource to get its challenge. The challenge is already known, and
            // another request could open an event stream that never ends.
            if *request.url() == self.resource {
                return empty_response(http::StatusCode::UNAUTHORIZED);
            }
            let is_not_applicable = self.is_issuer && is_of_a_resource(request.url());
            if is_not_applicable || !is_bound_to_its_issuer(request.url()) {
                return empty_response(http::StatusCode::NOT_FOUND);
            }
            let Some((response, sent)) = self.fetch(request).await? else {
                let status = http::StatusCode::NOT_FOUND;
                self.seen().first_status.get_or_insert(status.as_u16());
                return empty_response(status);
            };
            let status = response.status();
            self.seen().first_status.get_or_insert(status.as_u16());
            let mut copy = http::Response::builder().status(status);
            if let Some(headers) = copy.headers_mut() {
                headers.clone_from(response.headers());
            }
            let body = read_body(response, MAX_DOCUMENT_BYTES)
                .await
                .inspect_err(|error| sent.note(|noted| noted.io = Some(error.trouble())))
                .or_else(|error| match error.trouble() {
                    // No metadata is this large. Treat it as a document that cannot be parsed.
                    IoTrouble::TooLarge => Ok(Vec::new()),
                    _ => Err(error),
                })?;
            let body = read_resource(body, &self.resource, &mut self.seen());
            Ok(copy.body(body)?)
        })
    }
}
