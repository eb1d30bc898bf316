//! Fetches the metadata documents that the SDK requests, and records the parts that the SDK does not expose.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::WWW_AUTHENTICATE;
use mcp_startup_core::{
    CredentialSent, DiscoveryOutcome, DiscoveryProblem, IoTrouble, RequestEvidence, RequestTarget,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadataResolution, OAuthHttpClient,
    OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest, WWWAuthenticateParams,
};
use url::Url;

use super::metadata::{ResourceMetadata, authorization_server_metadata, resource_metadata};
use crate::network::{
    BlockedRequest, GuardedClient, GuardedClientError, RequestLog, SentRequest, bare_url, read_body,
};
use crate::oauth::endpoint::MAX_URL_BYTES;

/// The size limit of a metadata document: 1 MB.
pub(super) const MAX_DOCUMENT_BYTES: usize = 1_000_000;
/// The number of redirects that are followed for each document.
const MAX_REDIRECTS: usize = 3;
/// The number of documents that one discovery requests, and of its requests. Each redirect is another request.
pub(super) const MAX_DOCUMENTS: usize = 8;
pub(super) const MAX_REQUESTS: usize = 16;
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// The parts of the fetched documents that the SDK reads but does not expose.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The `resource` and the `scopes_supported` of the last protected-resource metadata that applies to the server.
    pub accepted: Option<(String, Vec<String>)>,
    /// Whether a document names another resource.
    pub names_another_resource: bool,
    /// Whether an accepted document names authorization servers. If so, all later documents are those of authorization
    /// servers.
    names_servers: bool,
    /// The URLs in challenges where protected-resource metadata is published.
    pointers: Vec<Url>,
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
        let problem = match (&self.blocked, challenge) {
            (Some((_, problem)), _) => *problem,
            _ if self.accepted.is_some() => Problem::NoAuthorizationServer,
            _ if self.names_another_resource => Problem::ResourceMismatch,
            (None, None) => return (DiscoveryOutcome::NotPublished, None),
            // The SDK does not follow this pointer.
            (None, Some(challenge)) if pointer(challenge, resource).is_none() => {
                Problem::InvalidMetadata
            }
            // This may be a page of an intermediary, such as a captive portal.
            (None, Some(_)) if matches!(self.first_status, Some(200..300)) => {
                return (DiscoveryOutcome::Unavailable, None);
            }
            (None, Some(_)) => Problem::InvalidMetadata,
        };
        (DiscoveryOutcome::Unusable, Some(problem))
    }

    fn add(&mut self, metadata: ResourceMetadata) {
        match metadata {
            ResourceMetadata::Accepted {
                resource,
                scopes,
                names_servers,
            } => {
                self.accepted = Some((resource, scopes));
                self.names_servers = names_servers;
            }
            ResourceMetadata::Rejected => self.names_another_resource = true,
            ResourceMetadata::Absent => {}
        }
    }
}

/// How many documents and requests one discovery may still send. Clones share the numbers.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<(AtomicUsize, AtomicUsize)>);

impl Default for Budget {
    fn default() -> Self {
        let left = (
            AtomicUsize::new(MAX_DOCUMENTS),
            AtomicUsize::new(MAX_REQUESTS),
        );
        Self(Arc::new(left))
    }
}

impl Budget {
    fn has_document(&self) -> bool {
        self.0.0.load(Ordering::Relaxed) > 0
    }

    fn has_request(&self) -> bool {
        self.0.1.load(Ordering::Relaxed) > 0
    }

    /// Counts a request that was sent.
    fn use_request(&self, is_of_a_new_document: bool) {
        let less = |left: &AtomicUsize| {
            let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        };
        if is_of_a_new_document {
            less(&self.0.0);
        }
        less(&self.0.1);
    }
}

/// The kind of metadata that a document was requested as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestedAs {
    ResourceMetadata,
    AuthorizationServerMetadata,
}

/// The URL of protected-resource metadata in a challenge, if the SDK follows it.
fn pointer(challenge: &str, resource: &Url) -> Option<Url> {
    WWWAuthenticateParams::parse(challenge, resource).resource_metadata_url
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

/// Sends the SDK's requests through the guarded client.
#[derive(Clone)]
pub(super) struct DiscoveryHttp {
    pub guarded: GuardedClient,
    pub resource: Url,
    pub log: RequestLog,
    pub seen: Arc<Mutex<Seen>>,
    pub budget: Budget,
    /// Whether `resource` is an issuer, which has no protected-resource metadata.
    pub is_issuer: bool,
}

impl DiscoveryHttp {
    pub async fn resolve(
        self,
        challenge: Option<&str>,
    ) -> (Result<AuthorizationMetadataResolution, AuthError>, Seen) {
        let (resource, http) = (self.resource.clone(), Arc::new(self.clone()));
        let pointed = challenge.and_then(|challenge| pointer(challenge, &resource));
        self.seen().pointers.extend(pointed);
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

    /// Adds the pointers of a challenge at a URL of protected-resource metadata, which the SDK follows.
    fn add_pointers(&self, response: &reqwest::Response, requested_as: RequestedAs) {
        if requested_as == RequestedAs::ResourceMetadata
            && response.status() == http::StatusCode::UNAUTHORIZED
        {
            let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
            let pointed = challenges
                .filter_map(|challenge| pointer(challenge.to_str().ok()?, &self.resource))
                .take(MAX_DOCUMENTS);
            self.seen().pointers.extend(pointed);
        }
    }

    /// The kind of metadata that the SDK expects in a document. Only protected-resource metadata may name the resource and the authorization
    /// servers, and only until a document names them.
    fn requested_as(&self, url: &Url) -> RequestedAs {
        let mut seen = self.seen();
        if self.is_issuer || seen.names_servers {
            return RequestedAs::AuthorizationServerMetadata;
        }
        // Each pointer counts once: the same URL can be one of an authorization server later.
        if let Some(at) = seen.pointers.iter().position(|pointer| pointer == url) {
            seen.pointers.swap_remove(at);
            return RequestedAs::ResourceMetadata;
        }
        match url.origin() == self.resource.origin() && is_of_a_resource(url) {
            true => RequestedAs::ResourceMetadata,
            false => RequestedAs::AuthorizationServerMetadata,
        }
    }

    /// Fetches a document and follows its redirects. Returns `None` if a request is blocked, if the redirects lead to no
    /// document, or if the discovery has requested too many documents.
    ///
    /// # Errors
    ///
    /// If a request failed, or if the start has exceeded a limit.
    async fn fetch(
        &self,
        mut request: reqwest::Request,
        requested_as: RequestedAs,
    ) -> Result<Option<(reqwest::Response, SentRequest)>, OAuthHttpClientError> {
        let problem = match requested_as {
            RequestedAs::AuthorizationServerMetadata => DiscoveryProblem::NoAuthorizationServer,
            RequestedAs::ResourceMetadata => DiscoveryProblem::InvalidMetadata,
        };
        if !self.budget.has_document() {
            return Ok(None);
        }
        let headers = request.headers().clone();
        for redirects in 0..=MAX_REDIRECTS {
            let url = request.url().clone();
            if url.as_str().len() > MAX_URL_BYTES || !self.budget.has_request() {
                return Ok(None);
            }
            let sent = self.log.try_sent(RequestEvidence {
                to: Some(RequestTarget::Discovery),
                url: Some(bare_url(&url)),
                credential_sent: Some(CredentialSent::None),
                ..RequestEvidence::default()
            })?;
            let executed = self.guarded.execute(request).await;
            if !matches!(executed, Err(GuardedClientError::Blocked(_))) {
                self.budget.use_request(redirects == 0);
            }
            let response = match executed {
                Ok(response) => response,
                Err(GuardedClientError::Blocked(blocked)) => {
                    sent.not_sent();
                    self.seen().blocked.get_or_insert((blocked, problem));
                    return Ok(None);
                }
                Err(error) => {
                    sent.note(|noted| noted.io = Some(error.trouble()));
                    return Err(error.into());
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
            let requested_as = self.requested_as(request.url());
            // The SDK accepts any issuer in such a document.
            let names_any_issuer = requested_as == RequestedAs::AuthorizationServerMetadata
                && is_of_a_resource(request.url());
            if names_any_issuer || !is_bound_to_its_issuer(request.url()) {
                return empty_response(http::StatusCode::NOT_FOUND);
            }
            let Some((response, sent)) = self.fetch(request, requested_as).await? else {
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
            if status != http::StatusCode::OK {
                self.add_pointers(&response, requested_as);
                return Ok(copy.body(Vec::new())?);
            }
            let body = read_body(response, MAX_DOCUMENT_BYTES)
                .await
                .inspect_err(|error| sent.note(|noted| noted.io = Some(error.trouble())))
                .or_else(|error| match error.trouble() {
                    // No metadata is this large. Treat it as a document that cannot be parsed.
                    IoTrouble::TooLarge => {
                        self.log.received(MAX_DOCUMENT_BYTES)?;
                        Ok(Vec::new())
                    }
                    _ => Err(OAuthHttpClientError::from(error)),
                })?;
            self.log.received(body.len())?;
            let body = match requested_as {
                RequestedAs::ResourceMetadata => {
                    let (metadata, body) = resource_metadata(&body, &self.resource);
                    self.seen().add(metadata);
                    body
                }
                RequestedAs::AuthorizationServerMetadata => authorization_server_metadata(&body),
            };
            Ok(copy.body(body)?)
        })
    }
}
