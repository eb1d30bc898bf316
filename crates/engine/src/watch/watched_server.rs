//! One server of a watch: the task that starts it, waits after a failure, and restarts it.

use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use mcp_startup_auth::CredentialKey;
use mcp_startup_config::{ServerConfig, ServerEntry, TransportConfig};
use mcp_startup_core::{CredentialStoreTrouble, Recovery, StartupFailure};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Signals;
use super::backoff::{pause, random, retry_after};
use super::store_changes::{StoredRecordWatch, change, held_sign_in, watch_stores};
use crate::authorization::{self, credential_key};
use crate::event::Update;
use crate::run::Starts;
use crate::shared_context::milliseconds;
use crate::start::evidence_collector::EvidenceCollector;

/// Two changes of a stored record are unrelated if more time than this is between them.
const RELATED_CHANGES: Duration = Duration::from_secs(60 * 60);

/// Runs a watch: one task for each server, and one that watches the stored records of failed servers.
pub(super) async fn keep_starting_each(starts: Starts, servers: Vec<(ServerEntry, Signals)>) {
    let mut tasks = JoinSet::new();
    let (failed, watched) = mpsc::unbounded_channel();
    let (shared, cancellation) = (starts.shared.clone(), starts.cancellation.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = cancellation.cancelled() => {}
            () = watch_stores(&shared, watched) => {}
        }
    });
    for (entry, signals) in servers {
        let server = Watched {
            key: stored_key(&entry),
            entry,
            signals,
            failed: failed.clone(),
            starts: starts.clone(),
            transient: 0,
            changes: Changes::default(),
        };
        tasks.spawn(server.keep_starting());
    }
    starts.cancellation.cancelled().await;
    while tasks.join_next().await.is_some() {}
}

/// The key under which a start of this server reads the stores. `None` if it uses no stored sign-in.
fn stored_key(entry: &ServerEntry) -> Option<CredentialKey> {
    let config = entry.config.as_ref().ok()?;
    match &config.transport {
        TransportConfig::Http(http) if authorization::configured(http).is_none() => {
            Some(credential_key(config, http))
        }
        TransportConfig::Http(_) | TransportConfig::Stdio(_) => None,
    }
}

/// A server of a watch.
struct Watched {
    entry: ServerEntry,
    key: Option<CredentialKey>,
    signals: Signals,
    /// Receives the stored record of the server after a failure, to watch it for changes.
    failed: mpsc::UnboundedSender<Weak<StoredRecordWatch>>,
    starts: Starts,
    /// The number of temporary failures in a row.
    transient: u32,
    changes: Changes,
}

/// The changes of the stored record that have not fixed the server.
#[derive(Default)]
struct Changes {
    last: Option<Instant>,
    /// The number of changes that followed soon after another one.
    repeated: u32,
}

impl Changes {
    /// Records a change. Returns how long to wait before the restart; zero after the first change.
    fn pause(&mut self, now: Instant, random: f64) -> Duration {
        let before = self.last.replace(now);
        if before.is_none_or(|before| now - before > RELATED_CHANGES) {
            self.repeated = 0;
            return Duration::ZERO;
        }
        let pause = pause(self.repeated, random, None);
        self.repeated = self.repeated.saturating_add(1);
        pause
    }
}

/// The conditions that end the wait of a failed server.
struct Waiting {
    retried: Pin<Box<OwnedNotified>>,
    failure_is_read: Pin<Box<OwnedNotified>>,
    /// The time of the automatic restart.
    due: Option<Instant>,
    stored: Option<Arc<StoredRecordWatch>>,
}

impl Watched {
    /// Starts the server, one start after the other, until it is ready or the watch ends.
    async fn keep_starting(mut self) {
        loop {
            let starts = self.starts.clone();
            let entry = self.entry.clone();
            let mut waiting = None;
            let failed = |failure: &StartupFailure, collector: &EvidenceCollector| {
                let (conditions, update) = self.after_failure(failure, collector);
                waiting = Some(conditions);
                Some(update)
            };
            starts.start(&entry, failed).await;
            let Some(waiting) = waiting else {
                return;
            };
            if self.wait(waiting).await.is_none() {
                return;
            }
            self.read_held_sign_in().await;
        }
    }

    /// Reads the sign-in again that another client keeps for this server. That client may have refreshed its token.
    async fn read_held_sign_in(&mut self) {
        if let Ok(config) = &mut self.entry.config
            && config.held_sign_in_source.is_some()
        {
            config.held_sign_in = held_sign_in(config.clone()).await;
        }
    }

    /// Prepares the wait after a failure, before its event is sent, so that no signal is lost.
    fn after_failure(
        &mut self,
        failure: &StartupFailure,
        collector: &EvidenceCollector,
    ) -> (Waiting, Update) {
        let pause = match is_temporary(failure) {
            true => {
                let requested = retry_after(failure.evidence(), SystemTime::now());
                let pause = pause(self.transient, random(), requested);
                self.transient = self.transient.saturating_add(1);
                Some(pause)
            }
            false => {
                self.transient = 0;
                None
            }
        };
        let waiting = Waiting {
            retried: Box::pin(self.signals.retry.clone().notified_owned()),
            failure_is_read: Box::pin(self.signals.failure_is_read.clone().notified_owned()),
            due: pause.map(|pause| Instant::now() + pause),
            stored: self.key.clone().map(|key| {
                Arc::new(StoredRecordWatch {
                    key,
                    known: collector.known.clone(),
                    held: self.held_by_client(),
                    changed: Notify::new(),
                })
            }),
        };
        if let Some(stored) = &waiting.stored {
            let _ = self.failed.send(Arc::downgrade(stored));
        }
        (waiting, self.update(pause))
    }

    /// The server, if another client keeps sign-ins for it.
    fn held_by_client(&self) -> Option<ServerConfig> {
        let config = self.entry.config.as_ref().ok()?;
        config.held_sign_in_source.as_ref().map(|_| config.clone())
    }

    fn update(&self, pause: Option<Duration>) -> Update {
        Update::Waiting {
            name: self.entry.name.clone(),
            retry_in_ms: pause.map(milliseconds),
        }
    }

    /// Waits until the server must be restarted. Returns `None` if the watch ends before.
    async fn wait(&mut self, mut waiting: Waiting) -> Option<()> {
        let starts = self.starts.clone();
        let mut ended = pin!(starts.cancellation.cancelled());
        loop {
            tokio::select! {
                () = &mut ended => return None,
                () = &mut waiting.retried => break,
                () = until(waiting.due) => break,
                () = change(waiting.stored.as_deref()) => {
                    waiting.stored = None;
                    let now = Instant::now();
                    let pause = self.changes.pause(now, random());
                    if pause.is_zero() {
                        break;
                    }
                    let due = now + pause;
                    if waiting.due.is_none_or(|before| due < before) {
                        waiting.due = Some(due);
                        starts.send(self.update(Some(pause)), None);
                    }
                }
            }
        }
        tokio::select! {
            () = &mut ended => None,
            // A host that does not read its events must not accumulate more of them.
            () = &mut waiting.failure_is_read => Some(()),
        }
    }
}

/// Whether a later start may succeed without the user. Another program may use the store, or its disk may be full.
fn is_temporary(failure: &StartupFailure) -> bool {
    let trouble = failure.evidence().store.as_ref();
    let trouble = trouble.and_then(|store| store.trouble.as_ref());
    match failure.recovery() {
        Recovery::Retry => true,
        Recovery::FixCredentialStore => matches!(
            trouble,
            Some(CredentialStoreTrouble::InUse | CredentialStoreTrouble::Unreadable)
        ),
        _ => false,
    }
}

/// Waits until that moment; forever if there is none.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_restarts_immediately_and_later_ones_wait() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let seconds = Duration::from_secs;
        let mut now = Instant::now();
        let mut changes = Changes::default();
        for (later, expected) in [
            (minutes(0), seconds(0)),
            (minutes(1), seconds(1)),
            (minutes(1), seconds(2)),
            (minutes(59), seconds(4)),
            // This change is unrelated to the earlier ones.
            (minutes(61), seconds(0)),
            (minutes(0), seconds(1)),
        ] {
            now += later;
            assert_eq!(changes.pause(now, 1.0), expected, "{later:?} later");
        }
    }
}
