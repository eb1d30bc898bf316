//! The notification as a Python class, and its decoders.

use std::borrow::Cow;
use std::hash::BuildHasher;

use mcp_startup_core::{
    DecodeError, LineError, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification as Notification, NotificationRef, decode_each,
};
use mcp_startup_host::{HostError, answer, contract, verdict};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::argument;

/// The params of the notification `mcpServer/startupStatus/updated`, which reports the state of one server's start.
// The fields are Python objects, so that reading a field creates no new object.
#[pyclass(frozen, module = "mcp_startup")]
pub struct McpServerStatusUpdatedNotification {
    /// The thread that the server belongs to, or `None` if it belongs to the whole app.
    #[pyo3(get)]
    thread_id: Py<PyAny>,
    /// The name of the server in the user's configuration.
    #[pyo3(get)]
    name: Py<PyAny>,
    /// The environment whose configuration contains the server, or `None` if it belongs to no environment.
    #[pyo3(get)]
    environment_id: Py<PyAny>,
    /// Whether the decoded line had an environment, also if it was null. It is then encoded again.
    has_environment_id: bool,
    /// The state of the start.
    #[pyo3(get)]
    status: Py<PyAny>,
    /// A human-readable message, if the start failed.
    #[pyo3(get)]
    error: Py<PyAny>,
    /// Why the start failed, if a client can do something specific about it.
    #[pyo3(get)]
    failure_reason: Py<PyAny>,
}

#[pymethods]
impl McpServerStatusUpdatedNotification {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("name", "status", "error", "failure_reason")
    }

    /// The server `name` is starting.
    #[staticmethod]
    #[pyo3(signature = (name=None, *, thread_id=None, **unknown), text_signature = "(name, *, thread_id=None)")]
    fn starting(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        thread_id: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        argument::all_known(unknown, &["name", "thread_id"])?;
        let name = argument::required(py, ("name", "a string"), name)?;
        let notification = Notification::starting(argument::text("name", name)?);
        Self::of_thread(notification, thread_id, py)
    }

    /// The server `name` is ready to use.
    #[staticmethod]
    #[pyo3(signature = (name=None, *, thread_id=None, **unknown), text_signature = "(name, *, thread_id=None)")]
    fn ready(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        thread_id: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        argument::all_known(unknown, &["name", "thread_id"])?;
        let name = argument::required(py, ("name", "a string"), name)?;
        let notification = Notification::ready(argument::text("name", name)?);
        Self::of_thread(notification, thread_id, py)
    }

    /// The host cancelled the start of the server `name`.
    #[staticmethod]
    #[pyo3(signature = (name=None, *, thread_id=None, **unknown), text_signature = "(name, *, thread_id=None)")]
    fn cancelled(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        thread_id: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        argument::all_known(unknown, &["name", "thread_id"])?;
        let name = argument::required(py, ("name", "a string"), name)?;
        let notification = Notification::cancelled(argument::text("name", name)?);
        Self::of_thread(notification, thread_id, py)
    }

    /// The server `name` failed to start, and signing in again would not help. `error` is a human-readable message.
    #[staticmethod]
    #[pyo3(
        signature = (name=None, error=None, *, thread_id=None, **unknown),
        text_signature = "(name, error, *, thread_id=None)"
    )]
    fn failed(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyAny>>,
        thread_id: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        argument::all_known(unknown, &["name", "error", "thread_id"])?;
        let name = argument::required(py, ("name", "a string"), name)?;
        let error = argument::required(py, ("error", "a string"), error)?;
        let text = argument::text("name", name)?;
        let notification = Notification::failed(text, argument::text("error", error)?);
        Self::of_thread(notification, thread_id, py)
    }

    /// The server `name` failed to start because its stored credentials can no longer be used or refreshed.
    ///
    /// The user has to sign in again. Create it only if credentials were stored for exactly this server and the start failed because
    /// of them. `error` is a human-readable message.
    #[staticmethod]
    #[pyo3(
        signature = (name=None, error=None, *, thread_id=None, **unknown),
        text_signature = "(name, error, *, thread_id=None)"
    )]
    fn reauthentication_required(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyAny>>,
        thread_id: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        argument::all_known(unknown, &["name", "error", "thread_id"])?;
        let name = argument::required(py, ("name", "a string"), name)?;
        let error = argument::required(py, ("error", "a string"), error)?;
        let text = argument::text("name", name)?;
        let error = argument::text("error", error)?;
        let notification = Notification::reauthentication_required(text, error);
        Self::of_thread(notification, thread_id, py)
    }

    /// Creates the notification for a verdict: `error` is its message, and `failure_reason` is set if its kind requires it.
    ///
    /// The kind is judged again from the evidence, so a `StartupFailure` that was built by hand can't set a wrong reason.
    #[staticmethod]
    #[pyo3(
        signature = (name=None, failure=None, *, thread_id=None, **unknown),
        text_signature = "(name, failure, *, thread_id=None)"
    )]
    fn from_failure(
        py: Python<'_>,
        name: Option<&Bound<'_, PyAny>>,
        failure: Option<&Bound<'_, PyAny>>,
        thread_id: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        argument::all_known(unknown, &["name", "failure", "thread_id"])?;
        let name = argument::required(py, ("name", "a string"), name)?;
        let failure = argument::required(py, ("failure", "a `StartupFailure`"), failure)?;
        let name = argument::text("name", name)?;
        let evidence = py
            .import("mcp_startup._verdict")?
            .call_method1("evidence_of", (failure,))?;
        let judged = verdict::judge(evidence.extract()?)
            .map_err(|error| PyTypeError::new_err(error.to_string()))?;
        let notification = Notification::from_failure(name, &judged);
        Self::of_thread(notification, thread_id, py)
    }

    /// Returns the whole notification as one line of JSON, without a line ending.
    fn encode(&self, py: Python<'_>) -> PyResult<String> {
        Ok(mcp_startup_core::encode(&self.notification(py)?))
    }

    /// Returns the params as a dictionary for `json.dumps`, with the field names of the JSON form, such as `failureReason`.
    fn to_dict<'py>(notification: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        wire(notification.py())?.call_method1("to_wire", (notification,))
    }

    /// Returns the params as JSON, with the field names of the JSON form, such as `failureReason`.
    fn to_json<'py>(notification: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        wire(notification.py())?.call_method1("to_json", (notification,))
    }

    /// Lets pydantic and FastAPI accept the notification, and write it as `to_dict` does.
    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        class: &Bound<'py, PyType>,
        source: &Bound<'py, PyAny>,
        handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (source, handler);
        wire(class.py())?.call_method1("pydantic_schema", (class,))
    }

    /// Describes the JSON form to pydantic and FastAPI.
    #[classmethod]
    fn __get_pydantic_json_schema__<'py>(
        class: &Bound<'py, PyType>,
        schema: &Bound<'py, PyAny>,
        handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (schema, handler);
        wire(class.py())?.call_method1("json_schema", (class,))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else {
            return Ok(false);
        };
        let py = other.py();
        if self.has_environment_id != other.get().has_environment_id {
            return Ok(false);
        }
        for (mine, theirs) in self.fields().into_iter().zip(other.get().fields()) {
            if !mine.bind(py).eq(theirs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyTuple::new(py, self.fields())?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let [
            thread_id,
            name,
            environment_id,
            status,
            error,
            failure_reason,
        ] = self.fields();
        let shown = |value: &Py<PyAny>| match text(value.bind(py)) {
            Ok(Some(text)) => serde_json::Value::from(text).to_string(),
            _ => "None".to_owned(),
        };
        let environment = match self.has_environment_id {
            true => format!("environment_id={}, ", shown(environment_id)),
            false => String::new(),
        };
        Ok(format!(
            "McpServerStatusUpdatedNotification(thread_id={}, name={}, {environment}status={}, error={}, failure_reason={})",
            shown(thread_id),
            shown(name),
            shown(status),
            shown(error),
            shown(failure_reason),
        ))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        // Only `decode` can create a notification with unknown values or an environment.
        let decode = py.import("mcp_startup._native")?.getattr("decode")?;
        Ok((decode.unbind(), (self.encode(py)?,)))
    }
}

impl McpServerStatusUpdatedNotification {
    /// Creates the object for a notification.
    fn of(py: Python<'_>, notification: Notification) -> PyResult<Self> {
        let optional = |text: Option<&str>| text.map_or_else(|| py.None(), |text| string(py, text));
        let members = members(py)?;
        Ok(Self {
            thread_id: optional(notification.thread_id()),
            name: string(py, notification.name()),
            environment_id: optional(notification.environment_id()),
            has_environment_id: notification.has_environment_id(),
            status: members.state(py, notification.status())?,
            error: optional(notification.error()),
            failure_reason: match notification.failure_reason() {
                Some(reason) => members.reason(py, reason)?,
                None => py.None(),
            },
        })
    }

    /// Creates the object for a notification about a server of this thread.
    fn of_thread(
        notification: Notification,
        thread_id: Option<&Bound<'_, PyAny>>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        let notification = match argument::optional_text("thread_id", thread_id)? {
            Some(thread_id) => notification.with_thread_id(thread_id),
            None => notification,
        };
        Self::of(py, notification)
    }

    /// Returns the notification, including unknown values.
    pub fn notification(&self, py: Python<'_>) -> PyResult<Notification> {
        let [
            thread_id,
            name,
            environment_id,
            status,
            error,
            failure_reason,
        ] = self.fields();
        let mut params = serde_json::json!({
            "threadId": text(thread_id.bind(py))?,
            "name": text(name.bind(py))?,
            "status": text(status.bind(py))?,
            "error": text(error.bind(py))?,
            "failureReason": text(failure_reason.bind(py))?,
        });
        if self.has_environment_id {
            params["environmentId"] = text(environment_id.bind(py))?.into();
        }
        contract::notification(&params.to_string())
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn fields(&self) -> [&Py<PyAny>; 6] {
        [
            &self.thread_id,
            &self.name,
            &self.environment_id,
            &self.status,
            &self.error,
            &self.failure_reason,
        ]
    }
}

/// The Python module that converts between JSON and Python.
fn wire(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("mcp_startup._wire")
}

/// The text of a `str` or of a string enum's member, or `None`.
fn text(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    value.extract()
}

fn string(py: Python<'_>, text: &str) -> Py<PyAny> {
    PyString::new(py, text).into_any().unbind()
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

impl Members {
    fn state(&self, py: Python<'_>, value: &McpServerStartupState) -> PyResult<Py<PyAny>> {
        // The index among the known values. A new value does not compile until it has a line here.
        let known = match value {
            McpServerStartupState::Starting => 0,
            McpServerStartupState::Ready => 1,
            McpServerStartupState::Failed => 2,
            McpServerStartupState::Cancelled => 3,
            McpServerStartupState::Unknown(text) => return self.state.call1(py, (text.as_str(),)),
        };
        Ok(self.states[known].clone_ref(py))
    }

    fn reason(&self, py: Python<'_>, value: &McpServerStartupFailureReason) -> PyResult<Py<PyAny>> {
        let known = match value {
            McpServerStartupFailureReason::ReauthenticationRequired => 0,
            McpServerStartupFailureReason::Unknown(text) => {
                return self.reason.call1(py, (text.as_str(),));
            }
        };
        Ok(self.reasons[known].clone_ref(py))
    }
}

/// Creates the objects for many notifications. Repeated texts, such as names and errors, share one object.
struct Maker<'py> {
    py: Python<'py>,
    members: &'static Members,
    /// A cache with one slot per hash.
    strings: Vec<Option<(Box<str>, Py<PyAny>)>>,
    hasher: foldhash::fast::RandomState,
}

/// The number of slots. A power of two.
const STRINGS: usize = 256;
/// The length of the longest cached text, in bytes. Longer texts are rarely repeated.
const LONGEST_STRING: usize = 1024;

impl<'py> Maker<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        Ok(Self {
            py,
            members: members(py)?,
            strings: std::iter::repeat_with(|| None).take(STRINGS).collect(),
            hasher: foldhash::fast::RandomState::default(),
        })
    }

    fn make(
        &mut self,
        params: &NotificationRef<'_>,
    ) -> PyResult<Bound<'py, McpServerStatusUpdatedNotification>> {
        let (py, members) = (self.py, self.members);
        let status = match known(McpServerStartupState::KNOWN, params.status(), |k| {
            k.as_str()
        }) {
            Some(known) => members.states[known].clone_ref(py),
            None => members.state.call1(py, (params.status(),))?,
        };
        let failure_reason = match params.failure_reason() {
            None => py.None(),
            Some(text) => match known(McpServerStartupFailureReason::KNOWN, text, |k| k.as_str()) {
                Some(known) => members.reasons[known].clone_ref(py),
                None => members.reason.call1(py, (text,))?,
            },
        };
        let made = Bound::new(
            py,
            McpServerStatusUpdatedNotification {
                thread_id: self.optional(params.thread_id()),
                name: self.string(params.name()),
                environment_id: self.optional(params.environment_id()),
                has_environment_id: params.has_environment_id(),
                status,
                error: self.optional(params.error()),
                failure_reason,
            },
        )?;
        untrack(&made);
        Ok(made)
    }

    fn optional(&mut self, text: Option<&str>) -> Py<PyAny> {
        match text {
            Some(text) => self.string(text),
            None => self.py.None(),
        }
    }

    fn string(&mut self, text: &str) -> Py<PyAny> {
        if text.len() > LONGEST_STRING {
            return string(self.py, text);
        }
        let at = self.hasher.hash_one(text) as usize % STRINGS;
        match &mut self.strings[at] {
            Some((known, made)) if **known == *text => made.clone_ref(self.py),
            slot => {
                let made = string(self.py, text);
                *slot = Some((text.into(), made.clone_ref(self.py)));
                made
            }
        }
    }
}

/// Untracks a notification in the garbage collector. It holds only strings and enum members, so it can't be part of a cycle. Tracking
/// many of them would cost as much time as decoding them.
#[allow(unsafe_code, reason = "no safe function of pyo3 does it")]
fn untrack(notification: &Bound<'_, McpServerStatusUpdatedNotification>) {
    // SAFETY: it is a live object of a type with `Py_TPFLAGS_HAVE_GC`, which every `pyclass` has, and the GIL is held.
    unsafe { pyo3::ffi::PyObject_GC_UnTrack(notification.as_ptr().cast()) }
}

/// The index of a text among the known values.
fn known<T>(values: &[T], text: &str, text_of: impl Fn(&T) -> &str) -> Option<usize> {
    values.iter().position(|value| text_of(value) == text)
}

/// The bytes of the argument `name`: a `str` or `bytes`.
pub fn bytes_of<'a>(name: &str, data: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    // A `str` with half of a surrogate pair has no bytes.
    let text = data
        .cast::<PyString>()
        .ok()
        .and_then(|text| text.to_str().ok());
    match text {
        Some(text) => Ok(Cow::Borrowed(text.as_bytes())),
        None => Err(argument::refused(name, "`str` or `bytes`", data)),
    }
}

/// Creates the Python exception for an invalid line, from the JSON form of the error.
pub fn decode_error(py: Python<'_>, error: DecodeError) -> PyErr {
    let text = answer::<()>(Err(HostError::Decode(error)));
    let made = py
        .import("mcp_startup._errors")
        .and_then(|module| module.call_method1("of_answer", (text,)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// The invalid lines, as pairs of line number and exception.
pub fn line_errors<'py>(py: Python<'py>, errors: Vec<LineError>) -> PyResult<Bound<'py, PyTuple>> {
    let errors = errors
        .into_iter()
        .map(|LineError { line, error }| (line, decode_error(py, error).into_value(py)));
    PyTuple::new(py, errors.collect::<Vec<_>>())
}

/// Decodes one line, which must hold a whole JSON-RPC message.
///
/// Returns the notification, or `None` for a blank line and for any other well-formed message (another method, a response). Raises
/// `DecodeError` if the line is not valid JSON, if `name` or `status` is missing, or if a field has the wrong type.
#[pyfunction]
#[pyo3(signature = (line=None, **unknown), text_signature = "(line)")]
pub fn decode(
    py: Python<'_>,
    line: Option<&Bound<'_, PyAny>>,
    unknown: Option<&Bound<'_, PyDict>>,
) -> PyResult<Option<McpServerStatusUpdatedNotification>> {
    argument::all_known(unknown, &["line"])?;
    let line = argument::required(py, ("line", "`str` or `bytes`"), line)?;
    match mcp_startup_core::decode(&bytes_of("line", line)?) {
        Ok(Some(notification)) => {
            McpServerStatusUpdatedNotification::of(py, notification).map(Some)
        }
        Ok(None) => Ok(None),
        Err(error) => Err(decode_error(py, error)),
    }
}

/// Decodes many lines. Returns the notifications, and the invalid lines as pairs of line number and exception.
#[pyfunction]
pub fn decode_lines<'py>(
    data: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyTuple>)> {
    let py = data.py();
    let bytes = bytes_of("data", data)?;
    let mut maker = Maker::new(py)?;
    let mut made = Vec::new();
    let mut failed = None;
    let errors = decode_each(&bytes, |params| match maker.make(&params) {
        Ok(notification) => made.push(notification),
        Err(error) => failed = Some(error),
    });
    match failed {
        Some(error) => Err(error),
        None => Ok((PyTuple::new(py, made)?, line_errors(py, errors)?)),
    }
}
