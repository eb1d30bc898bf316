//! The actors: the real refresh, sign-out and sign-in, with a store and an authorization server that wait for the explorer.

use std::sync::Arc;
use std::time::Duration;

use mcp_startup_auth::network::GuardedClient;
use mcp_startup_auth::{
    CredentialKey, CredentialRecord, CredentialStore, CredentialStores, Lease, RecordLock,
    RefreshOutcome, RefreshRequest, ReplaceOutcome, RequestLog, Revocation, StoreError,
    StoreFuture, refresh, revoke, revoke_replaced,
};
use mcp_startup_core::{RequestEvidence, RequestTarget};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::TaskTracker;

use crate::records::{key, tokens};
use crate::steps::{Operation, Reply};
use crate::world::World;

/// Longer than any run. [`crate::steps::Choice::GiveUpLock`] is the end of the wait.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// The task of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A server has refused the token `access-0`, and the start refreshes it.
    Refresh,
    SignOut(SignOutOrder),
    SignIn,
    /// A sign-in of a program that knows no lock.
    ForeignSignIn,
    /// A later start: it uses the stored token, and refreshes it if the server refuses it.
    Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOutOrder {
    /// The order of the engine: lock, read, revoke, remove, unlock. The test `sign_out_steps` of the engine checks that it takes
    /// these steps.
    LockFirst,
    /// The order of earlier versions: read, revoke, then remove under the lock.
    RevokeFirst,
}

/// The result of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Token {
        token: String,
        is_saved: bool,
    },
    Refused(Trace),
    NotSent,
    StoreFailed,
    SignedOut {
        was_stored: bool,
        revocation: Revocation,
    },
    SignedIn,
}

/// The evidence of the last token request in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Its response is `invalid_grant`: the sign-in has ended, and the verdict asks for a new one.
    InvalidGrant,
    /// Its response is `invalid_grant`, and another process had sent the same refresh token before.
    SentBefore,
    /// It has no response.
    NoResponse,
    Other,
}

/// The store of one actor.
#[derive(Clone)]
pub struct ActorStore {
    pub world: Arc<World>,
    pub actor: usize,
}

impl std::fmt::Debug for ActorStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store of actor {}", self.actor)
    }
}

struct Guard(ActorStore);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.world.unlock(self.0.actor);
    }
}

struct HeldLease(Guard);

impl Lease for HeldLease {
    fn is_held_for(&self, _time: Duration) -> bool {
        let store = &self.0.0;
        store.world.lock().holds_lease(store.actor)
    }

    fn begin_attempt<'a>(
        &'a self,
        refresh_token: &'a SecretString,
    ) -> StoreFuture<'a, Option<u64>> {
        let store = &self.0.0;
        Box::pin(async move {
            let token = refresh_token.expose_secret().to_owned();
            match store.execute(Operation::BeginAttempt(token)).await {
                Reply::Begun(was_sent) => Ok(was_sent.then_some(1)),
                Reply::LockLost => Err(StoreError::lock_lost(store.name())),
                other => panic!("{other:?}"),
            }
        })
    }

    fn end_attempt(&self) {
        let store = &self.0.0;
        store.world.lock().end_attempt(store.actor);
    }
}

impl ActorStore {
    async fn execute(&self, operation: Operation) -> Reply {
        self.world.execute(self.actor, operation).await
    }
}

impl CredentialStore for ActorStore {
    fn load<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, Option<CredentialRecord>> {
        assert_eq!(key, crate::records::key());
        Box::pin(async {
            match self.execute(Operation::Load).await {
                Reply::Loaded(record) => Ok(record),
                other => panic!("{other:?}"),
            }
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a CredentialKey,
        expected: Option<&'a CredentialRecord>,
        new: Option<&'a CredentialRecord>,
    ) -> StoreFuture<'a, ReplaceOutcome> {
        assert_eq!(key, crate::records::key());
        Box::pin(async move {
            let (expected, new) = (expected.cloned(), new.cloned());
            match self.execute(Operation::Replace { expected, new }).await {
                Reply::Replaced(outcome) => Ok(outcome),
                other => panic!("{other:?}"),
            }
        })
    }

    fn lock<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, RecordLock> {
        assert_eq!(key, crate::records::key());
        Box::pin(async {
            match self.execute(Operation::Lock).await {
                Reply::Done if self.world.lock().has_leases() => {
                    Ok(RecordLock::leased(HeldLease(Guard(self.clone()))))
                }
                Reply::Done => Ok(RecordLock::new(Guard(self.clone()))),
                Reply::InUse => Err(StoreError::in_use(self.name(), None)),
                other => panic!("{other:?}"),
            }
        })
    }

    fn prove_writable<'a>(&'a self, key: &'a CredentialKey) -> StoreFuture<'a, ()> {
        assert_eq!(key, crate::records::key());
        Box::pin(async {
            self.execute(Operation::ProveWritable).await;
            Ok(())
        })
    }
}

/// An actor and its connections.
pub struct Running {
    pub store: ActorStore,
    pub guarded: GuardedClient,
    pub run: u64,
    pub tasks: TaskTracker,
}

impl Running {
    pub async fn perform(self, task: Task) {
        let outcome = match task {
            Task::Refresh => self.refresh("access-0").await,
            Task::SignOut(order) => match self.sign_out(order).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::StoreFailed,
            },
            Task::SignIn => match self.sign_in().await {
                Ok(()) => Outcome::SignedIn,
                Err(_) => Outcome::StoreFailed,
            },
            Task::ForeignSignIn => self.sign_in_without_lock().await,
            Task::Start => self.start().await,
        };
        self.store.world.end(self.store.actor, outcome);
    }

    fn stores(&self) -> CredentialStores {
        CredentialStores::from_store(Arc::new(self.store.clone()))
    }

    async fn refresh(&self, rejected: &str) -> Outcome {
        let metadata = crate::http::metadata(self.run, self.store.actor);
        let request = RefreshRequest {
            key: key().clone(),
            rejected: Some(rejected.into()),
            server: "http://127.0.0.1/mcp".parse().unwrap(),
            configured_resource: None,
            published_resource: None,
            metadata: serde_json::from_value(metadata).unwrap(),
            client: None,
            scopes: None,
        };
        let log = RequestLog::default();
        let (store, guarded) = (Arc::new(self.store.clone()), self.guarded.clone());
        let outcome = refresh(store, guarded, request, log.clone(), &self.tasks).await;
        let sent = log.last(RequestTarget::Token);
        let explains = |sent: RequestEvidence| {
            sent.superseded == Some(true) || sent.sent_before_at_ms.is_some()
        };
        if sent.is_some_and(explains) {
            self.store.world.lock().ghosts.is_shown = true;
        }
        match outcome {
            RefreshOutcome::Token {
                access_token,
                not_saved,
            } => Outcome::Token {
                token: access_token.expose_secret().to_owned(),
                is_saved: not_saved.is_none(),
            },
            RefreshOutcome::NotSent => Outcome::NotSent,
            RefreshOutcome::StoreFailed(_) => Outcome::StoreFailed,
            RefreshOutcome::Refused => Outcome::Refused(trace(&log)),
            RefreshOutcome::Blocked(blocked) => panic!("{blocked}"),
        }
    }

    async fn sign_out(&self, order: SignOutOrder) -> Result<Outcome, StoreError> {
        let (stores, key) = (self.stores(), key());
        let log = RequestLog::default();
        let revoked =
            async |record: &CredentialRecord| revoke(&self.guarded, record, None, &log).await;
        let mut revocations = Vec::new();
        let was_stored = match order {
            SignOutOrder::LockFirst if stores.find(key).await?.is_none() => {
                stores.remove(key).await?
            }
            SignOutOrder::LockFirst => {
                let locked = stores.lock(key, LOCK_LIMIT).await?;
                if let Some(found) = locked.find().await? {
                    found.store.prove_writable(key).await?;
                }
                let mut was_stored = false;
                while let Some(found) = locked.find().await? {
                    was_stored = true;
                    revocations.push(revoked(&found.record).await);
                    found.store.replace(key, Some(&found.record), None).await?;
                }
                was_stored
            }
            SignOutOrder::RevokeFirst => {
                if let Some(found) = stores.find(key).await? {
                    revocations.push(revoked(&found.record).await);
                }
                stores.remove(key).await?
            }
        };
        let worst = [Revocation::Failed, Revocation::Revoked];
        let mut worst = worst.into_iter().filter(|one| revocations.contains(one));
        Ok(Outcome::SignedOut {
            was_stored,
            revocation: worst.next().unwrap_or(Revocation::NotOffered),
        })
    }

    async fn sign_in(&self) -> Result<(), StoreError> {
        let (stores, key) = (self.stores(), key());
        let locked = stores.lock(key, LOCK_LIMIT).await?;
        stores.prove_writable(key).await?;
        let earlier = locked.stored().await;
        match self.store.execute(Operation::ExchangeCode).await {
            Reply::Granted(record) => {
                let mut replaced = locked.save(&record).await?;
                replaced.retain(|record| earlier.contains(record));
                revoke_replaced(&self.guarded, &locked, &record, &replaced, LOCK_LIMIT).await;
                Ok(())
            }
            other => panic!("{other:?}"),
        }
    }

    async fn sign_in_without_lock(&self) -> Outcome {
        match self.store.execute(Operation::ExchangeCode).await {
            Reply::Granted(record) => self.store.execute(Operation::Overwrite(record)).await,
            other => panic!("{other:?}"),
        };
        Outcome::SignedIn
    }

    async fn start(&self) -> Outcome {
        let Ok(found) = self.stores().find(key()).await else {
            return Outcome::StoreFailed;
        };
        let Some(found) = found else {
            return Outcome::NotSent;
        };
        let (token, _) = tokens(&found.record);
        match self.store.execute(Operation::UseToken(token.clone())).await {
            Reply::Accepted(true) => Outcome::Token {
                token,
                is_saved: true,
            },
            _ => self.refresh(&token).await,
        }
    }
}

fn trace(log: &RequestLog) -> Trace {
    match log.last(RequestTarget::Token) {
        Some(sent) if sent.oauth_error.as_deref() == Some("invalid_grant") => {
            match sent.sent_before_at_ms {
                Some(_) => Trace::SentBefore,
                None => Trace::InvalidGrant,
            }
        }
        Some(sent) if sent.status.is_none() && sent.io.is_some() => Trace::NoResponse,
        _ => Trace::Other,
    }
}
