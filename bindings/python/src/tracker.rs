//! The tracker as a Python class.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_startup_core as core;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::argument;
use crate::notification::{McpServerStatusUpdatedNotification, bytes_of, line_errors};

/// The implementation of `mcp_startup.StartupTracker`. It can be shared between threads.
#[pyclass(frozen, module = "mcp_startup._native")]
pub struct StartupTracker(Mutex<core::StartupTracker>);

/// The number of notifications, the changed servers, the prompts, and the invalid lines.
type Applied<'py> = (
    u64,
    Bound<'py, PyTuple>,
    Bound<'py, PyTuple>,
    Bound<'py, PyTuple>,
);

/// The thread, the environment and the name of a server.
type Key = (Option<String>, Option<String>, String);

fn key(key: core::ServerKey) -> Key {
    (key.thread_id, key.environment_id, key.name)
}

impl StartupTracker {
    fn lock(&self) -> MutexGuard<'_, core::StartupTracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl StartupTracker {
    #[new]
    #[pyo3(signature = (limit=None))]
    fn new(limit: Option<usize>) -> Self {
        Self(Mutex::new(match limit {
            Some(limit) => core::StartupTracker::with_limit(limit),
            None => core::StartupTracker::default(),
        }))
    }

    /// Applies one notification. Returns whether anything changed, and whether to prompt the user.
    fn apply_one(&self, notification: &Bound<'_, PyAny>) -> PyResult<(bool, bool)> {
        let Ok(given) = notification.cast::<McpServerStatusUpdatedNotification>() else {
            let takes = "a `McpServerStatusUpdatedNotification`";
            return Err(argument::refused("notification", takes, notification));
        };
        let notification = given.get().notification(given.py())?;
        let update = self.lock().apply(&notification);
        Ok((update.changed, update.prompt))
    }

    /// Applies whole lines, without the GIL.
    fn apply_lines<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Applied<'py>> {
        let py = data.py();
        let bytes = bytes_of("data", data)?;
        let applied = py.detach(|| self.lock().apply_lines(&bytes));
        Ok((
            applied.notifications,
            PyTuple::new(py, applied.changed.into_iter().map(key))?,
            PyTuple::new(py, applied.prompts.into_iter().map(key))?,
            line_errors(py, applied.errors)?,
        ))
    }

    /// Returns every server as JSON, in the order in which the servers were first seen.
    fn servers(&self) -> String {
        mcp_startup_host::answer(Ok(self.lock().servers()))
    }

    /// Returns one server as JSON, or null.
    #[pyo3(signature = (thread_id, environment_id, name))]
    fn server(&self, thread_id: Option<&str>, environment_id: Option<&str>, name: &str) -> String {
        mcp_startup_host::answer(Ok(self.lock().server(thread_id, environment_id, name)))
    }

    /// Returns the servers that need the user to sign in again, in the order in which their episodes began.
    fn reauthentication_required(&self) -> Vec<Key> {
        let tracker = self.lock();
        let required = tracker.reauthentication_required().into_iter();
        required.cloned().map(key).collect()
    }

    /// Forgets the servers of one thread and returns how many there were.
    fn remove(&self, thread_id: &str) -> usize {
        self.lock().remove(thread_id)
    }
}
