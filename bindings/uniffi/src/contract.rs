//! Reading and writing the contract, and following it.
//!
//! Bytes are lent, as `&[u8]`: UniFFI would copy a `Vec<u8>` three times from Swift and twice from Kotlin. And what is read goes back as
//! objects: as JSON it would be written and parsed once more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{self as core, McpServerStatusUpdatedNotification};
use mcp_startup_host::{answer, contract};

/// A notification that was read: its fields as the texts of the wire.
#[derive(uniffi::Record)]
struct Said {
    thread_id: Option<String>,
    name: String,
    status: String,
    error: Option<String>,
    failure_reason: Option<String>,
}

impl From<&McpServerStatusUpdatedNotification> for Said {
    fn from(said: &McpServerStatusUpdatedNotification) -> Self {
        Self {
            thread_id: said.thread_id().map(str::to_owned),
            name: said.name().to_owned(),
            status: said.status().as_str().to_owned(),
            error: said.error().map(str::to_owned),
            failure_reason: said
                .failure_reason()
                .map(|reason| reason.as_str().to_owned()),
        }
    }
}

/// What one line is: neither for a message of another method and for a blank line.
#[derive(uniffi::Record)]
struct ReadLine {
    notification: Option<Said>,
    /// The answer that is an error.
    error: Option<String>,
}

/// What many lines are.
#[derive(uniffi::Record)]
struct ReadLines {
    notifications: Vec<Said>,
    /// The answer with the bad lines.
    errors: String,
}

/// One line.
#[uniffi::export]
fn decode(line: &[u8]) -> ReadLine {
    match core::decode(line) {
        Ok(said) => ReadLine {
            notification: said.as_ref().map(Said::from),
            error: None,
        },
        Err(error) => ReadLine {
            notification: None,
            error: Some(answer::<()>(Err(error.into()))),
        },
    }
}

/// The bytes of many lines.
#[uniffi::export]
fn decode_lines(lines: &[u8]) -> ReadLines {
    let read = core::decode_lines(lines);
    ReadLines {
        notifications: read.notifications.iter().map(Said::from).collect(),
        errors: answer(Ok(contract::bad_lines(read.errors))),
    }
}

/// The line of a notification with these params.
#[uniffi::export]
fn encode(params: String) -> String {
    answer(contract::encode(&params))
}

/// The tracker. Any thread may use it.
#[derive(uniffi::Object)]
struct Tracker(Mutex<core::StartupTracker>);

impl Tracker {
    fn lock(&self) -> MutexGuard<'_, core::StartupTracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[uniffi::export]
impl Tracker {
    /// One that holds at most `limit` servers.
    #[uniffi::constructor]
    fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(match limit {
            Some(limit) => {
                core::StartupTracker::with_limit(usize::try_from(limit).unwrap_or(usize::MAX))
            }
            None => core::StartupTracker::default(),
        })))
    }

    /// Takes the bytes of whole lines.
    fn apply_lines(&self, lines: &[u8]) -> String {
        let applied = self.lock().apply_lines(lines);
        answer(Ok(contract::Applied::from(applied)))
    }

    /// Takes one notification, as its params.
    fn apply(&self, params: String) -> String {
        let notification = contract::notification(&params);
        answer(notification.map(|notification| self.lock().apply(&notification)))
    }

    /// Every server, in the order in which they were first heard of.
    fn servers(&self) -> String {
        answer(Ok(self.lock().servers()))
    }

    /// One server, or null.
    fn server(&self, thread_id: Option<String>, name: String) -> String {
        answer(Ok(self.lock().server(thread_id.as_deref(), &name)))
    }

    /// The names of the servers that want a sign-in again, in the order in which that began.
    fn reauthentication_required(&self) -> Vec<String> {
        let tracker = self.lock();
        let names = tracker.reauthentication_required().into_iter();
        names.map(str::to_owned).collect()
    }

    /// Forgets the servers of one thread, and says how many there were.
    fn remove(&self, thread_id: String) -> u64 {
        self.lock().remove(&thread_id) as u64
    }
}
