//! How a server refuses a request: its answer with an error status, and [`HttpRefusal`] for the requests of a host.

use std::error::Error;
use std::sync::atomic::Ordering;

use http::StatusCode;
use mcp_startup_core::{RequestEvidence, has_required_scopes};
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::ServiceError;
use rmcp::transport::auth::WWWAuthenticateParams;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, InsufficientScopeError, StreamableHttpError,
    StreamableHttpPostResponse,
};
use url::Url;

use super::answer::{Answer, content_type};
use super::long_bodies::shortened;
use super::session::session_of;
use super::{Failure, MAX_CHALLENGE_CHARS, McpHttp, challenge};
use crate::transport::text_encoding::text_of;

/// The maximum length of the recorded body of an error response, in characters.
const MAX_WORDS_CHARS: usize = 1000;
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
    /// `None` if all of them were granted to the stored sign-in whose token was sent: another sign-in would grant nothing more.
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
fn missing_scopes(challenge: &str, url: &Url) -> Option<String> {
    let challenge = WWWAuthenticateParams::parse(challenge, url);
    let is_missing = challenge.is_insufficient_scope();
    is_missing.then(|| challenge.scope.unwrap_or_default())
}

impl McpHttp {
    /// Reads the body of an answer with an error status, and records its words.
    pub(super) async fn error_body(&self, answer: Answer) -> Vec<u8> {
        let collector = &self.shared.collector;
        let content_type = content_type(&answer.response);
        let (body, sent) = answer.error_body(&collector.log).await;
        let words = text_of(&body, &content_type);
        let words = words.trim();
        let words = match words.len() > MAX_WORDS_CHARS {
            // Masked before it is cut, because a part of a secret is not recognized.
            true => &shortened(collector.mask(words)),
            false => words,
        };
        let words = collector.sanitize(words, MAX_WORDS_CHARS);
        sent.note(|evidence| evidence.body = (!words.is_empty()).then_some(words));
        body
    }

    /// Whether the token of a request to the live server has every scope that the challenge of its answer requires.
    fn has_required_scopes(&self, answer: &Answer, challenge: &str) -> bool {
        let collector = &self.shared.collector;
        // The log of the start is closed.
        let refused = RequestEvidence {
            credential_sent: Some(answer.credential_sent),
            status: Some(answer.response.status().as_u16()),
            challenge: Some(collector.sanitize(challenge, MAX_CHALLENGE_CHARS)),
            ..RequestEvidence::default()
        };
        collector.read(|evidence| {
            let credential = evidence.credential.as_ref();
            credential.is_some_and(|credential| has_required_scopes(credential, &refused))
        })
    }

    /// Reads an answer with an error status, and records its words. A JSON-RPC error in it has more information than the status.
    pub(super) async fn refusal(
        &self,
        answer: Answer,
        request: Option<(&RequestId, &str)>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let status = answer.response.status();
        let session = session_of(&answer.response);
        let has_session = answer.sent_session;
        // The host needs the challenge of its own request to sign in. A start has it in the evidence.
        let ready = self.shared.ready.load(Ordering::Relaxed);
        let challenge = challenge(answer.response.headers()).filter(|_| ready);
        let is_granted = challenge
            .as_deref()
            .is_some_and(|challenge| self.has_required_scopes(&answer, challenge));
        let collector = &self.shared.collector;
        let body = self.error_body(answer).await;
        let decided_by_status = matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        );
        if let Some(request) = request
            && status.is_client_error()
            && !decided_by_status
            && body.trim_ascii_start().starts_with(b"{")
            && let Some(JsonRpcMessage::Error(mut error)) = self.parse(request, &body).await
        {
            // It answers this request, also without its ID or with another one, as the SDK for Python sends it.
            error.id = Some(request.0.clone());
            return Ok(StreamableHttpPostResponse::Json(
                JsonRpcMessage::Error(error),
                session,
            ));
        }
        Err(match (status, challenge) {
            (StatusCode::UNAUTHORIZED, Some(challenge)) => {
                StreamableHttpError::AuthRequired(AuthRequiredError::new(challenge))
            }
            (StatusCode::FORBIDDEN, Some(challenge)) => {
                let scopes = missing_scopes(&challenge, &self.shared.url);
                let scopes = scopes.filter(|_| !is_granted);
                let scopes = scopes.map(|scopes| collector.mask(&scopes));
                StreamableHttpError::InsufficientScope(InsufficientScopeError::new(
                    challenge, scopes,
                ))
            }
            (StatusCode::NOT_FOUND, _) if has_session => StreamableHttpError::SessionExpired,
            (status, _) => HttpStatusError::new(status.as_u16(), None).into(),
        })
    }
}
