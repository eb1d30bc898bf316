//! Requests to a token endpoint and its replies (RFC 6749, sections 3.2 and 5).

use std::fmt;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use mcp_startup_core::{RequestEvidence, RequestTarget, refusal};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::clock::now_ms;
use crate::network::{
    BodyError, GuardedClient, GuardedClientError, RequestLog, SentRequest, bare_url, read_body,
};
use crate::oauth::scopes;

/// The size limit of a reply: 1 MB.
const MAX_REPLY_BYTES: usize = 1_000_000;
/// The maximum number of tokens that are masked besides the two that are used.
const MAX_OTHER_TOKENS: usize = 32;
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
}

/// Sends a request. The log records the result, and masks the tokens of the reply from then on. `sent_before_at_ms` is when
/// another program sent the same refresh token, if its outcome is unknown.
pub(crate) async fn send(
    guarded: &GuardedClient,
    request: reqwest::Request,
    log: &RequestLog,
    sent_before_at_ms: Option<u64>,
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
    let fields = ReplyFields::parse(&body);
    let granted = status.is_success().then(|| GrantedTokens::of(&fields));
    log.add_secrets(fields.into_tokens());
    let retry_after = headers.get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok());
    sent.note(|noted| {
        noted.status = Some(status.as_u16());
        noted.retry_after = retry_after.map(str::to_owned);
        match granted {
            Some(Ok(_)) => {}
            Some(Err(problem @ (TokenProblem::Characters | TokenProblem::Type(_)))) => {
                noted.unusable_token = Some(problem.to_string());
            }
            Some(Err(TokenProblem::Missing)) | None => {
                noted.oauth_error = refusal::error_code(&body);
                noted.oauth_error_description = refusal::description(&body);
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
    /// The granted tokens, if the reply is successful and has them.
    pub fn tokens(&self) -> Result<GrantedTokens, TokenProblem> {
        match self.status.is_success() {
            true => GrantedTokens::read(&self.body),
            false => Err(TokenProblem::Missing),
        }
    }

    /// The granted tokens of a successful reply that this client can't use, so that they can be revoked.
    pub fn unusable_tokens(&self) -> Option<GrantedTokens> {
        let fields = self
            .status
            .is_success()
            .then(|| ReplyFields::parse(&self.body))?;
        GrantedTokens::granted(&fields).ok()
    }
}

/// Why a reply grants no token that this client can use. The text of the error contains no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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

/// The JSON texts of the used fields of a reply, and its other tokens. Other fields are skipped, so their number costs
/// nothing.
#[derive(Default)]
struct ReplyFields {
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    expires_in: Option<SecretString>,
    scope: Option<SecretString>,
    token_type: Option<SecretString>,
    /// The tokens that are not used here, such as an ID token.
    others: Vec<SecretString>,
    /// The object with the tokens of a user.
    authed_user: Option<SecretString>,
}

/// The field in which Slack puts the tokens of a user. Source:
/// <https://docs.slack.dev/reference/methods/oauth.v2.access>.
const AUTHED_USER: &str = "authed_user";

impl ReplyFields {
    /// Parses a reply as JSON or as a form. The last of several fields with one name is kept.
    fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        serde_json::from_str(&text).unwrap_or_else(|_| {
            let mut fields = Self::default();
            for (name, value) in url::form_urlencoded::parse(body) {
                if Self::is_wanted(&name) {
                    fields.add(&name, Value::from(value.into_owned()).to_string().into());
                }
            }
            fields
        })
    }

    fn is_wanted(name: &str) -> bool {
        matches!(name, "expires_in" | "scope" | "token_type" | AUTHED_USER)
            || name.ends_with("token")
    }

    fn add(&mut self, name: &str, json: SecretString) {
        let field = match name {
            "access_token" => &mut self.access_token,
            "refresh_token" => &mut self.refresh_token,
            "expires_in" => &mut self.expires_in,
            "scope" => &mut self.scope,
            "token_type" => &mut self.token_type,
            AUTHED_USER => &mut self.authed_user,
            _ => {
                if self.others.len() < MAX_OTHER_TOKENS && json.expose_secret().starts_with('"') {
                    self.others.push(json);
                }
                return;
            }
        };
        *field = Some(json);
    }

    /// The fields of the user.
    fn user(&self) -> Option<Self> {
        serde_json::from_str(self.authed_user.as_ref()?.expose_secret()).ok()
    }

    /// Every token, including those that are not used here.
    fn into_tokens(self) -> Vec<SecretString> {
        let user = self.user().unwrap_or_default();
        let used = [
            self.access_token,
            self.refresh_token,
            user.access_token,
            user.refresh_token,
        ];
        used.into_iter()
            .flatten()
            .chain(self.others)
            .chain(user.others)
            .filter_map(|json| serde_json::from_str::<String>(json.expose_secret()).ok())
            .map(SecretString::from)
            .collect()
    }
}

impl<'de> Deserialize<'de> for ReplyFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = ReplyFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReplyFields, A::Error> {
                let mut fields = ReplyFields::default();
                while let Some(name) = map.next_key::<String>()? {
                    match ReplyFields::is_wanted(&name) {
                        true => fields.add(&name, map.next_value::<&RawValue>()?.get().into()),
                        false => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
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
    pub access_token: SecretString,
    refresh_token: Option<SecretString>,
    /// Not negative, and below 2^53.
    expires_at_ms: Option<i64>,
    scopes: Option<Vec<String>>,
    /// The type of the access token, if it can't be sent as a bearer token.
    unsupported_type: Option<&'static str>,
}

impl GrantedTokens {
    /// Parses a successful reply of a token endpoint (RFC 6749, section 5.1). Some vendors send it as a form and
    /// not as JSON.
    ///
    /// Each field is parsed separately: an odd field that is not needed must not lose a token that has replaced the
    /// old one.
    ///
    /// If there is no access token, the one of [`AUTHED_USER`] is used.
    pub fn read(body: &[u8]) -> Result<Self, TokenProblem> {
        Self::of(&ReplyFields::parse(body))
    }

    fn of(reply: &ReplyFields) -> Result<Self, TokenProblem> {
        let granted = Self::granted(reply)?;
        match granted.problem() {
            Some(problem) => Err(problem),
            None => Ok(granted),
        }
    }

    /// The tokens, which this client may not be able to use.
    fn granted(reply: &ReplyFields) -> Result<Self, TokenProblem> {
        match (Self::direct(reply, char::is_whitespace), reply.user()) {
            (None, Some(user)) => {
                // Slack separates scopes with commas.
                Self::direct(&user, |c| c == ',' || c.is_whitespace())
            }
            (direct, _) => direct,
        }
        .ok_or(TokenProblem::Missing)
    }

    /// Why this client can't use the access token.
    fn problem(&self) -> Option<TokenProblem> {
        // RFC 6749, appendix A.12. A header must carry it. The refresh token may have any characters: a form can carry them.
        let text = self.access_token.expose_secret();
        if !text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Some(TokenProblem::Characters);
        }
        self.unsupported_type.map(TokenProblem::Type)
    }

    fn direct(reply: &ReplyFields, separates_scopes: fn(char) -> bool) -> Option<Self> {
        // A field that cannot be parsed is treated as absent.
        let value = |json: &Option<SecretString>| -> Option<Value> {
            serde_json::from_str(json.as_ref()?.expose_secret()).ok()
        };
        let token = |json| match value(json)? {
            Value::String(token) if !token.trim().is_empty() => Some(SecretString::from(token)),
            _ => None,
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
        Some(Self {
            access_token: token(&reply.access_token)?,
            refresh_token: token(&reply.refresh_token),
            expires_at_ms: expires_in.and_then(|seconds| expires_at_ms(&seconds, now_ms())),
            scopes,
            unsupported_type: token_type
                .as_ref()
                .and_then(Value::as_str)
                .and_then(unsupported_type),
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

#[cfg(test)]
mod tests;
