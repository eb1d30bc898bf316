//! Which authorization server an MCP server names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{
    CredentialSent, DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, IoTrouble,
    RequestEvidence, RequestTarget, printable, same_issuer,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataResolution,
    OAuthHttpClient, OAuthHttpClientError, OAuthHttpClientFuture, OAuthHttpRequest,
    ProtectedResourceMetadataInvalidReason, WWWAuthenticateParams,
};
use serde_json::Value;
use url::Url;

use crate::network::{
    Outside, OutsideError, Place, Refused, RequestLog, SentRequest, bare_url, place, read_body,
};

/// The largest metadata document that is read: 1 MB.
const MAX_DOCUMENT_BYTES: usize = 1_000_000;
const MAX_ISSUER_CHARS: usize = 2000;
/// How many redirects of a document are followed.
const MAX_REDIRECTS: usize = 3;
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
    /// What the server names and none may ask, where that is why there is no metadata.
    pub refused: Option<Refused>,
}

/// Looks for the authorization server of the MCP server at `resource`: protected-resource metadata (RFC 9728; the pointer of
/// the `challenge` first, if there was one), then the authorization server's own (RFC 8414, OpenID Connect Discovery). Every
/// request goes the way `outside`, which is that of this very server, and into `log`; none carries a credential. Of a document at most
/// 3 redirects are followed, and it must be that of the URL that was asked first (RFC 8414, section 3.3).
///
/// It takes as long as the servers take: the caller has the limit.
pub async fn discover(
    outside: &Outside,
    resource: &Url,
    challenge: Option<&str>,
    log: &RequestLog,
) -> Discovered {
    let http = DiscoveryHttp {
        outside: outside.clone(),
        resource: resource.clone(),
        log: log.clone(),
        seen: Arc::default(),
        issuer_alone: false,
    };
    let (resolved, seen) = http.resolve(challenge).await;
    let unusable = |(outcome, problem)| Discovered::without_metadata(outcome, problem);
    let mut discovered = match resolved {
        Ok(resolution) if resolution.source.is_discovered() => {
            Discovered::with(resolution.metadata, outside)
        }
        Ok(_) => unusable(seen.in_place_of_metadata(resource, challenge)),
        Err(error) => {
            let problem = problem(&error);
            // Not the error itself: it may quote a URL with all that it is asked with.
            tracing::debug!(
                resource = resource.origin().ascii_serialization(),
                ?problem,
                "discovery failed"
            );
            match (passed_over(&error, outside, resource, log).await, problem) {
                (Some(found), _) => found,
                (None, Some(_)) => unusable((DiscoveryOutcome::Unusable, problem)),
                (None, None) => unusable((DiscoveryOutcome::Unavailable, None)),
            }
        }
    };
    match (&discovered.metadata, discovered.evidence.outcome) {
        (Some(_), _) => {
            discovered.resource = seen.resource;
            discovered.scopes = seen.scopes;
        }
        (None, Some(DiscoveryOutcome::Unusable)) => {
            let seen = seen.refused.map(|(refused, _)| refused);
            discovered.refused = discovered.refused.or(seen);
        }
        (None, _) => {}
    }
    discovered
}

/// Of the authorization servers that the metadata names, the SDK asks none at an address that is not public, whichever the MCP
/// server is. One that is at such an address itself may name them.
async fn passed_over(
    error: &AuthError,
    outside: &Outside,
    resource: &Url,
    log: &RequestLog,
) -> Option<Discovered> {
    let AuthError::AuthorizationServersUnavailable {
        authorization_servers,
        ..
    } = error
    else {
        return None;
    };
    let is_loopback = |url: &Url| place(url) == Some(Place::Loopback);
    let mut refused = None;
    for issuer in authorization_servers {
        let Ok(url) = Url::parse(issuer) else {
            continue;
        };
        let is_passed_over = match place(&url) {
            Some(Place::Loopback) => !is_loopback(resource),
            Some(Place::Inner) => true,
            Some(Place::Public | Place::Named(_)) | None => false,
        };
        if !is_passed_over {
            continue;
        }
        match Box::pin(discover_issuer(outside, issuer, log)).await {
            Some(found) if found.metadata.is_some() => return Some(found),
            found => refused = refused.or(found),
        }
    }
    refused
}

/// Reads the metadata of an issuer that is known already (RFC 8414, OpenID Connect Discovery): for a resource that does not
/// say which it is. Without metadata it comes back only where the issuer may not be asked.
pub async fn discover_issuer(
    outside: &Outside,
    issuer: &str,
    log: &RequestLog,
) -> Option<Discovered> {
    let http = DiscoveryHttp {
        outside: outside.clone(),
        resource: Url::parse(issuer).ok()?,
        log: log.clone(),
        seen: Arc::default(),
        issuer_alone: true,
    };
    let (resolved, seen) = http.resolve(None).await;
    let is_it = |named: &str| same_issuer(named, issuer);
    let found = resolved.ok().filter(|found| {
        found.source.is_discovered() && found.metadata.issuer.as_deref().is_some_and(is_it)
    });
    match (found, seen.refused) {
        (Some(found), _) => Some(Discovered::with(found.metadata, outside)),
        (None, Some((refused, problem))) => Some(Discovered {
            refused: Some(refused),
            ..Discovered::without_metadata(DiscoveryOutcome::Unusable, Some(problem))
        }),
        (None, None) => None,
    }
}

impl Discovered {
    /// What was published: it can be used where its token endpoint may be asked.
    fn with(metadata: AuthorizationMetadata, outside: &Outside) -> Self {
        let endpoint = Url::parse(&metadata.token_endpoint).ok();
        let refused = endpoint.and_then(|endpoint| outside.allows(&endpoint).err());
        let (outcome, problem) = match refused {
            None => (DiscoveryOutcome::Published, None),
            Some(_) => {
                let problem = DiscoveryProblem::NoAuthorizationServer;
                (DiscoveryOutcome::Unusable, Some(problem))
            }
        };
        let mut discovered = Self::without_metadata(outcome, problem);
        let issuer = metadata.issuer.as_deref();
        discovered.evidence.issuer = issuer.map(|issuer| printable(issuer, MAX_ISSUER_CHARS));
        discovered.metadata = refused.is_none().then_some(metadata);
        discovered.refused = refused;
        discovered
    }

    fn without_metadata(outcome: DiscoveryOutcome, problem: Option<DiscoveryProblem>) -> Self {
        Self {
            evidence: DiscoveryEvidence {
                outcome: Some(outcome),
                issuer: None,
                problem,
            },
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
    /// The first document that none may ask for, and what that makes of the metadata.
    refused: Option<(Refused, DiscoveryProblem)>,
}

impl Seen {
    /// What it means that no authorization server was found, and that nothing else is wrong by what the SDK says. A challenge
    /// that points to metadata says that there is a sign-in.
    fn in_place_of_metadata(
        &self,
        resource: &Url,
        challenge: Option<&str>,
    ) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
        use DiscoveryProblem as Problem;
        let challenge = challenge.filter(|text| text.contains("resource_metadata"));
        let problem = match (&self.resource, challenge, &self.refused) {
            (_, _, Some((_, problem))) => *problem,
            (Some(named), ..) if is_part_of(resource, named) => Problem::NoAuthorizationServer,
            (Some(_), ..) => Problem::ResourceMismatch,
            (None, None, None) => return (DiscoveryOutcome::NotPublished, None),
            // The SDK does not go where it points to.
            (None, Some(challenge), None)
                if WWWAuthenticateParams::parse(challenge, resource)
                    .resource_metadata_url
                    .is_none() =>
            {
                Problem::InvalidMetadata
            }
            // A page of something in between, it may be.
            (None, Some(_), None) if matches!(self.first_status, Some(200..300)) => {
                return (DiscoveryOutcome::Unavailable, None);
            }
            (None, Some(_), None) => Problem::InvalidMetadata,
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

/// The SDK's requests, on our way.
#[derive(Clone)]
struct DiscoveryHttp {
    outside: Outside,
    resource: Url,
    log: RequestLog,
    seen: Arc<Mutex<Seen>>,
    /// What is asked about is an issuer, and no resource: there is no protected-resource metadata of it.
    issuer_alone: bool,
}

impl DiscoveryHttp {
    async fn resolve(
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

    /// Asks for a document, and where a redirect says that it is. `None` where there is none: it may not be asked for there, or the
    /// redirects lead to nothing.
    async fn ask(
        &self,
        mut request: reqwest::Request,
    ) -> Result<Option<(reqwest::Response, SentRequest)>, OutsideError> {
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
            let response = match self.outside.execute(request).await {
                Ok(response) => response,
                Err(OutsideError::Refused(refused)) => {
                    sent.not_sent();
                    self.seen().refused.get_or_insert((refused, problem));
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

/// Where a redirect leads, if it is one that a GET may follow (RFC 9110, section 15.4).
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

fn nothing(status: http::StatusCode) -> Result<http::Response<Vec<u8>>, OAuthHttpClientError> {
    Ok(http::Response::builder().status(status).body(Vec::new())?)
}

impl OAuthHttpClient for DiscoveryHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.request)?;
            // The SDK asks the resource for its challenge. That has been given and made use of; asking again could open a
            // stream of events that never ends.
            if *request.url() == self.resource {
                return nothing(http::StatusCode::UNAUTHORIZED);
            }
            let has_no_place = self.issuer_alone && is_of_a_resource(request.url());
            if has_no_place || !is_bound_to_its_issuer(request.url()) {
                return nothing(http::StatusCode::NOT_FOUND);
            }
            let Some((response, sent)) = self.ask(request).await? else {
                let status = http::StatusCode::NOT_FOUND;
                self.seen().first_status.get_or_insert(status.as_u16());
                return nothing(status);
            };
            let status = response.status();
            self.seen().first_status.get_or_insert(status.as_u16());
            let mut answer = http::Response::builder().status(status);
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
    use std::collections::HashMap;

    use super::*;
    use crate::network::world::{World, answer, listener, network};

    /// A server on the internet, which the configuration names with http: else its documents could not be served here.
    const SERVER: &str = "http://mcp.example/mcp";
    const PRM: &str = "http://mcp.example/.well-known/oauth-protected-resource/mcp";
    const METADATA: &str = "http://mcp.example/.well-known/oauth-authorization-server";
    const CHALLENGE: &str =
        r#"Bearer resource_metadata="http://mcp.example/.well-known/oauth-protected-resource/mcp""#;
    /// Where no public server may lead to.
    const FORBIDDEN: [&str; 11] = [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1:8443/x",
        "http://127.0.0.1/x",
        "https://[::1]/x",
        "http://localhost:8080/x",
        "https://10.0.0.1/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::a00:1]/x",
        "https://[fd00::1]/x",
        "http://auth.example/x",
    ];

    /// What is at which URL.
    #[derive(Clone, Default)]
    struct Pages(HashMap<String, String>);

    impl Pages {
        fn with(mut self, url: &str, answer: String) -> Self {
            self.0.insert(format!("GET {url}"), answer);
            self
        }

        fn json(self, url: &str, body: &Value) -> Self {
            self.with(
                url,
                answer(200, "content-type: application/json\r\n", &body.to_string()),
            )
        }

        fn redirect(self, url: &str, status: u16, to: &str) -> Self {
            self.with(url, answer(status, &format!("location: {to}\r\n"), ""))
        }

        fn prm(self, url: &str, issuer: &str) -> Self {
            let document =
                serde_json::json!({"resource": SERVER, "authorization_servers": [issuer]});
            self.json(url, &document)
        }

        fn metadata(self, url: &str, issuer: &str, token_endpoint: &str) -> Self {
            let document = serde_json::json!({
                "issuer": issuer,
                "authorization_endpoint": "https://auth.example/authorize",
                "token_endpoint": token_endpoint,
                "response_types_supported": ["code"],
            });
            self.json(url, &document)
        }

        /// All that a good server has.
        fn good() -> Self {
            let pages = Self::default().prm(PRM, "http://mcp.example");
            pages.metadata(METADATA, "http://mcp.example", "http://mcp.example/token")
        }

        async fn discover(self, challenge: Option<&str>) -> (Discovered, Vec<String>, RequestLog) {
            let missing = answer(404, "", "");
            let world = World::new(move |what| self.0.get(what).unwrap_or(&missing).clone());
            let server = SERVER.parse().unwrap();
            let outside = world.network("", Vec::new()).beyond(&server).await;
            let log = RequestLog::default();
            let found = discover(&outside, &server, challenge, &log).await;
            for asked in world.asked() {
                for carried in ["authorization", "cookie", "referer"] {
                    assert!(!asked.head.contains(carried), "{asked:?}");
                }
            }
            (found, world.targets(), log)
        }
    }

    fn came_to(found: &Discovered) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
        (found.evidence.outcome.unwrap(), found.evidence.problem)
    }

    fn unusable(problem: DiscoveryProblem) -> (DiscoveryOutcome, Option<DiscoveryProblem>) {
        (DiscoveryOutcome::Unusable, Some(problem))
    }

    /// None of it was sent, and none of it stands in the log.
    fn assert_unasked(url: &str, targets: &[String], log: &RequestLog) {
        let beyond = targets
            .iter()
            .find(|what| !what.contains("http://mcp.example/"));
        assert_eq!(beyond, None, "{url}");
        let logged = log.requests();
        assert_eq!(logged.len(), targets.len(), "{url}: {logged:?}");
        assert!(
            logged.iter().all(|request| request.status.is_some()),
            "{url}: {logged:?}"
        );
    }

    #[tokio::test]
    async fn a_public_server_leads_nobody_into_a_private_network() {
        let issuer = "http://mcp.example";
        let endpoint = "http://mcp.example/token";
        let forbidden = FORBIDDEN.into_iter().chain(["file:///etc/passwd"]);
        for url in forbidden {
            let expected: Url = url.parse().unwrap();
            let invalid = unusable(DiscoveryProblem::InvalidMetadata);
            let no_server = unusable(DiscoveryProblem::NoAuthorizationServer);
            let issuer_elsewhere = expected.join("/").unwrap();
            let other = issuer_elsewhere.as_str().trim_end_matches('/');
            let redirected = Pages::default().redirect(PRM, 302, url);
            for (pages, challenge, wanted) in [
                (redirected.clone(), Some(CHALLENGE), invalid),
                (redirected, None, invalid),
                (Pages::good().redirect(METADATA, 307, url), None, no_server),
                (Pages::good().prm(PRM, other), Some(CHALLENGE), no_server),
                (
                    Pages::good().metadata(METADATA, issuer, url),
                    None,
                    no_server,
                ),
                (
                    Pages::good().redirect(METADATA, 308, "/a").redirect(
                        "http://mcp.example/a",
                        303,
                        url,
                    ),
                    None,
                    no_server,
                ),
            ] {
                let (found, targets, log) = pages.discover(challenge).await;
                assert_eq!(came_to(&found), wanted, "{url}");
                assert!(found.metadata.is_none(), "{url}");
                if !(other.starts_with("file:")) {
                    let refused = found.refused.expect(url).to_string();
                    let host = expected.host_str().unwrap();
                    assert!(
                        refused.contains(host) && refused.contains(" was not asked: "),
                        "{refused}"
                    );
                }
                assert_unasked(url, &targets, &log);
            }
            // Where something else will do, it does.
            let both =
                serde_json::json!({"resource": SERVER, "authorization_servers": [other, issuer]});
            let pages = Pages::default()
                .json(PRM, &both)
                .metadata(METADATA, issuer, endpoint);
            let (found, targets, log) = pages.discover(None).await;
            assert_eq!(
                came_to(&found),
                (DiscoveryOutcome::Published, None),
                "{url}"
            );
            assert_eq!(found.refused, None);
            assert_unasked(url, &targets, &log);
        }
    }

    #[tokio::test]
    async fn a_challenge_that_points_into_a_private_network_is_the_servers_fault() {
        let page = answer(200, "content-type: text/html\r\n", "<h1>Dashboard</h1>");
        for url in FORBIDDEN {
            let challenge = format!(r#"Bearer resource_metadata="{url}""#);
            for pages in [
                Pages::default(),
                Pages::default()
                    .with(PRM, page.clone())
                    .with(METADATA, page.clone()),
            ] {
                let (found, targets, log) = pages.discover(Some(&challenge)).await;
                let wanted = unusable(DiscoveryProblem::InvalidMetadata);
                assert_eq!(came_to(&found), wanted, "{url}");
                assert_unasked(url, &targets, &log);
            }
        }
    }

    #[tokio::test]
    async fn of_a_document_three_redirects_are_followed() {
        let step = |number: usize| format!("http://mcp.example/step/{number}");
        for (count, is_followed) in [(0, true), (1, true), (2, true), (3, true), (4, false)] {
            for status in [301, 302, 303, 307, 308] {
                let chain = |first: &str| {
                    let pages = Pages::default().redirect(first, status, "/step/1");
                    (1..count).fold(pages, |pages, at| {
                        pages.redirect(&step(at), status, &format!("/step/{}", at + 1))
                    })
                };
                let last = |first: &str| match count {
                    0 => first.to_owned(),
                    _ => step(count),
                };
                let issuer = "http://mcp.example";
                let endpoint = "http://mcp.example/token";
                // The document of the resource, and that of the authorization server.
                for (pages, problem) in [
                    (
                        chain(PRM)
                            .metadata(METADATA, issuer, endpoint)
                            .prm(&last(PRM), issuer),
                        None,
                    ),
                    (
                        chain(METADATA).prm(PRM, issuer).metadata(
                            &last(METADATA),
                            issuer,
                            endpoint,
                        ),
                        Some(DiscoveryProblem::NoAuthorizationServer),
                    ),
                ] {
                    let (found, targets, log) = pages.discover(None).await;
                    // Without a document of the resource, its own origin may still be its authorization server.
                    let wanted = match (is_followed, problem) {
                        (true, _) | (_, None) => (DiscoveryOutcome::Published, None),
                        (false, Some(problem)) => unusable(problem),
                    };
                    assert_eq!(came_to(&found), wanted, "{count} of {status}");
                    let resource = (is_followed || problem.is_some()).then(|| SERVER.to_owned());
                    if found.metadata.is_some() {
                        assert_eq!(found.resource, resource, "{count} of {status}");
                    }
                    assert!(!targets.contains(&format!("GET {}", step(4))));
                    assert_eq!(log.len(), targets.len(), "each is in the log");
                }
            }
        }
        for (status, to) in [
            (300, "/step/1"),
            (304, "/step/1"),
            (305, "/step/1"),
            (302, "http://["),
            (302, SERVER),
            (302, "/mcp#x"),
        ] {
            let pages = Pages::default()
                .redirect(PRM, status, to)
                .prm(&step(1), "http://mcp.example");
            let (found, targets, _) = pages.discover(Some(CHALLENGE)).await;
            assert_eq!(
                came_to(&found),
                unusable(DiscoveryProblem::InvalidMetadata),
                "{status} to {to}"
            );
            assert!(
                !targets
                    .iter()
                    .any(|what| what.contains("step") || what.ends_with("/mcp.example/mcp"))
            );
        }
    }

    #[tokio::test]
    async fn a_redirect_to_another_public_place_is_followed_there() {
        let pages = Pages::good().redirect(METADATA, 302, "https://auth.example/metadata");
        let (found, targets, _) = pages.discover(None).await;
        // The proxy of this test makes no way there.
        assert_eq!(came_to(&found), (DiscoveryOutcome::Unavailable, None));
        assert_eq!(targets.last().unwrap(), "CONNECT auth.example:443");
    }

    #[tokio::test]
    async fn a_redirected_document_is_that_of_the_issuer_that_was_asked() {
        let endpoint = "http://mcp.example/token";
        let there = "http://mcp.example/tenant/metadata";
        for (issuer, wanted) in [
            ("http://mcp.example", (DiscoveryOutcome::Published, None)),
            ("http://mcp.example/", (DiscoveryOutcome::Published, None)),
            (
                "http://mcp.example/tenant",
                unusable(DiscoveryProblem::IssuerMismatch),
            ),
            (
                "https://auth.example",
                unusable(DiscoveryProblem::IssuerMismatch),
            ),
        ] {
            let pages = Pages::good().redirect(METADATA, 302, there);
            let pages = pages.metadata(there, issuer, endpoint);
            let (found, ..) = pages.discover(None).await;
            assert_eq!(came_to(&found), wanted, "{issuer}");
        }
    }

    #[tokio::test]
    async fn a_document_is_read_up_to_a_megabyte() {
        let document = r#"{"resource":"http://mcp.example/mcp","authorization_servers":["http://mcp.example"],"x":""#;
        for (length, wanted) in [
            (MAX_DOCUMENT_BYTES, (DiscoveryOutcome::Published, None)),
            (
                MAX_DOCUMENT_BYTES + 1,
                (DiscoveryOutcome::Unavailable, None),
            ),
        ] {
            let filling = "x".repeat(length - document.len() - 2);
            let body = format!("{document}{filling}\"}}");
            assert_eq!(body.len(), length);
            let pages = Pages::good().with(PRM, answer(200, "", &body));
            let pages = match wanted.0 {
                DiscoveryOutcome::Published => pages,
                _ => pages.with(METADATA, answer(404, "", "")),
            };
            let (found, _, log) = pages.discover(Some(CHALLENGE)).await;
            assert_eq!(came_to(&found), wanted, "{length} bytes");
            let was_too_large = log.requests()[0].io == Some(IoTrouble::TooLarge);
            assert_eq!(was_too_large, length > MAX_DOCUMENT_BYTES, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn a_server_of_ones_own_network_may_name_its_neighbours() {
        let listener = listener();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = base.replace("127.0.0.1", "mcp.corp") + "/mcp";
        let resource = serde_json::json!({
            "resource": server, "authorization_servers": [base], "scopes_supported": ["a"],
        });
        let metadata = serde_json::json!({
            "issuer": base, "authorization_endpoint": base, "token_endpoint": base,
        });
        let _world = World::at(listener, move |what| match what {
            "GET /.well-known/oauth-protected-resource/mcp" => {
                answer(200, "", &resource.to_string())
            }
            "GET /.well-known/oauth-authorization-server" => answer(200, "", &metadata.to_string()),
            _ => answer(404, "", ""),
        });
        let server: Url = server.parse().unwrap();
        let network = network(vec![("mcp.corp", "127.0.0.1")]);
        let outside = network.beyond(&server).await;
        let found = discover(&outside, &server, None, &RequestLog::default()).await;
        assert_eq!(
            came_to(&found),
            (DiscoveryOutcome::Published, None),
            "{found:?}"
        );
        assert_eq!(found.resource.as_deref(), Some(server.as_str()));
        assert_eq!(found.scopes, ["a"]);
    }

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
