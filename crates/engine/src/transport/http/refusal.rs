//! [`HttpRefusal`]: how a live server has refused a request of the host.

use std::error::Error;

use http::StatusCode;
use rmcp::service::ServiceError;
use rmcp::transport::auth::WWWAuthenticateParams;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use url::Url;

use super::Failure;

/// The maximum number of scopes that are kept, and of their characters.
const MAX_SCOPES: usize = 50;
const MAX_SCOPE_CHARS: usize = 200;

/// How a server that is ready has refused a request, such as the call of a tool, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRefusal {
    /// The status of the response. 401 means that the server refuses the authorization, also after a refresh if that was possible.
    pub status: u16,
    /// The scopes that the server requires, if it has refused the request with `insufficient_scope`. The list is empty if it names none.
    pub missing_scopes: Option<Vec<String>>,
}

impl HttpRefusal {
    /// The refusal that is the cause of an error of a live server. `None` if the request failed for another reason.
    pub fn of(error: &ServiceError) -> Option<Self> {
        let ServiceError::TransportSend(error) = error else {
            return None;
        };
        let mut source: Option<&(dyn Error + 'static)> = Some(error.error.as_ref());
        while let Some(current) = source {
            if let Some(failure) = current.downcast_ref::<Failure>() {
                return Self::of_failure(failure);
            }
            source = current.source();
        }
        None
    }

    fn of_failure(failure: &Failure) -> Option<Self> {
        let (status, scopes) = match failure {
            StreamableHttpError::AuthRequired(_) => (StatusCode::UNAUTHORIZED.as_u16(), None),
            StreamableHttpError::InsufficientScope(error) => {
                let scopes = error.required_scope.as_deref();
                (StatusCode::FORBIDDEN.as_u16(), scopes)
            }
            StreamableHttpError::HttpStatus(error) => (error.status, None),
            StreamableHttpError::SessionExpired => (StatusCode::NOT_FOUND.as_u16(), None),
            _ => return None,
        };
        // RFC 6749, section 3.3.
        let is_allowed = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let is_scope =
            |scope: &&str| scope.len() <= MAX_SCOPE_CHARS && scope.bytes().all(is_allowed);
        let missing_scopes = scopes.map(|scopes| {
            let scopes = scopes.split_whitespace().filter(is_scope);
            scopes.take(MAX_SCOPES).map(str::to_owned).collect()
        });
        Some(Self {
            status,
            missing_scopes,
        })
    }
}

/// The scopes of a challenge with `insufficient_scope`. `None` if it has another error.
pub(super) fn missing_scopes(challenge: &str, url: &Url) -> Option<String> {
    let challenge = WWWAuthenticateParams::parse(challenge, url);
    let is_missing = challenge.is_insufficient_scope();
    is_missing.then(|| challenge.scope.unwrap_or_default())
}
