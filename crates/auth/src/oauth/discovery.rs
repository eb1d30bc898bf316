//! Finds the authorization server that an MCP server names (RFC 9728, RFC 8414, OpenID Connect Discovery).

mod documents;
mod metadata;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mcp_startup_core::{
    DiscoveryEvidence, DiscoveryOutcome, DiscoveryProblem, printable, same_issuer,
};
use rmcp::transport::auth::{
    AuthError, AuthorizationMetadata, ProtectedResourceMetadataInvalidReason,
};
use url::Url;

use self::documents::{Budget, DiscoveryHttp};
use crate::network::{BlockedRequest, GuardedClient, Place, RequestLog, place};
use crate::oauth::endpoint::endpoint;

const MAX_ISSUER_CHARS: usize = 2000;

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
/// Discovery tries at most 8 authorization servers, requests at most 8 documents of at most 1 MB each, and sends at most
/// 16 requests. It ends when `log` allows no further request.
///
/// Discovery has no time limit: the caller must set one.
pub async fn discover(
    guarded: &GuardedClient,
    resource: &Url,
    challenge: Option<&str>,
    log: &RequestLog,
) -> Discovery {
    let budget = Budget::default();
    let http = DiscoveryHttp {
        guarded: guarded.clone(),
        resource: resource.clone(),
        log: log.clone(),
        seen: Arc::default(),
        budget: budget.clone(),
        is_issuer: false,
    };
    let (resolved, seen) = http.resolve(challenge).await;
    let without_metadata = |(outcome, problem)| Discovery::without_metadata(outcome, problem);
    let mut discovered = match resolved {
        Ok(resolution) if resolution.source.is_discovered() => {
            Discovery::with(resolution.metadata, guarded)
        }
        Ok(_) => without_metadata(seen.outcome_without_metadata(resource, challenge)),
        Err(error) => {
            let problem = problem(&error);
            // The error is not logged: it can contain a URL with a query.
            tracing::debug!(
                resource = resource.origin().ascii_serialization(),
                ?problem,
                "discovery failed"
            );
            match (
                discover_skipped(&error, guarded, resource, log, &budget).await,
                problem,
            ) {
                (Some(found), _) => found,
                (None, Some(_)) => without_metadata((DiscoveryOutcome::Unusable, problem)),
                (None, None) => without_metadata((DiscoveryOutcome::Unavailable, None)),
            }
        }
    };
    match (&discovered.metadata, discovered.evidence.outcome) {
        (Some(_), _) => {
            let (resource, scopes) = seen.accepted.unzip();
            discovered.resource = resource;
            discovered.scopes = scopes.unwrap_or_default();
        }
        (None, Some(DiscoveryOutcome::Unusable)) => {
            let blocked = seen.blocked.map(|(blocked, _)| blocked);
            discovered.blocked = discovered.blocked.or(blocked);
        }
        (None, _) => {}
    }
    discovered
}

/// Tries the authorization servers that the SDK skips because their addresses are not public. A server that is itself
/// at such an address may name them; `guarded` blocks them for any other server.
async fn discover_skipped(
    error: &AuthError,
    guarded: &GuardedClient,
    resource: &Url,
    log: &RequestLog,
    budget: &Budget,
) -> Option<Discovery> {
    let AuthError::AuthorizationServersUnavailable {
        authorization_servers,
        ..
    } = error
    else {
        return None;
    };
    let is_loopback = |url: &Url| place(url) == Some(Place::Loopback);
    let mut blocked = None;
    for issuer in authorization_servers {
        let Ok(url) = Url::parse(issuer) else {
            continue;
        };
        let is_skipped = match place(&url) {
            Some(Place::Loopback) => !is_loopback(resource),
            Some(Place::Private) => true,
            Some(Place::Public | Place::Named(_)) | None => false,
        };
        if !is_skipped {
            continue;
        }
        match Box::pin(find_issuer(guarded, issuer, log, budget)).await {
            Some(found) if found.metadata.is_some() => return Some(found),
            found => blocked = blocked.or(found),
        }
    }
    blocked
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
    find_issuer(guarded, issuer, log, &Budget::default()).await
}

async fn find_issuer(
    guarded: &GuardedClient,
    issuer: &str,
    log: &RequestLog,
    budget: &Budget,
) -> Option<Discovery> {
    let http = DiscoveryHttp {
        guarded: guarded.clone(),
        resource: Url::parse(issuer).ok()?,
        log: log.clone(),
        seen: Arc::default(),
        budget: budget.clone(),
        is_issuer: true,
    };
    let (resolved, seen) = http.resolve(None).await;
    let matches = |named: &str| same_issuer(named, issuer);
    let found = resolved.ok().filter(|found| {
        found.source.is_discovered() && found.metadata.issuer.as_deref().is_some_and(matches)
    });
    match (found, seen.blocked) {
        (Some(found), _) => Some(Discovery::with(found.metadata, guarded)),
        (None, Some((blocked, problem))) => Some(Discovery {
            blocked: Some(blocked),
            ..Discovery::without_metadata(DiscoveryOutcome::Unusable, Some(problem))
        }),
        (None, None) => None,
    }
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
                problem,
            },
            ..Self::default()
        }
    }
}

/// The problem with the published metadata, or `None` if it could not be read at all.
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
