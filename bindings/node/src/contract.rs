//! Reading and writing the contract, and following it.

use mcp_startup_core as core;
use mcp_startup_host::{HostError, answer, contract};
use napi_derive::napi;

/// One line: the notification's params, or null for a message of another method or a blank line.
#[napi]
pub fn decode(line: &[u8]) -> String {
    answer(core::decode(line).map_err(HostError::from))
}

/// The bytes of many lines.
#[napi]
pub fn decode_lines(lines: &[u8]) -> String {
    answer(Ok(contract::Decoded::from(core::decode_lines(lines))))
}

/// The line of a notification with these params.
#[napi]
pub fn encode(params: String) -> String {
    answer(contract::encode(&params))
}

/// The tracker.
#[napi]
pub struct Tracker(core::StartupTracker);

#[napi]
impl Tracker {
    /// One that holds at most `limit` servers.
    #[napi(constructor)]
    pub fn new(limit: Option<f64>) -> Self {
        Self(match limit {
            // A float to the nearest of usize: what is less than one holds the one that is the least.
            Some(limit) => core::StartupTracker::with_limit(limit as usize),
            None => core::StartupTracker::default(),
        })
    }

    /// Takes the bytes of whole lines.
    #[napi]
    pub fn apply_lines(&mut self, lines: &[u8]) -> String {
        answer(Ok(contract::Applied::from(self.0.apply_lines(lines))))
    }

    /// Takes one notification, as its params.
    #[napi]
    pub fn apply(&mut self, params: String) -> String {
        let notification = contract::notification(&params);
        answer(notification.map(|notification| self.0.apply(&notification)))
    }

    /// Every server, in the order in which they were first heard of.
    #[napi]
    pub fn servers(&self) -> String {
        answer(Ok(self.0.servers()))
    }

    /// One server, or null.
    #[napi]
    pub fn server(&self, thread_id: Option<String>, name: String) -> String {
        answer(Ok(self.0.server(thread_id.as_deref(), &name)))
    }

    /// The names of the servers that want a sign-in again, in the order in which that began.
    #[napi]
    pub fn reauthentication_required(&self) -> Vec<&str> {
        self.0.reauthentication_required()
    }

    /// Forgets the servers of one thread, and says how many there were.
    #[napi]
    pub fn remove(&mut self, thread_id: String) -> u32 {
        u32::try_from(self.0.remove(&thread_id)).unwrap_or(u32::MAX)
    }
}
