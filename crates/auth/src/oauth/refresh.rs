//! The refresh transaction: a record has at most one refresh at a time, and its response is never lost.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::{CredentialStoreTrouble, IoTrouble, refusal, same_issuer};
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::network::{BlockedRequest, GuardedClient, GuardedClientError, RequestLog, SentRequest};
use crate::oauth::client_authentication::{ClientAuthentication, METHODS, rejects_client};
use crate::oauth::endpoint::endpoint;
use crate::oauth::resource::resource;
use crate::oauth::scopes::MAX_SCOPES;
use crate::oauth::token_endpoint::{self, NoReply, Reply};
use crate::store::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, ReplaceOutcome, StoreError};
use crate::store::{DEFAULT_LOCK_LIMIT, lock_within};

/// The time limits of a refresh, 30 s in total: for its response, and then for saving it. When the second limit ends, a
/// save that is under way continues.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const SAVE_LIMIT: Duration = Duration::from_secs(10);
/// The number of attempts to save, and the pause between them.
const SAVE_TRIES: usize = 10;
const SAVE_PAUSE: Duration = Duration::from_millis(500);

/// The inputs of a refresh.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    /// The key of the record.
    pub key: CredentialKey,
    /// The access token that has expired or that the server refused; `None` if there was none.
    pub rejected: Option<SecretString>,
    /// The URL of the MCP server that the token is granted for.
    pub server: Url,
    /// The configured resource indicator (RFC 8707), if there is one. If it is blank, the request names no resource.
    pub configured_resource: Option<String>,
    /// The `resource` of the [`Discovery`](crate::Discovery). It is used if no other is configured and it applies to
    /// `server`. Otherwise, the resource is the URL of the server.
    pub published_resource: Option<String>,
    /// The metadata of the authorization server that the MCP server names.
    pub metadata: AuthorizationMetadata,
    /// The configured client ID and secret. The secret is sent only if the record was granted to this client.
    pub client: Option<(String, Option<SecretString>)>,
    /// The configured scopes; `None` if none are configured. If there are some, the request names them and those that
    /// were granted, so that the new token has no fewer scopes than the old one. Otherwise, it names the granted ones only if the
    /// authorization server requires that.
    pub scopes: Option<Vec<String>>,
}

/// The outcome of a refresh.
#[derive(Debug)]
pub enum RefreshOutcome {
    /// A token to send: a new one, or one that another process has stored in the meantime.
    Token {
        /// The access token.
        access_token: SecretString,
        /// Why the record could not be saved, if saving failed. This start can use the token anyway.
        not_saved: Option<StoreError>,
    },
    /// Nothing was sent: there is no refresh token, or it may not be sent to this authorization server.
    NotSent,
    /// The authorization server returned no token. The log has the details.
    Refused,
    /// Nothing was sent: requests to the token endpoint are not allowed.
    Blocked(BlockedRequest),
    /// Nothing was sent: the store cannot be read, locked or written.
    StoreFailed(StoreError),
}

/// Refreshes a stored credential, under the lock of its record.
///
/// The record is read again under the lock. If its access token is no longer the rejected one, that token is returned
/// and nothing is sent. Otherwise, the store proves that it is writable, one refresh request is sent (RFC 6749, section
/// 6; to the issuer that granted the token, without redirects), and its response is stored. A request is sent again only if the
/// authorization server refuses its form, and so has not used the refresh token: it rejects the client, or the scopes.
///
/// Dropping the future while it waits for the lock sends nothing. From the request until the record is synced, the
/// refresh is a separate task in `tasks`, with a limit of 30 s. Dropping the future then ends only the wait: the
/// refresh continues. The owner of `tasks` must wait for them before the process exits.
pub async fn refresh(
    store: Arc<dyn CredentialStore>,
    guarded: GuardedClient,
    request: RefreshRequest,
    log: RequestLog,
    tasks: &TaskTracker,
) -> RefreshOutcome {
    let prepared = prepare(&*store, &request).await;
    let (lock, record, token_request) = match prepared {
        Ok(Prepared::Send(sending)) => *sending,
        Ok(Prepared::Token(access_token)) => {
            return RefreshOutcome::Token {
                access_token,
                not_saved: None,
            };
        }
        Ok(Prepared::NotSent) => return RefreshOutcome::NotSent,
        Err(error) => return RefreshOutcome::StoreFailed(error),
    };
    let (sender, receiver) = oneshot::channel();
    let saving = tasks.clone();
    tasks.spawn(async move {
        let sending = Sending {
            store,
            key: request.key,
            lock,
            record,
        };
        let refreshed = sending.run(&guarded, token_request, &log, &saving).await;
        // The caller may have dropped the future.
        let _ = sender.send(refreshed);
    });
    receiver.await.unwrap_or(RefreshOutcome::Refused)
}

/// A refresh that no caller cancels any more: it sends one request and saves its response.
struct Sending {
    store: Arc<dyn CredentialStore>,
    key: CredentialKey,
    lock: RecordLock,
    record: CredentialRecord,
}

impl Sending {
    async fn run(
        self,
        guarded: &GuardedClient,
        request: TokenRequest,
        log: &RequestLog,
        tasks: &TaskTracker,
    ) -> RefreshOutcome {
        let sent_before_at_ms = match self.begin_attempt().await {
            Ok(sent_before_at_ms) => sent_before_at_ms,
            Err(error) => return RefreshOutcome::StoreFailed(error),
        };
        if sent_before_at_ms.is_some() {
            // An earlier holder lost its lock after it had sent the token. It may have saved the new one since this process read the
            // record.
            let current = after_refusal(&*self.store, &self.key, &self.record).await;
            if let RefreshOutcome::Token { .. } = current {
                self.lock.end_attempt();
                return current;
            }
        }
        let answer = exchange(guarded, request, log, sent_before_at_ms);
        let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        let (renewal, sent) = match answer.unwrap_or(Ok(Answer::None)) {
            Err(blocked) => {
                self.end_attempt(sent_before_at_ms);
                return RefreshOutcome::Blocked(blocked);
            }
            Ok(Answer::Refused(sent)) => {
                self.end_attempt(sent_before_at_ms);
                return match self.lock.is_held_for(Duration::ZERO) {
                    true => after_refusal(&*self.store, &self.key, &self.record).await,
                    false => self.after_lost_lock(sent).await,
                };
            }
            Ok(Answer::None) => {
                return after_refusal(&*self.store, &self.key, &self.record).await;
            }
            Ok(Answer::Renewal(renewal, sent)) => (renewal, sent),
        };
        let access_token = renewal.access_token.clone();
        // The task owns the lock, so that no other process reads the old record before the new one is saved.
        let save = tasks.spawn(async move {
            let saved = save(&*self.store, &self.key, &self.record, renewal, &sent).await;
            if saved.is_ok() {
                self.lock.end_attempt();
            }
            drop(self.lock);
            saved
        });
        match tokio::time::timeout(SAVE_LIMIT, save).await {
            Ok(Ok(Ok(usable))) => usable.map_or(RefreshOutcome::Refused, |access_token| {
                RefreshOutcome::Token {
                    access_token,
                    not_saved: None,
                }
            }),
            Ok(Ok(Err(error))) => not_saved(access_token, error),
            // The error is not shown: it contains the panic message.
            Ok(Err(_)) => not_saved(
                access_token,
                unsaved("saving the record failed unexpectedly"),
            ),
            Err(_) => not_saved(access_token, unsaved("saving the record took too long")),
        }
    }

    /// Makes sure that the lock outlasts the request. If the lock was lost, nothing may be sent: another process may be sending
    /// the same refresh token.
    async fn begin_attempt(&self) -> Result<Option<u64>, StoreError> {
        let sent_before_at_ms = match self.record.refresh_token() {
            Some(refresh_token) => {
                let begun = self.lock.begin_attempt(refresh_token);
                let begun = tokio::time::timeout(SAVE_LIMIT, begun).await;
                begun.unwrap_or_else(|_| Err(unsaved("recording the attempt took too long")))?
            }
            None => None,
        };
        if self.lock.is_held_for(ANSWER_LIMIT) {
            return Ok(sent_before_at_ms);
        }
        self.end_attempt(sent_before_at_ms);
        Err(StoreError::lock_lost(self.store.name()))
    }

    /// The outcome of a request that was refused after the lock was lost. The process that has taken the lock may have refreshed the
    /// same token, so its outcome decides.
    async fn after_lost_lock(self, sent: Option<SentRequest>) -> RefreshOutcome {
        drop(self.lock);
        let locked = lock_within(&*self.store, &self.key, DEFAULT_LOCK_LIMIT).await;
        let lock = match locked {
            Ok(lock) => lock,
            Err(error) => return RefreshOutcome::StoreFailed(error),
        };
        let outcome = after_refusal(&*self.store, &self.key, &self.record).await;
        let Some(sent) = sent else {
            return outcome;
        };
        if let RefreshOutcome::Token { .. } = outcome {
            // The authorization server may take the second use of the token for theft, and refuse the next refresh too.
            sent.note(|noted| noted.superseded = Some(true));
        } else if let Some(refresh_token) = self.record.refresh_token()
            && let Ok(Some(at)) = lock.begin_attempt(refresh_token).await
        {
            // The other process has not saved its response yet, or never will.
            sent.note(|noted| noted.sent_before_at_ms = Some(at));
        }
        outcome
    }

    /// Forgets the attempt, unless an earlier holder of the lock has sent the same token: that explains later refusals too.
    fn end_attempt(&self, sent_before_at_ms: Option<u64>) {
        if sent_before_at_ms.is_none() {
            self.lock.end_attempt();
        }
    }
}

fn unsaved(detail: &str) -> StoreError {
    StoreError::new("store", CredentialStoreTrouble::Unreadable, detail)
}

fn not_saved(access_token: Option<SecretString>, error: StoreError) -> RefreshOutcome {
    match access_token {
        Some(access_token) => RefreshOutcome::Token {
            access_token,
            not_saved: Some(error),
        },
        None => RefreshOutcome::Refused,
    }
}

/// The outcome of a refused refresh. A program that takes no lock may have refreshed first: if so, its token is stored
/// and can be used.
async fn after_refusal(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    record: &CredentialRecord,
) -> RefreshOutcome {
    match store.load(key).await {
        Ok(Some(newer)) if !newer.has_same_tokens(record) => match newer.access_token() {
            Some(token) => RefreshOutcome::Token {
                access_token: token.clone(),
                not_saved: None,
            },
            None => RefreshOutcome::Refused,
        },
        _ => RefreshOutcome::Refused,
    }
}

enum Prepared {
    Send(Box<(RecordLock, CredentialRecord, TokenRequest)>),
    Token(SecretString),
    NotSent,
}

async fn prepare(
    store: &dyn CredentialStore,
    request: &RefreshRequest,
) -> Result<Prepared, StoreError> {
    let lock = lock_within(store, &request.key, DEFAULT_LOCK_LIMIT).await?;
    let Some(record) = store.load(&request.key).await? else {
        return Ok(Prepared::NotSent);
    };
    let rejected = request.rejected.as_ref().map(ExposeSecret::expose_secret);
    if let Some(token) = record.access_token()
        && Some(token.expose_secret()) != rejected
    {
        return Ok(Prepared::Token(token.clone()));
    }
    let Some(token_request) = TokenRequest::new(&record, request) else {
        return Ok(Prepared::NotSent);
    };
    store.prove_writable(&request.key).await?;
    Ok(Prepared::Send(Box::new((lock, record, token_request))))
}

/// A refresh request to the token endpoint, and the forms in which it can be sent.
struct TokenRequest {
    endpoint: Url,
    /// The fields that every form has.
    fields: String,
    /// The scopes of the first request, and those of a second one if the authorization server refuses them.
    scopes: [Option<String>; 2],
    client: ClientAuthentication,
}

impl TokenRequest {
    /// Returns `None` if the refresh token may not be sent.
    fn new(record: &CredentialRecord, request: &RefreshRequest) -> Option<Self> {
        let refresh_token = record.refresh_token()?;
        let issuer = request.metadata.issuer.as_deref()?;
        if !same_issuer(record.issuer()?, issuer) {
            return None;
        }
        let endpoint = endpoint(&request.metadata.token_endpoint)?;
        let issuer = Url::parse(issuer).ok()?;
        if endpoint.scheme() != issuer.scheme() {
            return None;
        }
        let configured = request.client.as_ref();
        let client = ClientAuthentication::new(record, configured, &request.metadata, METHODS);
        let resource = resource(
            request.configured_resource.as_deref(),
            request.published_resource.as_deref(),
            &request.server,
        );
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token.expose_secret());
        if let Some(resource) = &resource {
            fields.append_pair("resource", resource);
        }
        Some(Self {
            endpoint,
            fields: fields.finish(),
            scopes: requested_scopes(record, request.scopes.as_deref(), &issuer),
            client,
        })
    }

    fn form(&self, scope: Option<&str>) -> String {
        let mut form = url::form_urlencoded::Serializer::new(self.fields.clone());
        if let Some(scope) = scope {
            form.append_pair("scope", scope);
        }
        form.finish()
    }
}

/// The hosts of Microsoft Entra ID. A refresh without `scope` grants a token for other scopes there, or is refused (AADSTS90009).
/// Source: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token>.
const ENTRA_HOSTS: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "ciamlogin.com",
];

/// The scopes of a refresh, and those of a second request if they are refused (RFC 6749, section 6).
///
/// Configured scopes are sent with the granted ones, so that the new token has no fewer scopes than the old one. Without
/// configured scopes, the request names none, which means the granted ones. Some authorization servers require them, and others
/// refuse them.
fn requested_scopes(
    record: &CredentialRecord,
    configured: Option<&[String]>,
    issuer: &Url,
) -> [Option<String>; 2] {
    let wanted = configured.unwrap_or_default();
    let granted = record.scopes().iter().take(MAX_SCOPES);
    let granted = granted.filter(|granted| !wanted.contains(granted));
    let scopes: Vec<&str> = wanted.iter().chain(granted).map(String::as_str).collect();
    let scopes = scopes.join(" ");
    let all = (configured.is_some() || !scopes.is_empty()).then_some(scopes);
    let is_entra = issuer.host_str().is_some_and(|host| {
        let mut hosts = ENTRA_HOSTS.iter();
        hosts.any(|known| {
            let subdomain = host.strip_suffix(known);
            subdomain.is_some_and(|name| name.is_empty() || name.ends_with('.'))
        })
    });
    match configured.is_some() || is_entra {
        true => [all, None],
        false => [None, all],
    }
}

/// The response to a refresh request. The log has the details.
enum Answer {
    Renewal(Renewal, SentRequest),
    /// The authorization server refused the request, so it has not replaced the refresh token.
    Refused(Option<SentRequest>),
    /// There is no response with a token, and the refresh token may have been replaced.
    None,
}

/// The changes that a response makes to the record.
struct Renewal {
    /// `None` if the response has only a refresh token that can be used. The record then keeps its access token and expiry, so that the
    /// next start refreshes with the new refresh token: the old one may no longer be valid.
    access_token: Option<SecretString>,
    changes: Map<String, Value>,
}

impl Renewal {
    /// Returns `None` if the reply has no token.
    fn of(reply: &Reply) -> Option<Self> {
        if let Ok(tokens) = reply.tokens() {
            return Some(Self {
                access_token: tokens.access_token().cloned(),
                changes: tokens.changes(),
            });
        }
        let refresh_token = reply.only_refresh_token()?;
        let refresh_token = Value::from(refresh_token.expose_secret());
        Some(Self {
            access_token: None,
            changes: Map::from_iter([("refresh_token".to_owned(), refresh_token)]),
        })
    }
}

/// Sends the request. If the authorization server refuses its form and not the refresh token, the request is sent again in another
/// one: with the secret of the client at another place, or with other scopes.
async fn exchange(
    guarded: &GuardedClient,
    request: TokenRequest,
    log: &RequestLog,
    sent_before_at_ms: Option<u64>,
) -> Result<Answer, BlockedRequest> {
    let client = &request.client;
    let mut places = client.places().iter().copied().peekable();
    let [first, other] = &request.scopes;
    let (mut scope, mut other) = (first, Some(other));
    let deadline = token_endpoint::reply_deadline(ANSWER_LIMIT);
    while let Some(&place) = places.peek() {
        let form = request.form(scope.as_deref());
        let post = client.request(guarded, request.endpoint.clone(), form, place);
        let Ok(post) = post else {
            return Ok(Answer::Refused(None));
        };
        let sending = token_endpoint::send(guarded, post, log, sent_before_at_ms, deadline);
        let reply = match sending.await {
            Ok(reply) => reply,
            Err(NoReply::Request(GuardedClientError::Blocked(blocked))) => return Err(blocked),
            Err(_) => return Ok(Answer::None),
        };
        if let Some(renewal) = Renewal::of(&reply) {
            return Ok(Answer::Renewal(renewal, reply.sent));
        }
        // A timeout, a rate limit or a failing proxy leaves the decision of the authorization server unknown.
        let status = reply.status;
        if !status.is_client_error() || matches!(status.as_u16(), 408 | 425 | 429) {
            return Ok(Answer::None);
        }
        let next_scope = other.filter(|other| *other != scope && refuses_scope(&reply, scope));
        let has_other_place = rejects_client(&reply) && places.len() > 1;
        if !has_other_place && next_scope.is_none() {
            return Ok(Answer::Refused(Some(reply.sent)));
        }
        if !token_endpoint::has_time(deadline) {
            // This refusal does not decide: it is not about the sign-in.
            reply.sent.note(|noted| {
                noted.status = None;
                noted.oauth_error = None;
                noted.oauth_error_description = None;
                noted.io = Some(IoTrouble::Timeout);
            });
            return Ok(Answer::None);
        }
        match next_scope.filter(|_| !has_other_place) {
            Some(next) => (scope, other) = (next, None),
            None => drop(places.next()),
        }
    }
    Ok(Answer::Refused(None))
}

/// Whether a refusal can be about the `scope` of the request (RFC 6749, section 5.2; RFC 8707, section 2): it is invalid, it does
/// not belong to the resource, or a parameter is missing.
fn refuses_scope(reply: &Reply, scope: &Option<String>) -> bool {
    match refusal::error_code(&reply.body).as_deref() {
        Some("invalid_scope") => true,
        Some("invalid_target") => scope.is_some(),
        Some("invalid_request") => scope.is_none(),
        _ => false,
    }
}

/// The changes that make a stored record readable for Codex, which loses every sign-in of a file with one record that it
/// cannot read. A new `expires_at` is among the granted fields.
fn repairs(record: &CredentialRecord) -> Map<String, Value> {
    let field = |name: &str| {
        let mut fields = record.fields();
        fields.find_map(|(known, json)| (known == name).then(|| json.expose_secret()))
    };
    let mut changes = Map::new();
    if let Some(json) = field("scopes")
        && serde_json::from_str::<Vec<String>>(json).is_err()
    {
        changes.insert("scopes".to_owned(), record.scopes().into());
    }
    if field("client_id") == Some("null") {
        changes.insert("client_id".to_owned(), "".into());
    }
    changes
}

/// Saves the changes of a response. Returns the access token to send, if there is one.
async fn save(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    record: &CredentialRecord,
    renewal: Renewal,
    sent: &SentRequest,
) -> Result<Option<SecretString>, StoreError> {
    let mut changes = repairs(record);
    changes.extend(renewal.changes);
    let mut expected = record.clone();
    let mut tries = 0;
    loop {
        tries += 1;
        // Apply the changes to the current record: another program may have changed unrelated fields.
        let replaced = match expected.with(&changes) {
            Ok(renewed) => store.replace(key, Some(&expected), Some(&renewed)).await,
            Err(error) => Err(unsaved(&error.to_string())),
        };
        let error = match replaced {
            Ok(ReplaceOutcome::Stored) => return Ok(renewal.access_token),
            // Another program has rewritten the same sign-in in its own format.
            Ok(ReplaceOutcome::Conflict(Some(newer))) if newer.has_same_tokens(record) => {
                expected = newer;
                unsaved("another program keeps changing the record")
            }
            // Another program has stored a sign-in without the lock, or after this one lost it. Keep that record and use its
            // token. It can also be the record of an earlier attempt to save that seemed to fail.
            Ok(ReplaceOutcome::Conflict(newer)) => {
                let is_ours = newer.as_ref().is_some_and(|newer| {
                    let ours = newer.with(&changes);
                    ours.is_ok_and(|ours| ours.has_same_tokens(newer))
                });
                if is_ours {
                    return Ok(renewal.access_token);
                }
                sent.note(|noted| noted.superseded = Some(true));
                let newer = newer.and_then(|newer| newer.access_token().cloned());
                return Ok(newer.or(renewal.access_token));
            }
            Err(error) => error,
        };
        if tries == SAVE_TRIES {
            return Err(error);
        }
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
