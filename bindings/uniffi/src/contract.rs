//! Reading and writing the contract, and following it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_core::{self as core};
use mcp_startup_host::{HostError, answer, contract};

/// One line: the notification's params, or null for a message of another method or a blank line.
#[uniffi::export]
fn decode(line: Vec<u8>) -> String {
    answer(core::decode(&line).map_err(HostError::from))
}

/// The bytes of many lines.
#[uniffi::export]
fn decode_lines(lines: Vec<u8>) -> String {
    answer(Ok(contract::Decoded::from(core::decode_lines(&lines))))
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
    fn apply_lines(&self, lines: Vec<u8>) -> String {
        let applied = self.lock().apply_lines(&lines);
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
