//! Requests to a token endpoint and its replies (RFC 6749, sections 3.2 and 5).

mod fields;

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mcp_startup_core::{IoTrouble, RequestEvidence, RequestTarget, json_text, refusal, try_again};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use self::fields::ReplyFields;

use crate::clock::now_ms;
use crate::mask::Mask;
use crate::network::{
    BodyError, GuardedClient, GuardedClientError, RequestLog, SentRequest, bare_url,
    decoded_body_or_json, read_chunks_into, retry_after,
};
use crate::oauth::scopes;

/// The size limit of a reply: 1 MB.
const MAX_REPLY_BYTES: usize = 1_000_000;
/// The limit of `expires_at` in a record, in ms since the Unix epoch. A JSON number below it is exact in every language.
/// Codex refuses a negative number, a fraction, and a number of more than 64 bits.
const EXPIRES_AT_LIMIT_MS: f64 = 9_007_199_254_740_992.0;

/// A complete reply, with any status.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The entry of the request in the log.
    pub sent: SentRequest,
}

/// No complete reply was received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReply {
    #[error(transparent)]
    Request(#[from] GuardedClientError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the response was not complete in time")]
    Timeout,
}

/// When a reply must have arrived if the caller waits for it for `limit`. It is earlier, so that the caller still gets the tokens in
/// the part that has arrived.
pub(crate) fn reply_deadline(limit: Duration) -> Instant {
    Instant::now() + limit.mul_f32(0.95)
}

/// Whether enough time is left to send a refused request again. If the response came after the deadline, its tokens would be lost.
pub(crate) fn has_time(deadline: Instant) -> bool {
    const ENOUGH: Duration = Duration::from_secs(9);
    deadline.saturating_duration_since(Instant::now()) >= ENOUGH
}

/// Sends a request. The log records the result, and masks the tokens of the reply from then on. `sent_before_at_ms` is when
/// another program sent the same refresh token, if its outcome is unknown.
///
/// If the connection breaks, or the body is not complete at `deadline`, the part of the body that has arrived is the reply if it has a
/// token: the old refresh token may no longer be valid.
pub(crate) async fn send(
    guarded: &GuardedClient,
    request: reqwest::Request,
    log: &RequestLog,
    sent_before_at_ms: Option<u64>,
    deadline: Instant,
) -> Result<Reply, NoReply> {
    let sent = log.sent(RequestEvidence {
        to: Some(RequestTarget::Token),
        url: Some(bare_url(request.url())),
        sent_before_at_ms,
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
    let mut body = Vec::new();
    let chunks = decoded_body_or_json(response);
    let reading = read_chunks_into(&mut body, chunks, MAX_REPLY_BYTES);
    let incomplete = match timeout_at(deadline, reading).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some((error.trouble(), error.into())),
        Err(_) => Some((IoTrouble::Timeout, NoReply::Timeout)),
    };
    let fields = match &incomplete {
        None => ReplyFields::parse(&body),
        // A value of a form has no mark at its end.
        Some(_) => ReplyFields::object(&String::from_utf8_lossy(&body)),
    };
    if let Some((trouble, error)) = incomplete
        && !(status.is_success() && fields.has_token())
    {
        sent.note(|noted| {
            noted.status = Some(status.as_u16());
            noted.io = Some(trouble);
        });
        return Err(error);
    }
    let granted = status.is_success().then(|| GrantedTokens::of(&fields));
    log.add_secrets(fields.into_tokens());
    let retry_after = retry_after(status, &headers);
    sent.note(|noted| {
        noted.status = Some(status.as_u16());
        noted.retry_after = retry_after.map(Cow::into_owned);
        match granted {
            Some(Ok(_)) => {}
            Some(Err(problem @ (TokenProblem::Characters | TokenProblem::Type(_)))) => {
                noted.unusable_token = Some(problem.to_string());
            }
            Some(Err(TokenProblem::Missing)) | None => {
                noted.oauth_error = refusal::error_code(&body);
                noted.oauth_error_description = description(status, &body);
            }
        }
    });
    Ok(Reply {
        status,
        headers,
        body,
        sent,
    })
}

impl Reply {
    /// When to try again, as `Retry-After` requests, with the punctuation before it.
    pub fn try_again(&self) -> Cow<'static, str> {
        try_again(retry_after(self.status, &self.headers).as_deref())
    }

    /// The description of the error, with the tokens and the secrets of the reply masked.
    pub fn description(&self) -> Option<String> {
        let described = description(self.status, &self.body)?;
        let mut mask = Mask::default();
        for secret in ReplyFields::parse(&self.body).into_tokens() {
            mask.add(secret.expose_secret());
        }
        Some(mask.hide(&described))
    }

    /// The granted tokens, if the reply is successful and has them.
    pub fn tokens(&self) -> Result<GrantedTokens, TokenProblem> {
        match self.status.is_success() {
            true => GrantedTokens::read(&self.body),
            false => Err(TokenProblem::Missing),
        }
    }

    /// The granted tokens of a successful reply, even if this client can't use the access token or there is only a refresh token.
    pub fn unusable_tokens(&self) -> Option<GrantedTokens> {
        let fields = self
            .status
            .is_success()
            .then(|| ReplyFields::parse(&self.body))?;
        GrantedTokens::granted(&fields)
    }

    /// The refresh token of a reply whose access token is missing or can't be used. It may have replaced the old one. A reply with
    /// an error code grants nothing (RFC 6749, section 5.2).
    pub fn only_refresh_token(&self) -> Option<SecretString> {
        match refusal::error_code(&self.body) {
            Some(_) => None,
            None => self.unusable_tokens()?.refresh_token,
        }
    }
}

/// The description of the error in a reply. A reply of success without an error code may grant something in a form that is not known.
fn description(status: StatusCode, body: &[u8]) -> Option<String> {
    match status.is_success() && refusal::error_code(body).is_none() {
        true => refusal::named_description(body),
        false => refusal::description(body),
    }
}

/// Why a reply grants no token that this client can use. The text of the error contains no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenProblem {
    /// The reply has no access token.
    #[error("it has no access token")]
    Missing,
    /// The token has characters that no header can have.
    #[error("its `access_token` has characters that a token can't have")]
    Characters,
    /// The token can't be sent as a bearer token.
    #[error("its type is {0}, and only bearer tokens are supported")]
    Type(&'static str),
}

/// The token types that can't be sent as bearer tokens: those in the registry of OAuth access token types (RFC 6749, section 11.1),
/// and `mac` of an expired draft. Any other name is one that a vendor has for a bearer token, such as Slack's `bot` and `user`.
const UNSUPPORTED_TYPES: [&str; 4] = ["DPoP", "PoP", "N_A", "mac"];

fn unsupported_type(token_type: &str) -> Option<&'static str> {
    let token_type = token_type.trim();
    let mut unsupported = UNSUPPORTED_TYPES.into_iter();
    unsupported.find(|unsupported| unsupported.eq_ignore_ascii_case(token_type))
}

/// When a token expires that was granted at `now_ms`, in ms since the Unix epoch. `expires_in` is its lifetime in
/// seconds (RFC 6749, section 5.1), which some vendors send as text.
///
/// Returns `None`, which means that the expiry is unknown, for a value that is not a lifetime, and for an expiry
/// beyond the limit.
fn expires_at_ms(expires_in: &Value, now_ms: i64) -> Option<i64> {
    let seconds: f64 = match expires_in {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let at = now_ms as f64 + seconds * 1000.0;
    (seconds >= 0.0 && at < EXPIRES_AT_LIMIT_MS).then_some(at as i64)
}

/// The granted tokens. If the reply has no refresh token, the old one stays valid (RFC 6749, section 6). If it has no
/// scopes, the old ones still apply.
pub(crate) struct GrantedTokens {
    /// There is always one, except in [`Reply::unusable_tokens`].
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    /// Not negative, and below 2^53.
    expires_at_ms: Option<i64>,
    scopes: Option<Vec<String>>,
    /// Why this client can't use the access token.
    problem: Option<TokenProblem>,
}

impl GrantedTokens {
    /// Parses a successful reply of a token endpoint (RFC 6749, section 5.1). Some vendors send it as a form and
    /// not as JSON.
    ///
    /// Each field is parsed separately: an odd field that is not needed must not lose a token that has replaced the
    /// old one.
    ///
    /// If there is no access token, the one of `authed_user` is used.
    pub fn read(body: &[u8]) -> Result<Self, TokenProblem> {
        Self::of(&ReplyFields::parse(body))
    }

    fn of(reply: &ReplyFields) -> Result<Self, TokenProblem> {
        let granted = Self::granted(reply).ok_or(TokenProblem::Missing)?;
        match granted.problem {
            Some(problem) => Err(problem),
            None => Ok(granted),
        }
    }

    /// The tokens, which this client may not be able to use. `None` if there are none.
    fn granted(reply: &ReplyFields) -> Option<Self> {
        let direct = Self::direct(reply, char::is_whitespace);
        if direct.problem != Some(TokenProblem::Missing) {
            return Some(direct);
        }
        // Slack separates scopes with commas.
        let of_user = |user| Self::direct(&user, |c| c == ',' || c.is_whitespace());
        let user = reply.user().map(of_user);
        let is_granted = |granted: &Self| {
            granted.problem != Some(TokenProblem::Missing) || granted.refresh_token.is_some()
        };
        match user {
            Some(user) if user.problem != Some(TokenProblem::Missing) => Some(user),
            user => [Some(direct), user].into_iter().flatten().find(is_granted),
        }
    }

    fn direct(reply: &ReplyFields, separates_scopes: fn(char) -> bool) -> Self {
        // A field that cannot be parsed is treated as absent.
        let value = |json: &Option<SecretString>| -> Option<Value> {
            serde_json::from_str(json.as_ref()?.expose_secret()).ok()
        };
        let token = |json: &Option<SecretString>| {
            let token = json_text(json.as_ref()?.expose_secret())?;
            (!token.trim().is_empty()).then(|| SecretString::from(token))
        };
        let scopes = match value(&reply.scope) {
            Some(Value::String(scope)) => Some(scopes::bounded(scope.split(separates_scopes))),
            Some(Value::Array(scopes)) => {
                Some(scopes::bounded(scopes.iter().filter_map(Value::as_str)))
            }
            _ => None,
        };
        let expires_in = value(&reply.expires_in);
        let token_type = value(&reply.token_type);
        let token_type = token_type.as_ref().and_then(Value::as_str);
        let access_token = token(&reply.access_token);
        let problem = match (&access_token, &reply.access_token) {
            (Some(token), _) if is_bearer_token(token.expose_secret()) => token_type
                .and_then(unsupported_type)
                .map(TokenProblem::Type),
            (Some(_), _) => Some(TokenProblem::Characters),
            // Half a surrogate pair, or an escape sequence that JSON does not have.
            (None, Some(json)) if json_text(json.expose_secret()).is_none() && is_text(json) => {
                Some(TokenProblem::Characters)
            }
            (None, _) => Some(TokenProblem::Missing),
        };
        Self {
            access_token,
            refresh_token: token(&reply.refresh_token),
            expires_at_ms: expires_in.and_then(|seconds| expires_at_ms(&seconds, now_ms())),
            scopes,
            problem,
        }
    }

    pub fn access_token(&self) -> Option<&SecretString> {
        self.access_token.as_ref()
    }

    /// The changed fields of the record.
    pub fn changes(&self) -> Map<String, Value> {
        let text = |secret: &SecretString| Value::from(secret.expose_secret());
        let mut changes = Map::new();
        if let Some(access_token) = &self.access_token {
            changes.insert("access_token".to_owned(), text(access_token));
        }
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

/// Whether a header can carry a token (RFC 6749, appendix A.12). A refresh token may have any characters: a form can carry them.
fn is_bearer_token(token: &str) -> bool {
    token.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

fn is_text(json: &SecretString) -> bool {
    json.expose_secret().starts_with('"')
}

#[cfg(test)]
mod tests;
