//! Finds the authorization server that an MCP server names (RFC 9728, RFC 8414, OpenID Connect Discovery).
//!
//! An address that was only guessed never ends the search: if its document is missing, belongs to another issuer, or is no
//! metadata, the next address is tried.

mod candidates;
mod documents;
mod metadata;
#[cfg(test)]
mod tests;

use std::time::Duration;

use mcp_startup_core::{
    DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, printable, same_issuer,
};
use rmcp::transport::auth::AuthorizationMetadata;
use url::Url;

use self::candidates::Candidates;
use self::documents::{Document, Documents, Unavailable, pointer};
use self::metadata::{ResourceMetadata, authorization_server_metadata, resource_metadata};
use crate::network::{BlockedRequest, GuardedClient, RequestLog};
use crate::oauth::endpoint::endpoint;

const MAX_ISSUER_CHARS: usize = 2000;
/// How long one of several authorization servers may take before the next one is tried.
const SERVER_LIMIT: Duration = Duration::from_secs(10);

/// The result of a discovery.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The outcome, as evidence for the verdict.
    pub evidence: DiscoveryEvidence,
    /// The metadata of the authorization server, if it can be used.
    pub metadata: Option<AuthorizationMetadata>,
    /// The `resource` in the protected-resource metadata (RFC 9728, section 2), if the server publishes metadata that
    /// applies to it. Metadata of an authorization server and of another resource never supplies it.
    pub resource: Option<String>,
    /// The `scopes_supported` of that metadata, at most 256.
    pub scopes: Vec<String>,
    /// The request that was blocked, if that is why there is no metadata.
    pub blocked: Option<BlockedRequest>,
}

/// Finds the authorization server of the MCP server at `resource`.
///
/// Reads the protected-resource metadata (RFC 9728), first at the URL in `challenge` if it has one, and then the
/// metadata of the authorization server (RFC 8414, OpenID Connect Discovery). Every request goes through `guarded`,
/// which must be the client for this server, and is recorded in `log`. No request carries a credential. Discovery
/// follows at most 3 redirects for each document. A redirected document must match the URL that was requested first
/// (RFC 8414, section 3.3).
///
/// Discovery uses the first authorization server that can be reached. `granted_by` is the issuer of the stored
/// credential, if there is one: discovery tries it first, and no other if it is unavailable, because the credential can only be
/// refreshed there.
///
/// Discovery tries at most 8 authorization servers, requests at most 8 documents of at most 1 MB each, and sends at most
/// 16 requests. It ends when `log` allows no further request.
///
/// Discovery has no time limit: the caller must set one.
pub async fn discover(
    guarded: &GuardedClient,
    resource: &Url,
    challenge: Option<&str>,
    granted_by: Option<&str>,
    log: &RequestLog,
) -> Discovery {
    let mut search = Search::new(guarded, resource, log);
    let mut discovered = match search.of_server(challenge, granted_by).await {
        Ok(metadata) => Discovery::with(metadata, guarded),
        Err(ended) => ended.into(),
    };
    match (&discovered.metadata, discovered.evidence.outcome) {
        (Some(_), _) => {
            let (resource, scopes) = search.accepted.unzip();
            discovered.resource = resource;
            discovered.scopes = scopes.unwrap_or_default();
        }
        (None, Some(DiscoveryOutcome::Unusable)) => {
            let blocked = search.documents.blocked.map(|(blocked, _)| blocked);
            discovered.blocked = discovered.blocked.or(blocked);
        }
        (None, _) => {}
    }
    tracing::debug!(
        server = resource.origin().ascii_serialization(),
        outcome = ?discovered.evidence.outcome,
        problem = ?discovered.evidence.problem,
        "discovery ended"
    );
    discovered
}

/// Reads the metadata of a known issuer (RFC 8414, OpenID Connect Discovery), for a resource that does not name its
/// authorization server.
///
/// Returns `None` if there is no usable metadata. If the request to the issuer was blocked, the result has no metadata
/// and `blocked` is set.
pub async fn discover_issuer(
    guarded: &GuardedClient,
    issuer: &str,
    log: &RequestLog,
) -> Option<Discovery> {
    let url = Url::parse(issuer).ok()?;
    let mut search = Search::new(guarded, &url, log);
    let candidates = candidates::of_issuer(issuer, &url)?;
    match (search.of_issuer(candidates).await, search.documents.blocked) {
        (Ok(Some(metadata)), _) => Some(Discovery::with(metadata, guarded)),
        (_, Some((blocked, problem))) => Some(Discovery {
            blocked: Some(blocked),
            ..Discovery::without_metadata(DiscoveryOutcome::Unusable, Some(problem))
        }),
        (_, None) => None,
    }
}

/// A document of the expected address that names another issuer.
#[derive(Clone)]
struct Mismatch {
    expected: String,
    /// `None` if the document names no issuer.
    found: Option<String>,
}

/// Why a search has found no authorization server.
enum Ended {
    Unavailable,
    NotPublished,
    Unusable(DiscoveryProblem),
    Mismatch(Mismatch),
}

impl From<Unavailable> for Ended {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl From<Ended> for Discovery {
    fn from(ended: Ended) -> Self {
        use DiscoveryOutcome as Outcome;
        match ended {
            Ended::Unavailable => Self::without_metadata(Outcome::Unavailable, None),
            Ended::NotPublished => Self::without_metadata(Outcome::NotPublished, None),
            Ended::Unusable(problem) => Self::without_metadata(Outcome::Unusable, Some(problem)),
            Ended::Mismatch(Mismatch { expected, found }) => {
                let problem = DiscoveryProblem::IssuerMismatch;
                let mut discovered = Self::without_metadata(Outcome::Unusable, Some(problem));
                let shown = |issuer: String| printable(&issuer, MAX_ISSUER_CHARS);
                discovered.evidence.issuer = found.map(shown);
                discovered.evidence.expected_issuer = Some(shown(expected));
                discovered
            }
        }
    }
}

/// One discovery.
struct Search<'a> {
    documents: Documents<'a>,
    /// The `resource` and the `scopes_supported` of the last protected-resource metadata that applies to the server.
    accepted: Option<(String, Vec<String>)>,
    /// Whether a document at a guessed address names another resource.
    names_another_resource: bool,
    /// Whether a document is JSON, but no protected-resource metadata.
    is_malformed: bool,
    /// The first document that names another issuer.
    mismatch: Option<Mismatch>,
    /// Whether a guessed address was broken. It is then unknown whether it has the metadata, so an authorization server that is
    /// found elsewhere does not show that the stored credential can no longer be refreshed.
    is_uncertain: bool,
}

impl<'a> Search<'a> {
    fn new(guarded: &'a GuardedClient, server: &'a Url, log: &'a RequestLog) -> Self {
        Self {
            documents: Documents::new(guarded, server, log),
            accepted: None,
            names_another_resource: false,
            is_malformed: false,
            mismatch: None,
            is_uncertain: false,
        }
    }

    async fn of_server(
        &mut self,
        challenge: Option<&str>,
        granted_by: Option<&str>,
    ) -> Result<AuthorizationMetadata, Ended> {
        let metadata = self.first_of_server(challenge, granted_by).await?;
        let issuer = metadata.issuer.as_deref().unwrap_or_default();
        match granted_by {
            Some(granted_by) if self.is_uncertain && !same_issuer(granted_by, issuer) => {
                Err(Ended::Unavailable)
            }
            _ => Ok(metadata),
        }
    }

    async fn first_of_server(
        &mut self,
        challenge: Option<&str>,
        granted_by: Option<&str>,
    ) -> Result<AuthorizationMetadata, Ended> {
        if let Some((servers, document)) = self.named_servers(challenge).await? {
            return self.of_servers(&servers, &document, granted_by).await;
        }
        // The server itself may be the authorization server (MCP 2025-03-26).
        for candidates in candidates::of_server(self.documents.server) {
            match self.of_issuer(candidates).await {
                Ok(Some(metadata)) => return Ok(metadata),
                Ok(None) => {}
                Err(Unavailable::Broken) => self.is_uncertain = true,
                // It is unknown whether there is a document, so the next issuer could be the wrong one.
                Err(unavailable) => return Err(unavailable.into()),
            }
        }
        Err(self.nothing_found(challenge))
    }

    /// The authorization servers in the protected-resource metadata, and its URL. `None` if it names none.
    async fn named_servers(
        &mut self,
        challenge: Option<&str>,
    ) -> Result<Option<(Vec<String>, Url)>, Ended> {
        let mut requested = Vec::new();
        let server = self.documents.server;
        if let Some(url) = challenge.and_then(|challenge| pointer(challenge, server)) {
            requested.push(url.clone());
            match self.resource_metadata(&url).await? {
                Found::Accepted(servers) if !servers.is_empty() => {
                    return Ok(Some((servers, url)));
                }
                Found::Rejected(problem) => return Err(Ended::Unusable(problem)),
                Found::Accepted(_) | Found::Nothing | Found::Pointers(_) => {}
            }
        }
        for guess in candidates::of_resource(server) {
            let mut urls = vec![guess];
            while let Some(url) = urls.pop() {
                if requested.contains(&url) {
                    continue;
                }
                requested.push(url.clone());
                let found = match self.resource_metadata(&url).await {
                    Err(Unavailable::Broken) => {
                        self.is_uncertain = true;
                        continue;
                    }
                    found => found?,
                };
                match found {
                    Found::Accepted(servers) => {
                        return Ok(Some((servers, url)).filter(|(servers, _)| !servers.is_empty()));
                    }
                    Found::Rejected(DiscoveryProblem::ResourceMismatch) => {
                        self.names_another_resource = true;
                    }
                    Found::Pointers(pointers) => urls.extend(pointers.into_iter().take(1)),
                    Found::Rejected(_) | Found::Nothing => {}
                }
            }
        }
        Ok(None)
    }

    async fn resource_metadata(&mut self, url: &Url) -> Result<Found, Unavailable> {
        let problem = DiscoveryProblem::InvalidMetadata;
        let body = match self.documents.fetch(url.clone(), problem).await? {
            Document::Found(body) => body,
            Document::Challenged(pointers) => return Ok(Found::Pointers(pointers)),
            Document::Missing => return Ok(Found::Nothing),
        };
        Ok(match resource_metadata(&body, self.documents.server) {
            ResourceMetadata::Accepted {
                resource,
                scopes,
                servers,
            } => {
                self.accepted = Some((resource, scopes));
                Found::Accepted(servers)
            }
            ResourceMetadata::Rejected => Found::Rejected(DiscoveryProblem::ResourceMismatch),
            ResourceMetadata::Invalid => Found::Rejected(DiscoveryProblem::InvalidMetadata),
            // Another address may have better metadata.
            ResourceMetadata::Malformed => {
                self.is_malformed = true;
                Found::Nothing
            }
            ResourceMetadata::Absent => Found::Nothing,
        })
    }

    /// The first of the authorization servers with usable metadata. One that is unavailable leads to the next, except the one
    /// that has granted the stored credential.
    async fn of_servers(
        &mut self,
        servers: &[String],
        document: &Url,
        granted_by: Option<&str>,
    ) -> Result<AuthorizationMetadata, Ended> {
        let all = servers
            .iter()
            .filter_map(|server| candidates::of_issuer(server, document));
        let mut all: Vec<Candidates> = all.collect();
        let has_granted =
            |candidates: &Candidates| granted_by.is_some_and(|issuer| candidates.are_of(issuer));
        all.sort_by_key(|candidates| !has_granted(candidates));
        let mut is_unavailable = false;
        let mut unusable = None;
        let last = all.len().saturating_sub(1);
        for (number, candidates) in all.into_iter().enumerate() {
            let has_granted = has_granted(&candidates);
            let found = self.of_issuer(candidates);
            let found = match number < last && !has_granted {
                true => tokio::time::timeout(SERVER_LIMIT, found)
                    .await
                    .unwrap_or(Err(Unavailable::WithoutResponse)),
                false => found.await,
            };
            match found {
                Ok(Some(metadata)) => {
                    let found = Discovery::with(metadata.clone(), self.documents.guarded);
                    if found.metadata.is_some() {
                        return Ok(metadata);
                    }
                    unusable.get_or_insert(metadata);
                }
                Ok(None) => {}
                Err(_) if has_granted => return Err(Ended::Unavailable),
                Err(_) => is_unavailable = true,
            }
        }
        match (unusable, self.mismatch.take()) {
            _ if is_unavailable => Err(Ended::Unavailable),
            (Some(metadata), _) => Ok(metadata),
            (None, Some(mismatch)) => Err(Ended::Mismatch(mismatch)),
            (None, None) => Err(Ended::Unusable(DiscoveryProblem::NoAuthorizationServer)),
        }
    }

    /// The metadata of an issuer: the first document that names it. If there is none, and one of the requests failed, it is
    /// unknown whether there is one.
    async fn of_issuer(
        &mut self,
        candidates: Candidates,
    ) -> Result<Option<AuthorizationMetadata>, Unavailable> {
        let problem = DiscoveryProblem::NoAuthorizationServer;
        let mut unavailable = None;
        for url in &candidates.urls {
            let body = match self.documents.fetch(url.clone(), problem).await {
                Ok(Document::Found(body)) => body,
                Ok(Document::Missing | Document::Challenged(_)) => continue,
                Err(Unavailable::WithoutResponse) => return Err(Unavailable::WithoutResponse),
                Err(status) => {
                    if unavailable != Some(Unavailable::ByStatus) {
                        unavailable = Some(status);
                    }
                    continue;
                }
            };
            let Some(metadata) = authorization_server_metadata(&body) else {
                continue;
            };
            match metadata.issuer.as_deref() {
                Some(issuer) if candidates.are_of(issuer) => return Ok(Some(metadata)),
                found => {
                    let mismatch = Mismatch {
                        expected: candidates.issuer.clone(),
                        found: found.map(str::to_owned),
                    };
                    self.mismatch.get_or_insert(mismatch);
                }
            }
        }
        match unavailable {
            Some(unavailable) => Err(unavailable),
            None => Ok(None),
        }
    }

    /// Why there is no authorization server, although no server was named. A challenge that points to
    /// metadata means that the server offers a sign-in.
    fn nothing_found(&mut self, challenge: Option<&str>) -> Ended {
        use DiscoveryProblem as Problem;
        let challenge = challenge.filter(|text| text.contains("resource_metadata"));
        if self.is_uncertain {
            return Ended::Unavailable;
        }
        if let Some((_, problem)) = &self.documents.blocked {
            return Ended::Unusable(*problem);
        }
        if let Some(mismatch) = self.mismatch.take() {
            return Ended::Mismatch(mismatch);
        }
        if self.accepted.is_some() {
            return Ended::Unusable(Problem::NoAuthorizationServer);
        }
        if self.names_another_resource {
            return Ended::Unusable(Problem::ResourceMismatch);
        }
        let is_followed =
            challenge.map(|challenge| pointer(challenge, self.documents.server).is_some());
        match (is_followed, self.documents.first_status) {
            (None, _) => Ended::NotPublished,
            (Some(_), _) if self.is_malformed => Ended::Unusable(Problem::InvalidMetadata),
            // This may be a page of an intermediary, such as a captive portal.
            (Some(true), Some(200..300)) => Ended::Unavailable,
            (Some(_), _) => Ended::Unusable(Problem::InvalidMetadata),
        }
    }
}

/// The result of looking for protected-resource metadata at one URL.
enum Found {
    /// The authorization servers that the document names.
    Accepted(Vec<String>),
    Rejected(DiscoveryProblem),
    Pointers(Vec<Url>),
    Nothing,
}

impl Discovery {
    /// The published metadata. It can be used only if its token endpoint is valid and requests to it are allowed.
    fn with(metadata: AuthorizationMetadata, guarded: &GuardedClient) -> Self {
        let url = endpoint(&metadata.token_endpoint);
        let blocked = url.as_ref().and_then(|url| guarded.allows(url).err());
        let problem = match (&url, &blocked) {
            (None, _) => Some(DiscoveryProblem::InvalidMetadata),
            (Some(_), Some(_)) => Some(DiscoveryProblem::NoAuthorizationServer),
            (Some(_), None) => None,
        };
        let outcome = match problem {
            None => DiscoveryOutcome::Published,
            Some(_) => DiscoveryOutcome::Unusable,
        };
        let mut discovered = Self::without_metadata(outcome, problem);
        let issuer = metadata.issuer.as_deref();
        discovered.evidence.issuer = issuer.map(|issuer| printable(issuer, MAX_ISSUER_CHARS));
        discovered.metadata = problem.is_none().then_some(metadata);
        discovered.blocked = blocked;
        discovered
    }

    fn without_metadata(outcome: DiscoveryOutcome, problem: Option<DiscoveryProblem>) -> Self {
        Self {
            evidence: DiscoveryEvidence {
                outcome: Some(outcome),
                issuer: None,
                expected_issuer: None,
                problem,
            },
            ..Self::default()
        }
    }
}
