//! Requests to a token endpoint and its replies (RFC 6749, sections 3.2 and 5).

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use mcp_startup_core::{RequestEvidence, RequestTarget, refusal};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::clock::now_ms;
use crate::network::{
    BodyError, GuardedClient, GuardedClientError, RequestLog, bare_url, read_body,
};
use crate::store::Fields;

/// The size limit of a reply: 1 MB.
const MAX_REPLY_BYTES: usize = 1_000_000;

/// A complete reply, with any status.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// No complete reply was received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReply {
    #[error(transparent)]
    Request(#[from] GuardedClientError),
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Sends a request. The log records the result, and masks the tokens of the reply from then on.
pub(crate) async fn send(
    guarded: &GuardedClient,
    request: reqwest::Request,
    log: &RequestLog,
) -> Result<Reply, NoReply> {
    let sent = log.sent(RequestEvidence {
        to: Some(RequestTarget::Token),
        url: Some(bare_url(request.url())),
        ..RequestEvidence::default()
    });
    let response = match guarded.execute(request).await {
        Ok(response) => response,
        Err(error) => {
            match error {
                GuardedClientError::Blocked(_) => sent.not_sent(),
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
    log.add_secrets(tokens_in(&reply_fields(&body)));
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
    /// Whether an error reply is about the request itself, and not a rate limit or a server error.
    pub fn refuses(&self) -> bool {
        self.status != StatusCode::TOO_MANY_REQUESTS && self.status.as_u16() < 500
    }

    /// The granted tokens, if the reply is successful and has them.
    pub fn tokens(&self) -> Option<GrantedTokens> {
        let body = self.status.is_success().then_some(&self.body)?;
        GrantedTokens::read(body)
    }
}

/// The fields of a reply, parsed as JSON or as a form.
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

/// Every token in a reply, including those that are not used here.
fn tokens_in(reply: &Fields) -> Vec<SecretString> {
    let tokens = reply.iter().filter(|(name, _)| name.ends_with("token"));
    tokens
        .filter_map(|(_, json)| serde_json::from_str::<String>(json.expose_secret()).ok())
        .map(SecretString::from)
        .collect()
}

/// The granted tokens. If the reply has no refresh token, the old one stays valid (RFC 6749, section 6). If it has no
/// scopes, the old ones still apply.
pub(crate) struct GrantedTokens {
    pub access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_at_ms: Option<i64>,
    scopes: Option<Vec<String>>,
}

impl GrantedTokens {
    /// Parses a successful reply of a token endpoint (RFC 6749, section 5.1). Some vendors send it as a form and
    /// not as JSON.
    ///
    /// Each field is parsed separately: an odd field that is not needed must not lose a token that has replaced the
    /// old one. The token type is ignored, because vendors use different names for it and the server refuses a
    /// token that it cannot use.
    ///
    /// Returns `None` if there is no access token.
    pub fn read(body: &[u8]) -> Option<Self> {
        let reply = reply_fields(body);
        // A field that cannot be parsed is treated as absent.
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
        // A cast from a float saturates to the range of `i64`.
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

    /// The changed fields of the record.
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
