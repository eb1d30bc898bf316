//! The notification, as an object of Python.

use std::borrow::Cow;

use mcp_startup_core::{
    DecodeError, LineError, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification as Notification,
};
use mcp_startup_host::{HostError, answer};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString};

/// The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed.
#[pyclass(frozen, eq, hash, module = "mcp_startup")]
#[derive(PartialEq, Eq, Hash)]
pub struct McpServerStatusUpdatedNotification(pub Notification);

#[pymethods]
impl McpServerStatusUpdatedNotification {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("name", "status", "error", "failure_reason")
    }

    /// The start of `name` has begun.
    #[staticmethod]
    #[pyo3(signature = (name, *, thread_id=None))]
    fn starting(name: String, thread_id: Option<String>) -> Self {
        Self(of_thread(Notification::starting(name), thread_id))
    }

    /// `name` can be used.
    #[staticmethod]
    #[pyo3(signature = (name, *, thread_id=None))]
    fn ready(name: String, thread_id: Option<String>) -> Self {
        Self(of_thread(Notification::ready(name), thread_id))
    }

    /// The start of `name` was given up by the host.
    #[staticmethod]
    #[pyo3(signature = (name, *, thread_id=None))]
    fn cancelled(name: String, thread_id: Option<String>) -> Self {
        Self(of_thread(Notification::cancelled(name), thread_id))
    }

    /// The start of `name` failed for a reason that no new sign-in mends. `error` is a sentence for a person.
    #[staticmethod]
    #[pyo3(signature = (name, error, *, thread_id=None))]
    fn failed(name: String, error: String, thread_id: Option<String>) -> Self {
        Self(of_thread(Notification::failed(name, error), thread_id))
    }

    /// The start of `name` failed because what is stored for it is spent: the user has to sign in again.
    #[staticmethod]
    #[pyo3(signature = (name, error, *, thread_id=None))]
    fn reauthentication_required(name: String, error: String, thread_id: Option<String>) -> Self {
        let notification = Notification::reauthentication_required(name, error);
        Self(of_thread(notification, thread_id))
    }

    /// The thread whose server this is; `None` where the server belongs to the whole app.
    #[getter]
    fn thread_id(&self) -> Option<&str> {
        self.0.thread_id()
    }

    /// The name of the server, as the user configured it.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The state that the start has come to.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        state(py, self.0.status())
    }

    /// A sentence for a person, on a failed start.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.0.error()
    }

    /// Why the start failed, where a client can do something specific about it.
    #[getter]
    fn failure_reason(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.0
            .failure_reason()
            .map(|known| reason(py, known))
            .transpose()
    }

    /// The whole notification as one line of JSON, without the line's end.
    fn encode(&self) -> String {
        mcp_startup_core::encode(&self.0)
    }

    fn __repr__(&self) -> String {
        let text = |text: Option<&str>| match text {
            Some(text) => serde_json::Value::from(text).to_string(),
            None => "None".to_owned(),
        };
        format!(
            "McpServerStatusUpdatedNotification(thread_id={}, name={}, status={}, error={}, failure_reason={})",
            text(self.0.thread_id()),
            text(Some(self.0.name())),
            text(Some(self.0.status().as_str())),
            text(self.0.error()),
            text(self.0.failure_reason().map(|reason| reason.as_str())),
        )
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        // Only reading makes a notification with a value that this version does not know.
        let decode = py.import("mcp_startup._native")?.getattr("decode")?;
        Ok((decode.unbind(), (self.encode(),)))
    }
}

fn of_thread(notification: Notification, thread_id: Option<String>) -> Notification {
    match thread_id {
        Some(thread_id) => notification.with_thread_id(thread_id),
        None => notification,
    }
}

/// The members of the enums in Python: each known value is one object.
struct Members {
    states: Vec<Py<PyAny>>,
    reasons: Vec<Py<PyAny>>,
    state: Py<PyAny>,
    reason: Py<PyAny>,
}

fn members(py: Python<'_>) -> PyResult<&'static Members> {
    static MEMBERS: PyOnceLock<Members> = PyOnceLock::new();
    MEMBERS.get_or_try_init(py, || {
        let module = py.import("mcp_startup._generated")?;
        let state = module.getattr("McpServerStartupState")?;
        let reason = module.getattr("McpServerStartupFailureReason")?;
        let known = |class: &Bound<'_, PyAny>, text: &str| Ok(class.call1((text,))?.unbind());
        Ok(Members {
            states: McpServerStartupState::KNOWN
                .iter()
                .map(|value| known(&state, value.as_str()))
                .collect::<PyResult<_>>()?,
            reasons: McpServerStartupFailureReason::KNOWN
                .iter()
                .map(|value| known(&reason, value.as_str()))
                .collect::<PyResult<_>>()?,
            state: state.unbind(),
            reason: reason.unbind(),
        })
    })
}

/// The member of `McpServerStartupState`.
pub fn state(py: Python<'_>, value: &McpServerStartupState) -> PyResult<Py<PyAny>> {
    let members = members(py)?;
    // Where each stands among the known ones: a value more does not compile before it stands here.
    let known = match value {
        McpServerStartupState::Starting => 0,
        McpServerStartupState::Ready => 1,
        McpServerStartupState::Failed => 2,
        McpServerStartupState::Cancelled => 3,
        McpServerStartupState::Unknown(text) => return members.state.call1(py, (text.as_str(),)),
    };
    Ok(members.states[known].clone_ref(py))
}

/// The member of `McpServerStartupFailureReason`.
pub fn reason(py: Python<'_>, value: &McpServerStartupFailureReason) -> PyResult<Py<PyAny>> {
    let members = members(py)?;
    let known = match value {
        McpServerStartupFailureReason::ReauthenticationRequired => 0,
        McpServerStartupFailureReason::Unknown(text) => {
            return members.reason.call1(py, (text.as_str(),));
        }
    };
    Ok(members.reasons[known].clone_ref(py))
}

/// The bytes of a `str` or of `bytes`.
pub fn bytes_of<'a>(data: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    match data.cast::<PyString>() {
        Ok(text) => Ok(Cow::Borrowed(text.to_str()?.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "str or bytes are wanted, not {}",
            data.get_type().name()?
        ))),
    }
}

/// The exception for a line that can't be read, made by Python from the JSON of the error.
pub fn decode_error(py: Python<'_>, error: DecodeError) -> PyErr {
    let text = answer::<()>(Err(HostError::Decode(error)));
    let made = py
        .import("mcp_startup._errors")
        .and_then(|module| module.call_method1("of_answer", (text,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// The bad lines as pairs of number and exception.
pub fn line_errors<'py>(py: Python<'py>, errors: Vec<LineError>) -> PyResult<Bound<'py, PyList>> {
    let errors = errors
        .into_iter()
        .map(|LineError { line, error }| (line, decode_error(py, error).into_value(py)));
    PyList::new(py, errors.collect::<Vec<_>>())
}

/// Reads one line, `str` or `bytes`: `None` for a message of another method or a blank line.
#[pyfunction]
pub fn decode(line: &Bound<'_, PyAny>) -> PyResult<Option<McpServerStatusUpdatedNotification>> {
    let bytes = bytes_of(line)?;
    match mcp_startup_core::decode(&bytes) {
        Ok(notification) => Ok(notification.map(McpServerStatusUpdatedNotification)),
        Err(error) => Err(decode_error(line.py(), error)),
    }
}

/// Reads the bytes of many lines: the notifications, and the bad lines as pairs of number and exception.
#[pyfunction]
pub fn decode_lines<'py>(
    data: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
    let py = data.py();
    let decoded = mcp_startup_core::decode_lines(&bytes_of(data)?);
    let notifications = decoded
        .notifications
        .into_iter()
        .map(|notification| Bound::new(py, McpServerStatusUpdatedNotification(notification)))
        .collect::<PyResult<Vec<_>>>()?;
    Ok((
        PyList::new(py, notifications)?,
        line_errors(py, decoded.errors)?,
    ))
}
