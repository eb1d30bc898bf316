//! The decoder, the encoder and the tracker.
//!
//! Arguments with bytes are `&[u8]`, because UniFFI would copy a `Vec<u8>` three times from Swift and twice from Kotlin. Decoded
//! notifications are returned as records, because JSON would have to be written and parsed once more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{self as core, McpServerStatusUpdatedNotification};
use mcp_startup_host::{answer, contract};

/// The fields of a notification. `status` and `failure_reason` have the text of the wire.
#[derive(uniffi::Record)]
struct NotificationFields {
    thread_id: Option<String>,
    name: String,
    environment_id: Option<String>,
    /// Whether the line had an environment, also if it was null.
    has_environment_id: bool,
    status: String,
    error: Option<String>,
    failure_reason: Option<String>,
}

impl From<&McpServerStatusUpdatedNotification> for NotificationFields {
    fn from(notification: &McpServerStatusUpdatedNotification) -> Self {
        Self {
            thread_id: notification.thread_id().map(str::to_owned),
            name: notification.name().to_owned(),
            environment_id: notification.environment_id().map(str::to_owned),
            has_environment_id: notification.has_environment_id(),
            status: notification.status().as_str().to_owned(),
            error: notification.error().map(str::to_owned),
            failure_reason: notification
                .failure_reason()
                .map(|reason| reason.as_str().to_owned()),
        }
    }
}

/// The result of decoding one line. Both fields are absent for a blank line and for a message of another method.
#[derive(uniffi::Record)]
struct ReadLine {
    notification: Option<NotificationFields>,
    /// The error, as an answer.
    error: Option<String>,
}

/// The result of decoding many lines.
#[derive(uniffi::Record)]
struct ReadLines {
    notifications: Vec<NotificationFields>,
    /// The bad lines, as an answer.
    errors: String,
}

/// Decodes one line.
#[uniffi::export]
fn decode(line: &[u8]) -> ReadLine {
    match core::decode(line) {
        Ok(notification) => ReadLine {
            notification: notification.as_ref().map(NotificationFields::from),
            error: None,
        },
        Err(error) => ReadLine {
            notification: None,
            error: Some(answer::<()>(Err(error.into()))),
        },
    }
}

/// Decodes the bytes of many lines.
#[uniffi::export]
fn decode_lines(lines: &[u8]) -> ReadLines {
    let read = core::decode_lines(lines);
    ReadLines {
        notifications: read
            .notifications
            .iter()
            .map(NotificationFields::from)
            .collect(),
        errors: answer(Ok(contract::bad_lines(read.errors))),
    }
}

/// Encodes a notification as one line. `params` is its params as JSON.
#[uniffi::export]
fn encode(params: String) -> String {
    answer(contract::encode(&params))
}

/// The tracker. Every thread may use it.
#[derive(uniffi::Object)]
struct Tracker(Mutex<core::StartupTracker>);

impl Tracker {
    fn lock(&self) -> MutexGuard<'_, core::StartupTracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[uniffi::export]
impl Tracker {
    /// Creates a tracker that keeps at most `limit` servers.
    #[uniffi::constructor]
    fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(match limit {
            Some(limit) => {
                core::StartupTracker::with_limit(usize::try_from(limit).unwrap_or(usize::MAX))
            }
            None => core::StartupTracker::default(),
        })))
    }

    /// Applies the bytes of complete lines.
    fn apply_lines(&self, lines: &[u8]) -> String {
        let applied = self.lock().apply_lines(lines);
        answer(Ok(contract::Applied::from(applied)))
    }

    /// Applies one notification. `params` is its params as JSON.
    fn apply(&self, params: String) -> String {
        let notification = contract::received(&params);
        answer(notification.map(|notification| self.lock().apply(&notification)))
    }

    /// Returns every server, in the order of its first notification.
    fn servers(&self) -> String {
        answer(Ok(self.lock().servers()))
    }

    /// Returns one server, or null.
    fn server(
        &self,
        thread_id: Option<String>,
        environment_id: Option<String>,
        name: String,
    ) -> String {
        let tracker = self.lock();
        answer(Ok(tracker.server(
            thread_id.as_deref(),
            environment_id.as_deref(),
            &name,
        )))
    }

    /// Returns the servers that require the user to sign in again, in the order in which they began to.
    fn reauthentication_required(&self) -> String {
        answer(Ok(self.lock().reauthentication_required()))
    }

    /// Removes the servers of one thread, and returns their number.
    fn remove(&self, thread_id: String) -> u64 {
        self.lock().remove(&thread_id) as u64
    }
}
