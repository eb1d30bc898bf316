//! The notification, as an object of Python.

use std::borrow::Cow;
use std::hash::BuildHasher;

use mcp_startup_core::{
    DecodeError, LineError, McpServerStartupFailureReason, McpServerStartupState,
    McpServerStatusUpdatedNotification as Notification, NotificationRef, decode_each,
};
use mcp_startup_host::{HostError, answer, contract};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};

/// The params of the notification `mcpServer/startupStatus/updated`: the state of one server's start has changed.
// Objects of Python from the beginning: a field that is read is one more reference and no new object.
#[pyclass(frozen, module = "mcp_startup")]
pub struct McpServerStatusUpdatedNotification {
    /// The thread whose server this is; `None` where the server belongs to the whole app.
    #[pyo3(get)]
    thread_id: Py<PyAny>,
    /// The name of the server, as the user configured it.
    #[pyo3(get)]
    name: Py<PyAny>,
    /// The state that the start has come to.
    #[pyo3(get)]
    status: Py<PyAny>,
    /// A sentence for a person, on a failed start.
    #[pyo3(get)]
    error: Py<PyAny>,
    /// Why the start failed, where a client can do something specific about it.
    #[pyo3(get)]
    failure_reason: Py<PyAny>,
}

#[pymethods]
impl McpServerStatusUpdatedNotification {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("name", "status", "error", "failure_reason")
    }

    /// The start of `name` has begun.
    #[staticmethod]
    #[pyo3(signature = (name, *, thread_id=None))]
    fn starting(py: Python<'_>, name: String, thread_id: Option<String>) -> PyResult<Self> {
        Self::of(py, of_thread(Notification::starting(name), thread_id))
    }

    /// `name` can be used.
    #[staticmethod]
    #[pyo3(signature = (name, *, thread_id=None))]
    fn ready(py: Python<'_>, name: String, thread_id: Option<String>) -> PyResult<Self> {
        Self::of(py, of_thread(Notification::ready(name), thread_id))
    }

    /// The start of `name` was given up by the host.
    #[staticmethod]
    #[pyo3(signature = (name, *, thread_id=None))]
    fn cancelled(py: Python<'_>, name: String, thread_id: Option<String>) -> PyResult<Self> {
        Self::of(py, of_thread(Notification::cancelled(name), thread_id))
    }

    /// The start of `name` failed for a reason that no new sign-in mends. `error` is a sentence for a person.
    #[staticmethod]
    #[pyo3(signature = (name, error, *, thread_id=None))]
    fn failed(
        py: Python<'_>,
        name: String,
        error: String,
        thread_id: Option<String>,
    ) -> PyResult<Self> {
        Self::of(py, of_thread(Notification::failed(name, error), thread_id))
    }

    /// The start of `name` failed because what is stored for it is spent: the user has to sign in again.
    #[staticmethod]
    #[pyo3(signature = (name, error, *, thread_id=None))]
    fn reauthentication_required(
        py: Python<'_>,
        name: String,
        error: String,
        thread_id: Option<String>,
    ) -> PyResult<Self> {
        let notification = Notification::reauthentication_required(name, error);
        Self::of(py, of_thread(notification, thread_id))
    }

    /// What the verdict `failure` says on the wire: its message as the error, and its reason, if it has one.
    #[staticmethod]
    #[pyo3(signature = (name, failure, *, thread_id=None))]
    fn from_failure(
        name: String,
        failure: &Bound<'_, PyAny>,
        thread_id: Option<String>,
    ) -> PyResult<Self> {
        // Judged anew, by the evidence in it: an object that somebody built by hand says nothing else than a verdict would.
        let evidence = failure
            .py()
            .import("mcp_startup._verdict")?
            .call_method1("evidence_of", (failure,))?;
        let evidence = serde_json::from_str(evidence.extract()?)
            .map_err(|error| PyTypeError::new_err(format!("no verdict: {error}")))?;
        let notification = Notification::from_failure(name, &mcp_startup_core::judge(evidence));
        Self::of(failure.py(), of_thread(notification, thread_id))
    }

    /// The whole notification as one line of JSON, without the line's end.
    fn encode(&self, py: Python<'_>) -> PyResult<String> {
        Ok(mcp_startup_core::encode(&self.notification(py)?))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else {
            return Ok(false);
        };
        let py = other.py();
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
        let [thread_id, name, status, error, failure_reason] = self.fields();
        let shown = |value: &Py<PyAny>| match text(value.bind(py)) {
            Ok(Some(text)) => serde_json::Value::from(text).to_string(),
            _ => "None".to_owned(),
        };
        Ok(format!(
            "McpServerStatusUpdatedNotification(thread_id={}, name={}, status={}, error={}, failure_reason={})",
            shown(thread_id),
            shown(name),
            shown(status),
            shown(error),
            shown(failure_reason),
        ))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        // Only reading makes a notification with a value that this version does not know.
        let decode = py.import("mcp_startup._native")?.getattr("decode")?;
        Ok((decode.unbind(), (self.encode(py)?,)))
    }
}

impl McpServerStatusUpdatedNotification {
    /// The object for a notification.
    fn of(py: Python<'_>, notification: Notification) -> PyResult<Self> {
        let optional = |text: Option<&str>| text.map_or_else(|| py.None(), |text| string(py, text));
        let members = members(py)?;
        Ok(Self {
            thread_id: optional(notification.thread_id()),
            name: string(py, notification.name()),
            status: members.state(py, notification.status())?,
            error: optional(notification.error()),
            failure_reason: match notification.failure_reason() {
                Some(reason) => members.reason(py, reason)?,
                None => py.None(),
            },
        })
    }

    /// The notification that this is, with a value that this version does not know, too.
    pub fn notification(&self, py: Python<'_>) -> PyResult<Notification> {
        let [thread_id, name, status, error, failure_reason] = self.fields();
        let params = serde_json::json!({
            "threadId": text(thread_id.bind(py))?,
            "name": text(name.bind(py))?,
            "status": text(status.bind(py))?,
            "error": text(error.bind(py))?,
            "failureReason": text(failure_reason.bind(py))?,
        });
        contract::notification(&params.to_string())
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn fields(&self) -> [&Py<PyAny>; 5] {
        [
            &self.thread_id,
            &self.name,
            &self.status,
            &self.error,
            &self.failure_reason,
        ]
    }
}

/// A `str`, or a member of an enum of texts; `None` where it is that.
fn text(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    value.extract()
}

fn string(py: Python<'_>, text: &str) -> Py<PyAny> {
    PyString::new(py, text).into_any().unbind()
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

impl Members {
    fn state(&self, py: Python<'_>, value: &McpServerStartupState) -> PyResult<Py<PyAny>> {
        // Where each stands among the known ones: a value more does not compile before it stands here.
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

/// Makes objects of many notifications. Of texts that come again and again, as names and errors do, there is one object.
struct Maker<'py> {
    py: Python<'py>,
    members: &'static Members,
    /// By the hash of the text: the last one of that hash.
    strings: Vec<Option<(Box<str>, Py<PyAny>)>>,
    hasher: foldhash::fast::RandomState,
}

/// A power of two.
const STRINGS: usize = 256;
/// A longer text seldom comes again, in bytes.
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
        said: &NotificationRef<'_>,
    ) -> PyResult<Bound<'py, McpServerStatusUpdatedNotification>> {
        let (py, members) = (self.py, self.members);
        let status = match known(McpServerStartupState::KNOWN, said.status(), |k| k.as_str()) {
            Some(known) => members.states[known].clone_ref(py),
            None => members.state.call1(py, (said.status(),))?,
        };
        let failure_reason = match said.failure_reason() {
            None => py.None(),
            Some(text) => match known(McpServerStartupFailureReason::KNOWN, text, |k| k.as_str()) {
                Some(known) => members.reasons[known].clone_ref(py),
                None => members.reason.call1(py, (text,))?,
            },
        };
        let made = Bound::new(
            py,
            McpServerStatusUpdatedNotification {
                thread_id: self.optional(said.thread_id()),
                name: self.string(said.name()),
                status,
                error: self.optional(said.error()),
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

/// Takes a notification out of what the garbage collector looks through: it holds texts and members of enums, and is part of no cycle.
/// Among many of them the collector would take as long as reading them does.
#[allow(unsafe_code, reason = "no safe function of pyo3 does it")]
fn untrack(notification: &Bound<'_, McpServerStatusUpdatedNotification>) {
    // SAFETY: a live object of a type with `Py_TPFLAGS_HAVE_GC`, which each `pyclass` has; and the GIL is held.
    unsafe { pyo3::ffi::PyObject_GC_UnTrack(notification.as_ptr().cast()) }
}

/// Where a text of the wire stands among the known values.
fn known<T>(values: &[T], text: &str, text_of: impl Fn(&T) -> &str) -> Option<usize> {
    values.iter().position(|value| text_of(value) == text)
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
pub fn line_errors<'py>(py: Python<'py>, errors: Vec<LineError>) -> PyResult<Bound<'py, PyTuple>> {
    let errors = errors
        .into_iter()
        .map(|LineError { line, error }| (line, decode_error(py, error).into_value(py)));
    PyTuple::new(py, errors.collect::<Vec<_>>())
}

/// Reads one line, `str` or `bytes`: `None` for a message of another method or a blank line.
#[pyfunction]
pub fn decode(line: &Bound<'_, PyAny>) -> PyResult<Option<McpServerStatusUpdatedNotification>> {
    let py = line.py();
    match mcp_startup_core::decode(&bytes_of(line)?) {
        Ok(Some(notification)) => {
            McpServerStatusUpdatedNotification::of(py, notification).map(Some)
        }
        Ok(None) => Ok(None),
        Err(error) => Err(decode_error(py, error)),
    }
}

/// Reads the bytes of many lines: the notifications, and the bad lines as pairs of number and exception.
#[pyfunction]
pub fn decode_lines<'py>(
    data: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyTuple>)> {
    let py = data.py();
    let bytes = bytes_of(data)?;
    let mut maker = Maker::new(py)?;
    let mut made = Vec::new();
    let mut failed = None;
    let errors = decode_each(&bytes, |said| match maker.make(&said) {
        Ok(notification) => made.push(notification),
        Err(error) => failed = Some(error),
    });
    match failed {
        Some(error) => Err(error),
        None => Ok((PyTuple::new(py, made)?, line_errors(py, errors)?)),
    }
}
