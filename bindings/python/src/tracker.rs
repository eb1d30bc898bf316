//! The tracker, as an object of Python.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_startup_core as core;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::notification::{McpServerStatusUpdatedNotification, bytes_of, line_errors};

/// The tracker below `mcp_startup.StartupTracker`. Any thread may use it.
#[pyclass(frozen, module = "mcp_startup._native")]
pub struct StartupTracker(Mutex<core::StartupTracker>);

/// The number of notifications, the servers that changed, the prompts, and the bad lines.
type Applied<'py> = (
    u64,
    Bound<'py, PyTuple>,
    Bound<'py, PyTuple>,
    Bound<'py, PyTuple>,
);

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

    /// Takes one notification: whether something changed, and whether the user is to be asked.
    fn apply_one(
        &self,
        py: Python<'_>,
        notification: &McpServerStatusUpdatedNotification,
    ) -> PyResult<(bool, bool)> {
        let notification = notification.notification(py)?;
        let update = self.lock().apply(&notification);
        Ok((update.changed, update.prompt))
    }

    /// Takes the bytes of whole lines. The GIL is free meanwhile.
    fn apply_lines<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Applied<'py>> {
        let py = data.py();
        let bytes = bytes_of(data)?;
        let applied = py.detach(|| self.lock().apply_lines(&bytes));
        Ok((
            applied.notifications,
            PyTuple::new(py, applied.changed)?,
            PyTuple::new(py, applied.prompts)?,
            line_errors(py, applied.errors)?,
        ))
    }

    /// Every server as JSON, in the order in which they were first heard of.
    fn servers(&self) -> String {
        mcp_startup_host::answer(Ok(self.lock().servers()))
    }

    /// One server as JSON, or null.
    #[pyo3(signature = (thread_id, name))]
    fn server(&self, thread_id: Option<&str>, name: &str) -> String {
        mcp_startup_host::answer(Ok(self.lock().server(thread_id, name)))
    }

    /// The names of the servers that want a sign-in again, in the order in which that began.
    fn reauthentication_required(&self) -> Vec<String> {
        let tracker = self.lock();
        let names = tracker.reauthentication_required().into_iter();
        names.map(str::to_owned).collect()
    }

    /// Forgets the servers of one thread, and says how many there were.
    fn remove(&self, thread_id: &str) -> usize {
        self.lock().remove(thread_id)
    }
}
