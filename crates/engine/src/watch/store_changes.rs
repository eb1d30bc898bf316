//! Notices when the stored credentials of a failed server change, in our stores or in the store of another client.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mcp_startup_auth::{ChangeStream, CredentialKey, CredentialStores, now_ms};
use mcp_startup_config::{HeldSignIn, ServerConfig};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::backoff::pause;
use super::watched_server::until;
use crate::authorization::ObservedRecord;
use crate::shared_context::SharedContext;

/// How long after a failure its record is read, and how often the sign-in in another client's store is.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The stored record of a failed server, watched for changes.
pub(super) struct StoredRecordWatch {
    pub key: CredentialKey,
    /// The record as the failed start has seen it.
    pub known: Arc<ObservedRecord>,
    /// The server as the failed start has seen it, if another client keeps sign-ins for it.
    pub held: Option<ServerConfig>,
    /// Notified when the stored record differs from it, or when the other client has another valid sign-in.
    pub changed: Notify,
}

/// Waits until the stored record changes; forever if there is none to watch.
pub(super) async fn change(stored: Option<&StoredRecordWatch>) {
    match stored {
        Some(stored) => stored.changed.notified().await,
        None => std::future::pending().await,
    }
}

/// Reads the record of each failed server when the stores may have changed, and reports changes. A server is removed when its
/// `StoredRecordWatch` is dropped.
pub(super) async fn watch_stores(
    shared: &SharedContext,
    mut failed: mpsc::UnboundedReceiver<Weak<StoredRecordWatch>>,
) {
    struct Watched {
        record: Weak<StoredRecordWatch>,
        /// The number of errors in a row.
        errors: u32,
        /// The time of the next read, whether or not the stores have changed.
        due: Option<Instant>,
    }
    // The record may have changed before the start failed.
    let watched = |record| Watched {
        record,
        errors: 0,
        due: Some(Instant::now() + CHECK_INTERVAL),
    };
    let mut all: Vec<Watched> = Vec::new();
    let mut changes = None;
    loop {
        // Without a failed server there is no record to watch.
        if all.is_empty() {
            let Some(record) = failed.recv().await else {
                return;
            };
            all.push(watched(record));
        }
        let changes = changes.get_or_insert_with(|| stored_changes(shared));
        let due = all.iter().filter_map(|one| one.due).min();
        tokio::select! {
            Some(()) = changes.next() => {}
            () = until(due) => {}
            Some(record) = failed.recv() => {
                all.push(watched(record));
                continue;
            }
        }
        all.retain(|one| one.record.strong_count() > 0);
        let now = Instant::now();
        for one in &mut all {
            let Some(record) = one.record.upgrade() else {
                continue;
            };
            if one.errors > 0 && one.due.is_some_and(|due| due > now) {
                continue;
            }
            match has_changed(shared.stores.as_ref(), &record).await {
                Some(changed) => {
                    one.errors = 0;
                    // The store of another client can't be noticed.
                    one.due = record.held.as_ref().map(|_| now + CHECK_INTERVAL);
                    if changed {
                        record.changed.notify_one();
                    }
                }
                // A locked keyring may prompt its user at each read, so the reads become less frequent.
                None => {
                    one.errors += 1;
                    one.due = Some(Instant::now() + pause(one.errors, 1.0, None));
                }
            }
        }
    }
}

/// Yields when a stored record may have changed.
fn stored_changes(shared: &SharedContext) -> ChangeStream {
    match &shared.stores {
        Some(stores) => stores.changes(),
        None => Box::pin(futures::stream::pending()),
    }
}

/// Whether the stored record differs from the one that the start has seen. `None` if the store can't be read.
async fn has_changed(
    stores: Option<&CredentialStores>,
    watched: &StoredRecordWatch,
) -> Option<bool> {
    if let Some(server) = &watched.held
        && has_new_held_sign_in(server).await
    {
        return Some(true);
    }
    let Some(stores) = stores else {
        return Some(false);
    };
    // If a store of the host panics, the other records must still be watched.
    let finding = AssertUnwindSafe(stores.find(&watched.key)).catch_unwind();
    let found = finding.await.ok()?.ok()?;
    Some(
        watched
            .known
            .is_news(found.as_ref().map(|found| &found.record)),
    )
}

/// Whether the client that keeps sign-ins for the server now has a valid one with another token.
async fn has_new_held_sign_in(server: &ServerConfig) -> bool {
    let known = server.held_sign_in.as_ref();
    let known = known.and_then(|held| held.access_token.as_ref());
    let found = held_sign_in(server.clone()).await;
    let found = found.and_then(|held| held.access_token);
    match (known, found) {
        (Some(known), Some(found)) => known.expose_secret() != found.expose_secret(),
        (None, found) => found.is_some(),
        (Some(_), None) => false,
    }
}

/// Reads the sign-in again that another client keeps for the server, on a thread for blocking work.
pub(super) async fn held_sign_in(server: ServerConfig) -> Option<HeldSignIn> {
    let reading = tokio::task::spawn_blocking(move || {
        let source = server.held_sign_in_source.as_ref()?;
        source.read(&server, now_ms())
    });
    reading.await.ok().flatten()
}
