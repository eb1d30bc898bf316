//! A call that is under way on the runtime, for whoever waits: a loop of asyncio, or a thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_startup_host::{HostError, answer, runtime};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde::Serialize;

use crate::attach::{attach, is_ending};

/// A call under way. Its answer is a JSON text.
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
    /// Begins the work.
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
                // Python may want this lock while it runs.
                drop(state);
                tell(then, answer);
            }
        }
        self.answered.notify_all();
    }
}

/// Hands an answer to Python; where that is ending, to nobody.
fn tell(then: Py<PyAny>, answer: String) {
    attach(|py| {
        if let Err(error) = then.call1(py, (answer,)) {
            error.write_unraisable(py, None);
        }
    });
}

#[pymethods]
impl Call {
    /// Calls `reply` with the answer once it is there, from a thread of the runtime.
    fn then(&self, reply: Py<PyAny>) -> PyResult<()> {
        if is_ending() {
            // Nobody could be told.
            return Err(PyRuntimeError::new_err("Python is ending"));
        }
        let mut state = self.state.lock();
        match state.answer.take() {
            Some(answer) => {
                drop(state);
                tell(reply, answer);
            }
            None => state.then = Some(reply),
        }
        Ok(())
    }

    /// Waits for the answer, at most so many ms; `None` where it is not there yet. The GIL is free meanwhile.
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

    /// Gives it up: there will be no answer.
    fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort();
        }
    }
}
