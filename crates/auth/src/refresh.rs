//! The refresh transaction: at most one refresh for a record at a time, and no answer to one is ever lost by us.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_startup_core::{RequestEvidence, RequestTarget, refusal, same_issuer};
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::network::{RequestLog, bare_url, read_body};
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreError};

/// How long a refresh may take, 30 s in all: until its answer is there, and from then until it is saved. What is being saved
/// then is saved all the same.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const SAVE_LIMIT: Duration = Duration::from_secs(10);
/// How often saving is tried, and the time between.
const SAVE_TRIES: usize = 10;
const SAVE_PAUSE: Duration = Duration::from_millis(500);
/// The largest answer of a token endpoint that is read: 1 MB.
const MAX_REPLY_BYTES: usize = 1_000_000;

/// A refresh that is wanted: whose, and what is known for it.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The record.
    pub key: CredentialKey,
    /// The access token that was found wanting; `None` where there was none.
    pub rejected: Option<SecretString>,
    /// The MCP server, as the `resource` of the request (RFC 8707): the resource that it was granted for.
    pub resource: String,
    /// The metadata of the authorization server that the MCP server names.
    pub metadata: AuthorizationMetadata,
    /// The client of the configuration and its secret: sent only for a record that was granted to that client.
    pub client: Option<(String, Option<SecretString>)>,
    /// Scopes, only where the configuration names them.
    pub scopes: Option<Vec<String>>,
}

/// What a refresh came to.
#[derive(Debug)]
pub enum Refreshed {
    /// A token to send: a new one, or one that another process has stored meanwhile.
    Token {
        /// The access token.
        access_token: SecretString,
        /// Why the record could not be saved, where it could not: the token serves this start all the same.
        not_saved: Option<StoreError>,
    },
    /// No refresh token may be sent: there is none, or the issuer that granted it is not the server's.
    NotSent,
    /// The authorization server gave no token: how it said so, stands in the log.
    Refused,
    /// The store can't be read, locked or written: nothing was sent.
    StoreFailed(StoreError),
}

/// Refreshes a stored credential, under the lock of its record.
///
/// The record is read again under the lock; if another access token is there than the one that was found wanting, it is used
/// and nothing is sent. Else the store proves that it can be written, one refresh is sent (RFC 6749, section 6; to the issuer
/// that granted the token, without redirects), and its answer is stored.
///
/// Dropping the future while it waits for the lock sends nothing. From the moment the request is written until the record is
/// synced the refresh is a task of its own, owned by `tasks`, with a limit of 30 s: dropping the future then ends the waiting and
/// not the refresh. Whoever owns `tasks` waits for them before the process ends.
pub async fn refresh(
    store: Arc<dyn CredentialStore>,
    client: reqwest::Client,
    wanted: Refresh,
    log: RequestLog,
    tasks: &TaskTracker,
) -> Refreshed {
    let prepared = prepare(&*store, &wanted).await;
    let (lock, record, request) = match prepared {
        Ok(Prepared::Send(sending)) => *sending,
        Ok(Prepared::Token(access_token)) => {
            return Refreshed::Token {
                access_token,
                not_saved: None,
            };
        }
        Ok(Prepared::NotSent) => return Refreshed::NotSent,
        Err(error) => return Refreshed::StoreFailed(error),
    };
    let (sender, receiver) = oneshot::channel();
    let saving = tasks.clone();
    tasks.spawn(async move {
        let answer = exchange(&client, request, &log);
        let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        let key = wanted.key;
        let refreshed = match answer.ok().flatten() {
            None => after_refusal(&*store, &key, &record).await,
            Some(tokens) => {
                let access_token = tokens.access_token.clone();
                // It owns the lock: nobody may read the old record while the new one is on its way.
                let save = saving.spawn(async move {
                    let saved = save(&*store, &key, &record, tokens).await;
                    drop(lock);
                    saved
                });
                match tokio::time::timeout(SAVE_LIMIT, save).await {
                    Ok(Ok(saved)) => saved,
                    Ok(Err(error)) => not_saved(access_token, StoreError::broken("file", &error)),
                    Err(late) => not_saved(access_token, StoreError::broken("file", &late)),
                }
            }
        };
        // The start may have been given up.
        let _ = sender.send(refreshed);
    });
    receiver.await.unwrap_or(Refreshed::Refused)
}

fn not_saved(access_token: SecretString, error: StoreError) -> Refreshed {
    Refreshed::Token {
        access_token,
        not_saved: Some(error),
    }
}

/// A refresh was refused. A program that takes no lock may have been quicker: then its token is there.
async fn after_refusal(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    record: &CredentialRecord,
) -> Refreshed {
    match store.load(key).await {
        Ok(Some(newer)) if !newer.same_tokens(record) => match newer.access_token() {
            Some(token) => Refreshed::Token {
                access_token: token.clone(),
                not_saved: None,
            },
            None => Refreshed::Refused,
        },
        _ => Refreshed::Refused,
    }
}

enum Prepared {
    Send(Box<(RecordLock, CredentialRecord, TokenRequest)>),
    Token(SecretString),
    NotSent,
}

async fn prepare(store: &dyn CredentialStore, wanted: &Refresh) -> Result<Prepared, StoreError> {
    let lock = store.lock(&wanted.key).await?;
    let Some(record) = store.load(&wanted.key).await? else {
        return Ok(Prepared::NotSent);
    };
    let rejected = wanted.rejected.as_ref().map(ExposeSecret::expose_secret);
    if let Some(token) = record.access_token()
        && Some(token.expose_secret()) != rejected
    {
        return Ok(Prepared::Token(token.clone()));
    }
    let Some(request) = TokenRequest::new(&record, wanted) else {
        return Ok(Prepared::NotSent);
    };
    store.prove_writable(&wanted.key).await?;
    Ok(Prepared::Send(Box::new((lock, record, request))))
}

/// What is sent to the token endpoint.
struct TokenRequest {
    endpoint: Url,
    form: String,
    basic: Option<(String, SecretString)>,
}

impl TokenRequest {
    /// `None` where the refresh token may not be sent.
    fn new(record: &CredentialRecord, wanted: &Refresh) -> Option<Self> {
        let refresh_token = record.refresh_token()?;
        let issuer = wanted.metadata.issuer.as_deref()?;
        if !same_issuer(record.issuer()?, issuer) {
            return None;
        }
        let endpoint = Url::parse(&wanted.metadata.token_endpoint).ok()?;
        let issuer = Url::parse(issuer).ok()?;
        if endpoint.scheme() != issuer.scheme() {
            return None;
        }
        let configured = wanted.client.as_ref();
        let configured = configured.filter(|(id, _)| record.client_id() == Some(id));
        let secret = configured.and_then(|(_, secret)| secret.as_ref());
        let secret = secret.or_else(|| record.client_secret());
        let client_id = record.client_id().unwrap_or_default();
        let methods = wanted
            .metadata
            .additional_fields
            .get("token_endpoint_auth_methods_supported")
            .and_then(Value::as_array);
        // RFC 8414: where the metadata does not say, it is `client_secret_basic`.
        let takes_basic = methods
            .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token.expose_secret())
            .append_pair("resource", &wanted.resource);
        if let Some(scopes) = &wanted.scopes {
            form.append_pair("scope", &scopes.join(" "));
        }
        let basic = match secret {
            Some(secret) if takes_basic => Some((client_id.to_owned(), secret.clone())),
            secret => {
                if !client_id.is_empty() {
                    form.append_pair("client_id", client_id);
                }
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose_secret());
                }
                None
            }
        };
        Some(Self {
            endpoint,
            form: form.finish(),
            basic,
        })
    }
}

/// Sends the request. `None` where no token came of it; how, stands in the log.
async fn exchange(
    client: &reqwest::Client,
    request: TokenRequest,
    log: &RequestLog,
) -> Option<RenewedTokens> {
    let sent = log.sent(RequestEvidence {
        to: Some(RequestTarget::Token),
        url: Some(bare_url(&request.endpoint)),
        ..RequestEvidence::default()
    });
    let mut post = client
        .post(request.endpoint)
        .header(
            http::header::CONTENT_TYPE,
            "application/x-www-form-urlencoded",
        )
        .header(http::header::ACCEPT, "application/json")
        .body(request.form);
    if let Some((client_id, secret)) = &request.basic {
        // RFC 6749, section 2.3.1: each is encoded as in a form before it is put together.
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        post = post.basic_auth(encode(client_id), Some(encode(secret.expose_secret())));
    }
    let response = match post.send().await {
        Ok(response) => response,
        Err(error) => {
            sent.failed(&error);
            return None;
        }
    };
    let status = response.status();
    let retry_after = response.headers().get(http::header::RETRY_AFTER);
    let retry_after = retry_after
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = match read_body(response, MAX_REPLY_BYTES).await {
        Ok(body) => body,
        Err(error) => {
            sent.note(|noted| {
                noted.status = Some(status.as_u16());
                noted.io = Some(error.trouble());
            });
            return None;
        }
    };
    sent.note(|noted| {
        noted.status = Some(status.as_u16());
        noted.retry_after = retry_after;
        noted.oauth_error = refusal::error_code(&body);
    });
    if !status.is_success() {
        return None;
    }
    RenewedTokens::read(&body)
}

async fn save(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    record: &CredentialRecord,
    tokens: RenewedTokens,
) -> Refreshed {
    let changes = tokens.changes();
    let mut expected = record.clone();
    let mut tries = 0;
    loop {
        tries += 1;
        // On top of what is there: another program may have changed what is no concern of ours.
        let replaced = match expected.with(&changes) {
            Ok(renewed) => store.replace(key, Some(&expected), Some(&renewed)).await,
            Err(error) => Err(StoreError::broken("file", &error)),
        };
        let error = match replaced {
            Ok(Replaced::Stored) => {
                return Refreshed::Token {
                    access_token: tokens.access_token,
                    not_saved: None,
                };
            }
            // Another program has written the same sign-in anew, in its own way.
            Ok(Replaced::Conflict(Some(newer))) if newer.same_tokens(record) => {
                expected = newer;
                StoreError::broken(
                    "file",
                    &std::io::Error::other("another program keeps changing the record"),
                )
            }
            // Somebody has signed in meanwhile, without the lock: theirs stands, and is used.
            Ok(Replaced::Conflict(newer)) => {
                let newer = newer.and_then(|newer| newer.access_token().cloned());
                return Refreshed::Token {
                    access_token: newer.unwrap_or(tokens.access_token),
                    not_saved: None,
                };
            }
            Err(error) => error,
        };
        if tries == SAVE_TRIES {
            return not_saved(tokens.access_token, error);
        }
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}

/// What a refresh has given. Of a refresh token that was not given anew, the old one stays valid (RFC 6749, section 6); so do
/// the scopes.
pub(crate) struct RenewedTokens {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_at_ms: Option<i64>,
    scopes: Option<Vec<String>>,
}

impl RenewedTokens {
    /// A successful answer of a token endpoint (RFC 6749, section 5.1), as JSON or, as some vendors have it, as a form. Each field
    /// is read by itself: an odd one that does not matter must not cost a token that the old one was given up for. Nor does its
    /// type decide: vendors have their own names for it, and the server refuses what it can't use.
    ///
    /// `None` where there is no access token in it.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let reply: Map<String, Value> = serde_json::from_slice(body).unwrap_or_else(|_| {
            let pairs = url::form_urlencoded::parse(body);
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
                .collect()
        });
        let token = |name| {
            let token = reply.get(name).and_then(Value::as_str)?;
            (!token.trim().is_empty()).then(|| SecretString::from(token))
        };
        let expires_in_s = match reply.get("expires_in") {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = since.unwrap_or_default().as_millis() as i64;
        // `as` from a float keeps to the range of i64.
        let expires_at = |seconds: f64| now_ms.saturating_add((seconds * 1000.0) as i64);
        let scopes = match reply.get("scope") {
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
    pub(crate) fn changes(&self) -> Map<String, Value> {
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
