//! How a token endpoint is asked, and what its answer gives (RFC 6749, sections 3.2 and 5).

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use mcp_startup_core::{RequestEvidence, RequestTarget, refusal};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::clock::now_ms;
use crate::network::{BodyError, Outside, OutsideError, RequestLog, bare_url, read_body};
use crate::record::Fields;

/// The largest answer that is read: 1 MB.
const MAX_REPLY_BYTES: usize = 1_000_000;

/// An answer, whatever it says.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// No whole answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReply {
    #[error(transparent)]
    Outside(#[from] OutsideError),
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Sends a request; what came of it stands in the log, and the tokens that it gave are secrets there.
pub(crate) async fn ask(
    outside: &Outside,
    request: reqwest::Request,
    log: &RequestLog,
) -> Result<Reply, NoReply> {
    let sent = log.sent(RequestEvidence {
        to: Some(RequestTarget::Token),
        url: Some(bare_url(request.url())),
        ..RequestEvidence::default()
    });
    let response = match outside.execute(request).await {
        Ok(response) => response,
        Err(error) => {
            match error {
                OutsideError::Refused(_) => sent.not_sent(),
                _ => sent.note(|noted| noted.io = Some(error.trouble())),
            }
            return Err(error.into());
        }
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = match read_body(response, MAX_REPLY_BYTES).await {
        Ok(body) => body,
        Err(error) => {
            sent.note(|noted| {
                noted.status = Some(status.as_u16());
                noted.io = Some(error.trouble());
            });
            return Err(error.into());
        }
    };
    log.given(tokens_in(&reply_fields(&body)));
    let retry_after = headers.get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok());
    sent.note(|noted| {
        noted.status = Some(status.as_u16());
        noted.retry_after = retry_after.map(str::to_owned);
        noted.oauth_error = refusal::error_code(&body);
    });
    Ok(Reply {
        status,
        headers,
        body,
    })
}

impl Reply {
    /// Whether a refusal, if that is what it is, is about the request: not that it comes too early, or that something is broken.
    pub fn refuses(&self) -> bool {
        self.status != StatusCode::TOO_MANY_REQUESTS && self.status.as_u16() < 500
    }

    /// What was granted, where that is what it says.
    pub fn tokens(&self) -> Option<GrantedTokens> {
        let body = self.status.is_success().then_some(&self.body)?;
        GrantedTokens::read(body)
    }
}

/// The fields of an answer, as JSON or as a form.
fn reply_fields(body: &[u8]) -> Fields {
    let text = String::from_utf8_lossy(body);
    Fields::parse(&text).unwrap_or_else(|_| {
        let mut fields = Fields::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            fields.set(&name, Value::from(value.into_owned()).to_string().into());
        }
        fields
    })
}

/// Every token that an answer gives, those that are of no use here too.
fn tokens_in(reply: &Fields) -> Vec<SecretString> {
    let tokens = reply.iter().filter(|(name, _)| name.ends_with("token"));
    tokens
        .filter_map(|(_, json)| serde_json::from_str::<String>(json.expose_secret()).ok())
        .map(SecretString::from)
        .collect()
}

/// What was granted. Of a refresh token that was not given anew, the old one stays valid (RFC 6749, section 6); so do
/// the scopes.
pub(crate) struct GrantedTokens {
    pub access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_at_ms: Option<i64>,
    scopes: Option<Vec<String>>,
}

impl GrantedTokens {
    /// A successful answer of a token endpoint (RFC 6749, section 5.1), as JSON or, as some vendors have it, as a form. Each field
    /// is read by itself: an odd one that does not matter must not cost a token that the old one was given up for. Nor does its
    /// type decide: vendors have their own names for it, and the server refuses what it can't use.
    ///
    /// `None` where there is no access token in it.
    pub fn read(body: &[u8]) -> Option<Self> {
        let reply = reply_fields(body);
        // What can't be read stands for itself alone.
        let value = |name: &str| -> Option<Value> {
            serde_json::from_str(reply.find(name)?.expose_secret()).ok()
        };
        let token = |name| match value(name)? {
            Value::String(token) if !token.trim().is_empty() => Some(SecretString::from(token)),
            _ => None,
        };
        let expires_in_s = match value("expires_in") {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        // `as` from a float keeps to the range of i64.
        let expires_at = |seconds: f64| now_ms().saturating_add((seconds * 1000.0) as i64);
        let scopes = match value("scope") {
            Some(Value::String(scope)) => {
                Some(scope.split_whitespace().map(str::to_owned).collect())
            }
            Some(Value::Array(scopes)) => {
                let scopes = scopes.iter().filter_map(Value::as_str);
                Some(scopes.map(str::to_owned).collect())
            }
            _ => None,
        };
        Some(Self {
            access_token: token("access_token")?,
            refresh_token: token("refresh_token"),
            expires_at_ms: expires_in_s.map(expires_at),
            scopes,
        })
    }

    /// The fields of the record that change.
    pub fn changes(&self) -> Map<String, Value> {
        let text = |secret: &SecretString| Value::from(secret.expose_secret());
        let mut changes = Map::new();
        changes.insert("access_token".to_owned(), text(&self.access_token));
        changes.insert("expires_at".to_owned(), self.expires_at_ms.into());
        if let Some(refresh_token) = &self.refresh_token {
            changes.insert("refresh_token".to_owned(), text(refresh_token));
        }
        if let Some(scopes) = &self.scopes {
            changes.insert("scopes".to_owned(), scopes.clone().into());
        }
        changes
    }
}
