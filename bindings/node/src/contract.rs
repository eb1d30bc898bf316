//! Reading and writing the contract, and following it.

use mcp_startup_core::{self as core, DecodedLines, LineError};
use mcp_startup_host::{HostError, answer, contract};
use napi_derive::napi;
use serde::Serialize;

/// One line: the notification's params, or null for a message of another method or a blank line.
#[napi]
pub fn decode(line: &[u8]) -> String {
    answer(core::decode(line).map_err(HostError::from))
}

/// The bytes of many lines.
#[napi]
pub fn decode_lines(lines: &[u8]) -> String {
    let DecodedLines {
        notifications,
        errors,
    } = core::decode_lines(lines);
    answer(Ok(Decoded {
        notifications: &notifications,
        errors: errors_of(&errors),
    }))
}

/// The line of a notification with these params.
#[napi]
pub fn encode(params: String) -> String {
    answer(contract::encode(&params))
}

#[derive(Serialize)]
struct Decoded<'a> {
    notifications: &'a [core::McpServerStatusUpdatedNotification],
    errors: Vec<LineErrorOfJson<'a>>,
}

#[derive(Serialize)]
struct Applied<'a> {
    notifications: u64,
    changed: &'a [(Option<String>, String)],
    prompts: &'a [String],
    errors: Vec<LineErrorOfJson<'a>>,
}

#[derive(Serialize)]
struct LineErrorOfJson<'a> {
    line: u64,
    error: &'a core::DecodeError,
}

fn errors_of(errors: &[LineError]) -> Vec<LineErrorOfJson<'_>> {
    let errors = errors.iter();
    errors
        .map(|LineError { line, error }| LineErrorOfJson { line: *line, error })
        .collect()
}

/// The tracker.
#[napi]
pub struct Tracker(core::StartupTracker);

#[napi]
impl Tracker {
    /// One that holds at most `limit` servers.
    #[napi(constructor)]
    pub fn new(limit: Option<u32>) -> Self {
        Self(match limit {
            Some(limit) => core::StartupTracker::with_limit(limit as usize),
            None => core::StartupTracker::default(),
        })
    }

    /// Takes the bytes of whole lines.
    #[napi]
    pub fn apply_lines(&mut self, lines: &[u8]) -> String {
        let applied = self.0.apply_lines(lines);
        answer(Ok(Applied {
            notifications: applied.notifications,
            changed: &applied.changed,
            prompts: &applied.prompts,
            errors: errors_of(&applied.errors),
        }))
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
