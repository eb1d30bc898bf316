//! The refresh transaction: at most one refresh for a record at a time, and no answer to one is ever lost by us.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup_core::{CredentialStoreTrouble, same_issuer};
use rmcp::transport::auth::AuthorizationMetadata;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::client_authentication::ClientAuthentication;
use crate::network::{Outside, OutsideError, Refused, RequestLog};
use crate::record::{CredentialKey, CredentialRecord};
use crate::store::{CredentialStore, RecordLock, Replaced, StoreError};
use crate::token_endpoint::{self, GrantedTokens, NoReply};

/// How long a refresh may take, 30 s in all: until its answer is there, and from then until it is saved. What is being saved
/// then is saved all the same.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
const SAVE_LIMIT: Duration = Duration::from_secs(10);
/// How often saving is tried, and the time between.
const SAVE_TRIES: usize = 10;
const SAVE_PAUSE: Duration = Duration::from_millis(500);

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
    /// The token endpoint is where none may be asked: nothing was sent.
    Misplaced(Refused),
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
    outside: Outside,
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
        let answer = exchange(&outside, request, &log);
        let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        let key = wanted.key;
        let refreshed = match answer.unwrap_or(Ok(None)) {
            Err(refused) => Refreshed::Misplaced(refused),
            Ok(None) => after_refusal(&*store, &key, &record).await,
            Ok(Some(tokens)) => {
                let access_token = tokens.access_token.clone();
                // It owns the lock: nobody may read the old record while the new one is on its way.
                let save = saving.spawn(async move {
                    let saved = save(&*store, &key, &record, tokens).await;
                    drop(lock);
                    saved
                });
                match tokio::time::timeout(SAVE_LIMIT, save).await {
                    Ok(Ok(saved)) => saved,
                    // Not the error itself: it quotes the panic.
                    Ok(Err(_)) => not_saved(access_token, unsaved("saving it broke off")),
                    Err(_) => not_saved(access_token, unsaved("saving it takes too long")),
                }
            }
        };
        // The start may have been given up.
        let _ = sender.send(refreshed);
    });
    receiver.await.unwrap_or(Refreshed::Refused)
}

fn unsaved(detail: &str) -> StoreError {
    StoreError::new("store", CredentialStoreTrouble::Unreadable, detail)
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
        let methods = "token_endpoint_auth_methods_supported";
        let client = ClientAuthentication::new(record, configured, &wanted.metadata, methods);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token.expose_secret())
            .append_pair("resource", &wanted.resource);
        if let Some(scopes) = &wanted.scopes {
            form.append_pair("scope", &scopes.join(" "));
        }
        client.add_to(&mut form);
        let basic = client.basic();
        let basic = basic.map(|(id, secret)| (id.to_owned(), SecretString::from(secret)));
        Some(Self {
            endpoint,
            form: form.finish(),
            basic,
        })
    }
}

/// Sends the request. `None` where no token came of it; how, stands in the log.
async fn exchange(
    outside: &Outside,
    request: TokenRequest,
    log: &RequestLog,
) -> Result<Option<GrantedTokens>, Refused> {
    let basic = request.basic.as_ref();
    let basic = basic.map(|(id, secret)| (id.as_str(), secret.expose_secret()));
    let Ok(post) = outside.form(request.endpoint, request.form, basic) else {
        return Ok(None);
    };
    match token_endpoint::ask(outside, post, log).await {
        Ok(reply) => Ok(reply.tokens()),
        Err(NoReply::Outside(OutsideError::Refused(refused))) => Err(refused),
        Err(_) => Ok(None),
    }
}

async fn save(
    store: &dyn CredentialStore,
    key: &CredentialKey,
    record: &CredentialRecord,
    tokens: GrantedTokens,
) -> Refreshed {
    let changes = tokens.changes();
    let mut expected = record.clone();
    let mut tries = 0;
    loop {
        tries += 1;
        // On top of what is there: another program may have changed what is no concern of ours.
        let replaced = match expected.with(&changes) {
            Ok(renewed) => store.replace(key, Some(&expected), Some(&renewed)).await,
            Err(error) => Err(unsaved(&error.to_string())),
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
                unsaved("another program keeps changing the record")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::MemoryStore;
    use crate::network::world::{World, answer, network};

    const SERVER: &str = "http://mcp.example/mcp";

    /// A server on the internet whose token has expired, and a refresh with this token endpoint.
    async fn refreshed(outside: Outside, endpoint: &str, log: &RequestLog) -> Refreshed {
        let record = CredentialRecord::from_json(&json!({
            "issuer": "https://auth.example", "client_id": "client-1", "access_token": "expired-token",
            "expires_at": 1, "refresh_token": "good-refresh",
        }));
        let record = record.unwrap();
        let key = CredentialKey::new("server", SERVER);
        let store = Arc::new(MemoryStore::default());
        store.replace(&key, None, Some(&record)).await.unwrap();
        let metadata = json!({
            "issuer": "https://auth.example", "token_endpoint": endpoint,
            "authorization_endpoint": "https://auth.example/authorize",
        });
        let wanted = Refresh {
            key: key.clone(),
            rejected: Some("expired-token".into()),
            resource: SERVER.to_owned(),
            metadata: serde_json::from_value(metadata).unwrap(),
            client: None,
            scopes: None,
        };
        let tasks = TaskTracker::new();
        let came_to = refresh(store.clone(), outside, wanted, log.clone(), &tasks).await;
        assert_eq!(store.load(&key).await.unwrap(), Some(record), "{endpoint}");
        // Nobody holds the lock any more.
        drop(store.lock(&key).await.unwrap());
        came_to
    }

    #[tokio::test]
    async fn a_refresh_token_does_not_follow_a_public_server_into_a_private_network() {
        let world = World::new(|_| answer(200, "", "{}"));
        let port = world.address.port();
        let network = network(vec![
            ("mcp.example", "1.1.1.1"),
            ("auth.example", "127.0.0.1"),
        ]);
        let outside = network.beyond(&SERVER.parse().unwrap()).await;
        for endpoint in [
            // What it resolves to shows only when it is connected to.
            format!("https://auth.example:{port}/token"),
            format!("https://127.0.0.1:{port}/token"),
            format!("https://localhost:{port}/token"),
            format!("https://[::ffff:127.0.0.1]:{port}/token"),
        ] {
            let log = RequestLog::default();
            match refreshed(outside.clone(), &endpoint, &log).await {
                Refreshed::Misplaced(refused) => {
                    assert_eq!(refused.url(), Url::parse(&endpoint).unwrap().as_str())
                }
                other => panic!("{endpoint}: {other:?}"),
            }
            assert!(log.is_empty(), "{endpoint}");
        }
        assert!(world.asked().is_empty());
    }
}
