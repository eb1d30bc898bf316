//! Decoding, encoding and tracking notifications.

use mcp_startup_core as core;
use mcp_startup_host::{HostError, answer, contract};
use napi_derive::napi;

/// Decodes one line to the notification's params, or to null for a blank line and for another message.
#[napi]
pub fn decode(line: &[u8]) -> String {
    answer(core::decode(line).map_err(HostError::from))
}

/// Decodes many lines.
#[napi]
pub fn decode_lines(lines: &[u8]) -> String {
    answer(Ok(contract::Decoded::from(core::decode_lines(lines))))
}

/// Encodes a notification with these params as one line.
#[napi]
pub fn encode(params: String) -> String {
    answer(contract::encode(&params))
}

/// The tracker.
#[napi]
pub struct Tracker(core::StartupTracker);

#[napi]
impl Tracker {
    /// Creates a tracker that keeps at most `limit` servers.
    #[napi(constructor)]
    pub fn new(limit: Option<f64>) -> Self {
        Self(match limit {
            // The cast saturates, and the tracker raises a limit below one to one.
            Some(limit) => core::StartupTracker::with_limit(limit as usize),
            None => core::StartupTracker::default(),
        })
    }

    /// Applies whole lines.
    #[napi]
    pub fn apply_lines(&mut self, lines: &[u8]) -> String {
        answer(Ok(contract::Applied::from(self.0.apply_lines(lines))))
    }

    /// Applies one notification, given as its params.
    #[napi]
    pub fn apply(&mut self, params: String) -> String {
        let notification = contract::received(&params);
        answer(notification.map(|notification| self.0.apply(&notification)))
    }

    /// Returns every server, in the order in which the servers were first seen.
    #[napi]
    pub fn servers(&self) -> String {
        answer(Ok(self.0.servers()))
    }

    /// Returns one server, or null.
    #[napi]
    pub fn server(
        &self,
        thread_id: Option<String>,
        environment_id: Option<String>,
        name: String,
    ) -> String {
        let (thread_id, environment_id) = (thread_id.as_deref(), environment_id.as_deref());
        answer(Ok(self.0.server(thread_id, environment_id, &name)))
    }

    /// Returns the servers that need the user to sign in again, in the order in which their episodes began.
    #[napi]
    pub fn reauthentication_required(&self) -> String {
        answer(Ok(self.0.reauthentication_required()))
    }

    /// Forgets the servers of one thread and returns how many there were.
    #[napi]
    pub fn remove(&mut self, thread_id: String) -> u32 {
        u32::try_from(self.0.remove(&thread_id)).unwrap_or(u32::MAX)
    }
}
