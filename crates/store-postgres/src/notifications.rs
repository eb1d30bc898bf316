//! Notices sign-ins on other hosts: `LISTEN` on a connection of its own, and reads once a second while that does not work.

use std::convert::Infallible;
use std::time::Duration;

use futures::stream;
use mcp_startup_auth::ChangeStream;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_postgres::types::Type;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::database::{Database, Parameter};
use crate::encryption::random_uuid;

/// The channel of the notifications.
pub(crate) const CHANNEL: &str = "mcp_startup";
/// How often records are read while notifications do not arrive.
const POLL: Duration = Duration::from_secs(1);
/// How often records are read while they arrive.
const SLOW_POLL: Duration = Duration::from_secs(30);
/// How often it is checked that they arrive.
const CHECK: Duration = Duration::from_secs(30);
/// How long a notification may take.
const DELIVERY_LIMIT: Duration = Duration::from_secs(4);
const RETRY: Duration = Duration::from_secs(10);
/// Several notifications in this time are one change.
const GATHER: Duration = Duration::from_millis(20);
/// If a watch is further behind, it reads its records.
const CAPACITY: usize = 256;
/// How the notifications begin with which a host checks that they arrive.
const CHECK_PREFIX: &str = "check ";

/// The notifications of a database. Dropping it ends its connection.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Whether notifications arrive.
    is_live: watch::Receiver<bool>,
    payloads: broadcast::Sender<String>,
    _end: DropGuard,
}

impl Listener {
    /// Must be called inside a Tokio runtime.
    pub fn start(database: Database) -> Self {
        let (live, is_live) = watch::channel(false);
        let (payloads, _) = broadcast::channel(CAPACITY);
        let end = CancellationToken::new();
        let listening = listen(database, live, payloads.clone());
        tokio::spawn(end.clone().run_until_cancelled_owned(listening));
        Self {
            is_live,
            payloads,
            _end: end.drop_guard(),
        }
    }

    /// Yields when a record of the user with this notification may have changed.
    pub fn changes(&self, user: String) -> ChangeStream {
        let state = (self.is_live.clone(), self.payloads.subscribe(), user);
        Box::pin(stream::unfold(state, async |mut state| {
            let (is_live, payloads, user) = &mut state;
            wait(is_live, payloads, user).await;
            Some(((), state))
        }))
    }
}

/// Waits until records must be read.
async fn wait(
    is_live: &mut watch::Receiver<bool>,
    payloads: &mut broadcast::Receiver<String>,
    user: &str,
) {
    // The connection was cut or restored between two waits.
    if is_live.has_changed().unwrap_or(false) {
        is_live.mark_unchanged();
        return;
    }
    let pause = match *is_live.borrow() {
        true => SLOW_POLL,
        false => POLL,
    };
    let next = Instant::now() + pause;
    loop {
        tokio::select! {
            () = sleep_until(next) => return,
            // Notifications may have been missed before.
            changed = is_live.changed() => match changed {
                Ok(()) => return,
                // The listener has ended.
                Err(_) => return sleep_until(next.min(Instant::now() + POLL)).await,
            },
            payload = payloads.recv() => match payload {
                Ok(payload) if payload != user => {}
                Err(broadcast::error::RecvError::Closed) => return sleep_until(next).await,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    sleep(GATHER).await;
                    *payloads = payloads.resubscribe();
                    return;
                }
            },
        }
    }
}

/// Listens until it is cancelled, with a new connection after each fault.
async fn listen(
    database: Database,
    live: watch::Sender<bool>,
    payloads: broadcast::Sender<String>,
) {
    loop {
        let Err(why) = forward(&database, &live, &payloads).await;
        live.send_if_modified(std::mem::take);
        tracing::debug!(
            why,
            "the database delivers no notifications; records are read once a second"
        );
        sleep(RETRY).await;
    }
}

/// Forwards notifications until they no longer arrive. That is so from the beginning behind PgBouncer in transaction mode.
async fn forward(
    database: &Database,
    live: &watch::Sender<bool>,
    payloads: &broadcast::Sender<String>,
) -> Result<Infallible, String> {
    let connected = database.listen(CHANNEL).await;
    let mut notifications = connected.map_err(|error| error.detail)?;
    let ended = || "the connection ended".to_owned();
    loop {
        let check = random_uuid().map_err(|error| error.detail)?;
        let check = format!("{CHECK_PREFIX}{check}");
        let parameters: [Parameter<'_>; 2] = [(&CHANNEL, Type::TEXT), (&check, Type::TEXT)];
        let sent = database
            .query("select pg_notify($1, $2)", &parameters)
            .await;
        sent.map_err(|error| error.detail)?;
        let limit = Instant::now() + DELIVERY_LIMIT;
        loop {
            let received = timeout_at(limit, notifications.next()).await;
            let late = |_| "a notification did not arrive".to_owned();
            let payload = received.map_err(late)?.ok_or_else(ended)?;
            if payload == check {
                break;
            }
            // Without a watch there is no receiver.
            let _ = payloads.send(payload);
        }
        live.send_if_modified(|live| !std::mem::replace(live, true));
        let next = Instant::now() + CHECK;
        while let Ok(received) = timeout_at(next, notifications.next()).await {
            let payload = received.ok_or_else(ended)?;
            if !payload.starts_with(CHECK_PREFIX) {
                let _ = payloads.send(payload);
            }
        }
    }
}
