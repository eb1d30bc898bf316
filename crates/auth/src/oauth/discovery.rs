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
pub(in crate::oauth) use self::metadata::BOUND_TOKENS;
use self::metadata::{
    ResourceMetadata, ServerMetadata, authorization_server_metadata, resource_metadata,
};
use crate::network::{BlockedRequest, GuardedClient, RequestLog, bare_url};
use crate::oauth::endpoint::endpoint;
use crate::oauth::field_problem::endpoint_problem;
use crate::oauth::sign_in::{ClientSettings, invalid_field, sign_in_client};

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
    /// The URL that the document with this metadata was requested at.
    pub document: Option<Url>,
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
    discover_for(guarded, resource, challenge, granted_by, None, log).await
}

/// Like [`discover`], for a sign-in with `client`: of the authorization servers that can be reached, the first one at which this client can
/// sign in, or else the first one.
pub async fn discover_for(
    guarded: &GuardedClient,
    resource: &Url,
    challenge: Option<&str>,
    granted_by: Option<&str>,
    client: Option<&ClientSettings>,
    log: &RequestLog,
) -> Discovery {
    let mut search = Search {
        client,
        ..Search::new(guarded, resource, log)
    };
    let mut discovered = match search.of_server(challenge, granted_by).await {
        Ok(published) => Discovery::with(published, guarded),
        Err(ended) => ended.into(),
    };
    match (&mut discovered.metadata, discovered.evidence.outcome) {
        (Some(metadata), _) => {
            // A sign-in has to know what the resource requires.
            if let Some(field) = search.bound_tokens {
                let fields = &mut metadata.additional_fields;
                fields.insert(field.to_owned(), true.into());
            }
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
        (Ok(Some(published)), _) => Some(Discovery::with(published, guarded)),
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

/// A document that can't be used, and the field that shows it.
#[derive(Clone)]
struct InvalidDocument {
    url: Url,
    field: String,
    /// Whether the document is certainly the expected one. At a guessed address, there can be anything.
    is_certain: bool,
}

/// The metadata of an authorization server, and the URL of its document.
#[derive(Clone)]
struct Published {
    metadata: AuthorizationMetadata,
    url: Url,
}

/// Why a search has found no authorization server.
enum Ended {
    Unavailable,
    NotPublished,
    Unusable(DiscoveryProblem, Option<InvalidDocument>),
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
            Ended::Unusable(problem, document) => {
                let mut discovered = Self::without_metadata(Outcome::Unusable, Some(problem));
                if let Some(InvalidDocument { url, field, .. }) = document {
                    discovered.name_document(&url, field);
                }
                discovered
            }
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
    /// The client that will sign in.
    client: Option<&'a ClientSettings>,
    /// The `resource` and the `scopes_supported` of the last protected-resource metadata that applies to the server.
    accepted: Option<(String, Vec<String>)>,
    /// The field of that metadata that requires tokens which are bound to a key of the client.
    bound_tokens: Option<&'static str>,
    /// The URL of that metadata, if it names no authorization server.
    without_servers: Option<Url>,
    /// The first document at a guessed address that names another resource.
    of_another_resource: Option<InvalidDocument>,
    /// The first document that is JSON, but no protected-resource metadata.
    malformed: Option<InvalidDocument>,
    /// The first document that is JSON, but no metadata of an authorization server. One that is certain replaces one that is not.
    invalid: Option<InvalidDocument>,
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
            client: None,
            accepted: None,
            bound_tokens: None,
            without_servers: None,
            of_another_resource: None,
            malformed: None,
            invalid: None,
            mismatch: None,
            is_uncertain: false,
        }
    }

    async fn of_server(
        &mut self,
        challenge: Option<&str>,
        granted_by: Option<&str>,
    ) -> Result<Published, Ended> {
        let published = self.first_of_server(challenge, granted_by).await?;
        let issuer = published.metadata.issuer.as_deref().unwrap_or_default();
        match granted_by {
            Some(granted_by) if self.is_uncertain && !same_issuer(granted_by, issuer) => {
                Err(Ended::Unavailable)
            }
            _ => Ok(published),
        }
    }

    async fn first_of_server(
        &mut self,
        challenge: Option<&str>,
        granted_by: Option<&str>,
    ) -> Result<Published, Ended> {
        if let Some((servers, document)) = self.named_servers(challenge).await? {
            return self.of_servers(&servers, &document, granted_by).await;
        }
        // The server itself may be the authorization server (MCP 2025-03-26).
        for candidates in candidates::of_server(self.documents.server) {
            match self.of_issuer(candidates).await {
                Ok(Some(published)) => return Ok(published),
                Ok(None) => {}
                Err(Unavailable::Broken) => self.is_uncertain = true,
                // It is unknown whether there is a document, so the next issuer could be the wrong one.
                Err(unavailable) => return Err(unavailable.into()),
            }
        }
        Err(self.nothing_found(challenge, granted_by))
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
            match self.resource_metadata(&url).await {
                Ok(Found::Accepted(servers)) if !servers.is_empty() => {
                    return Ok(Some((servers, url)));
                }
                Ok(Found::Rejected(problem, document)) => {
                    return Err(Ended::Unusable(problem, Some(document)));
                }
                Ok(Found::OfParent(document)) => {
                    return match self.servers_at_guesses(requested).await? {
                        Some(found) => Ok(Some(found)),
                        None => Err(Ended::Unusable(
                            DiscoveryProblem::ResourceMismatch,
                            Some(document),
                        )),
                    };
                }
                Ok(Found::Accepted(_) | Found::Nothing | Found::Pointers(_)) => {}
                // A server behind a proxy may name its internal address. Its own address can have the same metadata.
                Err(Unavailable::WithoutResponse) if url.origin() != server.origin() => {
                    self.is_uncertain = true;
                    return match self.servers_at_guesses(requested).await? {
                        Some(found) => Ok(Some(found)),
                        // The server names its metadata, so it is not itself the authorization server.
                        None => Err(Ended::Unavailable),
                    };
                }
                Err(unavailable) => return Err(unavailable.into()),
            }
        }
        self.servers_at_guesses(requested).await
    }

    /// The authorization servers in the protected-resource metadata at a well-known URL of the server, and its URL.
    async fn servers_at_guesses(
        &mut self,
        mut requested: Vec<Url>,
    ) -> Result<Option<(Vec<String>, Url)>, Ended> {
        let server = self.documents.server;
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
                    Found::Rejected(DiscoveryProblem::ResourceMismatch, document)
                    | Found::OfParent(document) => {
                        self.of_another_resource.get_or_insert(document);
                    }
                    Found::Pointers(pointers) => urls.extend(pointers.into_iter().take(1)),
                    Found::Rejected(..) | Found::Nothing => {}
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
        let invalid = |field, is_certain| InvalidDocument {
            url: url.clone(),
            field,
            is_certain,
        };
        Ok(match resource_metadata(&body, url, self.documents.server) {
            ResourceMetadata::Accepted {
                resource,
                scopes,
                servers,
                bound_tokens,
            } => {
                self.accepted = Some((resource, scopes));
                self.bound_tokens = bound_tokens;
                self.without_servers = servers.is_empty().then(|| url.clone());
                Found::Accepted(servers)
            }
            ResourceMetadata::Rejected(field) => {
                Found::Rejected(DiscoveryProblem::ResourceMismatch, invalid(field, false))
            }
            ResourceMetadata::OfParent(field) => Found::OfParent(invalid(field, false)),
            ResourceMetadata::Invalid(field) => Found::Rejected(problem, invalid(field, false)),
            // Another address may have better metadata.
            ResourceMetadata::Malformed {
                names_server,
                problem,
            } => {
                let document = invalid(problem, names_server);
                keep_first(&mut self.malformed, document);
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
    ) -> Result<Published, Ended> {
        let all = servers
            .iter()
            .filter_map(|server| candidates::of_issuer(server, document));
        let mut all: Vec<Candidates> = all.collect();
        if all.is_empty() {
            let document = InvalidDocument {
                url: document.clone(),
                field: "authorization_servers: must name an issuer by its URL".to_owned(),
                is_certain: true,
            };
            return Err(Ended::Unusable(
                DiscoveryProblem::NoAuthorizationServer,
                Some(document),
            ));
        }
        let has_granted =
            |candidates: &Candidates| granted_by.is_some_and(|issuer| candidates.are_of(issuer));
        all.sort_by_key(|candidates| !has_granted(candidates));
        let mut is_unavailable = false;
        let (mut unusable, mut without_sign_in) = (None, None);
        let last = all.len().saturating_sub(1);
        let first = all.first().and_then(|first| first.urls.first()).cloned();
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
                Ok(Some(published)) => {
                    let found = Discovery::with(published.clone(), self.documents.guarded);
                    let guarded = self.documents.guarded;
                    let can_sign_in = |metadata| {
                        let client = self.client.filter(|_| !has_granted && last > 0);
                        client
                            .is_none_or(|client| sign_in_client(guarded, metadata, client).is_ok())
                    };
                    match &found.metadata {
                        Some(metadata) if can_sign_in(metadata) => return Ok(published),
                        Some(_) => drop(without_sign_in.get_or_insert(published)),
                        None => drop(unusable.get_or_insert(published)),
                    }
                }
                Ok(None) => {}
                Err(_) if has_granted => return Err(Ended::Unavailable),
                Err(_) => is_unavailable = true,
            }
        }
        if let Some(published) = without_sign_in {
            return Ok(published);
        }
        match (unusable, self.invalid.take(), self.mismatch.take()) {
            _ if is_unavailable => Err(Ended::Unavailable),
            (Some(published), ..) => Ok(published),
            (None, Some(invalid), mismatch) if invalid.is_certain || mismatch.is_none() => Err(
                Ended::Unusable(DiscoveryProblem::InvalidMetadata, Some(invalid)),
            ),
            (None, _, Some(mismatch)) => Err(Ended::Mismatch(mismatch)),
            (None, _, None) => Err(Ended::Unusable(
                DiscoveryProblem::NoAuthorizationServer,
                first
                    .filter(|_| self.documents.blocked.is_none())
                    .map(|url| InvalidDocument {
                        url,
                        field: "no metadata here, nor at another address of this issuer".to_owned(),
                        is_certain: true,
                    }),
            )),
        }
    }

    /// The metadata of an issuer: the first document that names it. If there is none, and one of the requests failed, it is
    /// unknown whether there is one.
    async fn of_issuer(
        &mut self,
        candidates: Candidates,
    ) -> Result<Option<Published>, Unavailable> {
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
            let metadata = match authorization_server_metadata(&body) {
                ServerMetadata::Valid(metadata) => *metadata,
                ServerMetadata::Invalid { issuer, problem } => {
                    let is_certain = issuer.as_deref().map(|issuer| candidates.are_of(issuer));
                    if is_certain != Some(false) {
                        let invalid = InvalidDocument {
                            url: url.clone(),
                            field: problem,
                            is_certain: is_certain.is_some(),
                        };
                        keep_first(&mut self.invalid, invalid);
                    }
                    continue;
                }
                ServerMetadata::Absent => continue,
            };
            match metadata.issuer.as_deref() {
                Some(issuer) if candidates.are_of(issuer) => {
                    let url = url.clone();
                    return Ok(Some(Published { metadata, url }));
                }
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
    fn nothing_found(&mut self, challenge: Option<&str>, granted_by: Option<&str>) -> Ended {
        use DiscoveryProblem as Problem;
        let challenge = challenge.filter(|text| text.contains("resource_metadata"));
        if self.is_uncertain {
            return Ended::Unavailable;
        }
        if let Some((_, problem)) = &self.documents.blocked {
            return Ended::Unusable(*problem, None);
        }
        // The issuer of a stored credential can refresh it, even if the documents of this server can't be used.
        let is_certain = |document: &InvalidDocument| document.is_certain && granted_by.is_none();
        let (invalid, malformed) = (self.invalid.take(), self.malformed.take());
        if let Some(document) = invalid.filter(is_certain) {
            return Ended::Unusable(Problem::InvalidMetadata, Some(document));
        }
        if let Some(mismatch) = self.mismatch.take() {
            return Ended::Mismatch(mismatch);
        }
        if self.accepted.is_some() {
            let document = self.without_servers.take().map(|url| InvalidDocument {
                url,
                field: "authorization_servers: must name an issuer".to_owned(),
                is_certain: true,
            });
            return Ended::Unusable(Problem::NoAuthorizationServer, document);
        }
        if let Some(document) = self.of_another_resource.take() {
            return Ended::Unusable(Problem::ResourceMismatch, Some(document));
        }
        let followed = challenge.map(|challenge| pointer(challenge, self.documents.server));
        match (followed, self.documents.first_status) {
            (None, _) => match malformed.filter(is_certain) {
                Some(document) => Ended::Unusable(Problem::InvalidMetadata, Some(document)),
                None => Ended::NotPublished,
            },
            (Some(_), _) if malformed.is_some() => {
                Ended::Unusable(Problem::InvalidMetadata, malformed)
            }
            // This may be a page of an intermediary, such as a captive portal.
            (Some(Some(_)), Some(200..300)) => Ended::Unavailable,
            (Some(followed), _) => {
                let document = followed.map(|url| InvalidDocument {
                    url,
                    field: "missing".to_owned(),
                    is_certain: true,
                });
                Ended::Unusable(Problem::InvalidMetadata, document)
            }
        }
    }
}

/// Keeps the first document, or the first one that is certain.
fn keep_first(kept: &mut Option<InvalidDocument>, document: InvalidDocument) {
    match kept {
        Some(kept) if kept.is_certain || !document.is_certain => {}
        kept => *kept = Some(document),
    }
}

/// The result of looking for protected-resource metadata at one URL.
enum Found {
    /// The authorization servers that the document names.
    Accepted(Vec<String>),
    Rejected(DiscoveryProblem, InvalidDocument),
    /// The document names a parent of the server. Another address may have one that names the server.
    OfParent(InvalidDocument),
    Pointers(Vec<Url>),
    Nothing,
}

impl Discovery {
    /// Adds the field because of which a sign-in can't begin with the discovered metadata to the evidence, if that is the problem: see
    /// [`sign_in_client`](crate::sign_in_client).
    pub fn add_sign_in_problem(&mut self, guarded: &GuardedClient, problem: DiscoveryProblem) {
        self.evidence.problem = Some(problem);
        use DiscoveryProblem::{InvalidMetadata, Unsupported};
        if matches!(problem, InvalidMetadata | Unsupported)
            && let (Some(metadata), Some(document)) = (&self.metadata, self.document.clone())
            && let Some(field) = invalid_field(guarded, metadata)
        {
            self.name_document(&document, field);
        }
    }

    /// The published metadata. It can be used only if its token endpoint is valid and requests to it are allowed.
    fn with(published: Published, guarded: &GuardedClient) -> Self {
        let Published {
            metadata,
            url: document,
        } = published;
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
        let published = &metadata.token_endpoint;
        if let Some(field) = endpoint_problem("token_endpoint", published, url.as_ref(), guarded) {
            discovered.name_document(&document, field);
        }
        discovered.document = Some(document);
        discovered.metadata = problem.is_none().then_some(metadata);
        discovered.blocked = blocked;
        discovered
    }

    /// Adds a document to the evidence whose `field` can't be used.
    fn name_document(&mut self, url: &Url, field: String) {
        self.evidence.document = Some(printable(&bare_url(url), MAX_ISSUER_CHARS));
        self.evidence.invalid_field = Some(field);
    }

    fn without_metadata(outcome: DiscoveryOutcome, problem: Option<DiscoveryProblem>) -> Self {
        Self {
            evidence: DiscoveryEvidence {
                outcome: Some(outcome),
                problem,
                ..DiscoveryEvidence::default()
            },
            ..Self::default()
        }
    }
}
