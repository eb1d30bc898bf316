//! A call that runs on the runtime while an asyncio event loop or a thread waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_startup_host::{HostError, answer, runtime};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde::Serialize;

use crate::attach::{attach, is_ending};

/// A running call. Its answer is a JSON text.
#[pyclass(frozen, module = "mcp_startup._native")]
pub struct Call {
    state: Arc<Shared>,
    abort: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    answer: Option<String>,
    then: Option<Py<PyAny>>,
}

impl Call {
    /// Starts the work.
    pub fn begin<T: Serialize + Send + 'static>(
        work: impl Future<Output = Result<T, HostError>> + Send + 'static,
    ) -> Self {
        let state = Arc::new(Shared::default());
        let done = state.clone();
        match runtime::run(work, move |result| done.answer(answer(result))) {
            Ok(task) => Self {
                state,
                abort: Some(Box::new(move || task.abort())),
            },
            Err(error) => {
                state.answer(answer::<()>(Err(error)));
                Self { state, abort: None }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: String) {
        let mut state = self.lock();
        match state.then.take() {
            None => state.answer = Some(answer),
            Some(then) => {
                // The callback may need this lock.
                drop(state);
                deliver(then, answer);
            }
        }
        self.answered.notify_all();
    }
}

/// Passes an answer to the Python callback, unless Python is shutting down.
fn deliver(then: Py<PyAny>, answer: String) {
    attach(|py| {
        if let Err(error) = then.call1(py, (answer,)) {
            error.write_unraisable(py, None);
        }
    });
}

#[pymethods]
impl Call {
    /// Calls `reply` with the answer when it is available, from a thread of the runtime.
    fn then(&self, reply: Py<PyAny>) -> PyResult<()> {
        if is_ending() {
            // The callback could never run.
            return Err(PyRuntimeError::new_err("Python is shutting down"));
        }
        let mut state = self.state.lock();
        match state.answer.take() {
            Some(answer) => {
                drop(state);
                deliver(reply, answer);
            }
            None => state.then = Some(reply),
        }
        Ok(())
    }

    /// Waits for the answer for at most `at_most_ms` milliseconds, without the GIL. Returns `None` if it is not available yet.
    fn wait(&self, py: Python<'_>, at_most_ms: u64) -> Option<String> {
        py.detach(|| {
            let limit = Duration::from_millis(at_most_ms);
            let state = self.state.lock();
            let waited = self
                .state
                .answered
                .wait_timeout_while(state, limit, |state| state.answer.is_none());
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.answer.take()
        })
    }

    /// Aborts the call, so that there will be no answer.
    fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort();
        }
    }
}
