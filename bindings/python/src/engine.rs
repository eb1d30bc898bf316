//! Starting servers, and signing in and out.

use mcp_startup_host::{
    Events as HostEvents, HostStore, InteractiveSignIn as HostSignIn, LeaseTest, Rejected,
    TestedStore, answer, runtime,
};
use pyo3::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use crate::attach;
use crate::call::Call;
use crate::store::Records;

/// A check or a watch.
#[pyclass(frozen, module = "mcp_startup._native")]
pub struct Events(HostEvents);

#[pymethods]
impl Events {
    /// Starts each server once.
    #[staticmethod]
    fn of_check(options: String, store: Option<Py<PyAny>>) -> Self {
        Self(HostEvents::of_check(options, host_store(store)))
    }

    /// Starts each server, and starts failed servers again.
    #[staticmethod]
    fn of_watch(options: String, store: Option<Py<PyAny>>) -> Self {
        Self(HostEvents::of_watch(options, host_store(store)))
    }

    /// Requests the next events, as a list that is empty at the end.
    fn next(&self) -> Call {
        Call::begin(self.0.next())
    }

    /// Returns whether the watch has the server, also if it has not begun.
    fn retry(&self, name: &str) -> bool {
        self.0.retry(name)
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    fn close(&self) {
        self.0.close();
    }
}

fn host_store(bridge: Option<Py<PyAny>>) -> Option<HostStore> {
    bridge.map(|bridge| HostStore::new(Records::new(bridge)))
}

/// Checks the options without starting anything.
#[pyfunction]
pub fn check_options(options: &str) -> String {
    answer(mcp_startup_host::check_options(options))
}

/// Finds the files of the MCP clients on this machine.
#[pyfunction]
pub fn discover(options: String) -> Call {
    Call::begin(mcp_startup_host::discover(options))
}

/// Finds the servers that a check with these options leaves out.
#[pyfunction]
pub fn not_checked(options: String) -> Call {
    Call::begin(mcp_startup_host::not_checked(options))
}

/// The status, the `Authorization` header and the challenge of a refused request.
type Refused = (u16, Option<String>, Option<String>);

fn rejected(refused: Option<Refused>) -> Option<Rejected> {
    refused.map(|(status, authorization, challenge)| {
        mcp_startup_host::rejected(status, authorization, challenge)
    })
}

#[pyfunction]
#[pyo3(signature = (options, store, server, refused))]
pub fn authorization(
    options: String,
    store: Option<Py<PyAny>>,
    server: String,
    refused: Option<Refused>,
) -> Call {
    let rejected = rejected(refused);
    let store = host_store(store);
    Call::begin(async move {
        let header = mcp_startup_host::authorization(options, store, server, rejected).await?;
        Ok(header.map(|header: SecretString| header.expose_secret().to_owned()))
    })
}

/// The header for a request to `url`.
#[pyfunction]
#[pyo3(signature = (options, store, server, url, refused))]
pub fn request_authorization(
    options: String,
    store: Option<Py<PyAny>>,
    server: String,
    url: String,
    refused: Option<Refused>,
) -> Call {
    let rejected = rejected(refused);
    let store = host_store(store);
    Call::begin(mcp_startup_host::request_authorization(
        options, store, server, url, rejected,
    ))
}

#[pyfunction]
#[pyo3(signature = (options, store, server, online))]
pub fn auth_status(
    options: String,
    store: Option<Py<PyAny>>,
    server: String,
    online: bool,
) -> Call {
    let store = host_store(store);
    Call::begin(mcp_startup_host::auth_status(
        options, store, server, online,
    ))
}

#[pyfunction]
#[pyo3(signature = (options, store, server, redirect_uri))]
pub fn begin_sign_in(
    options: String,
    store: Option<Py<PyAny>>,
    server: String,
    redirect_uri: String,
) -> Call {
    let store = host_store(store);
    Call::begin(mcp_startup_host::begin_sign_in(
        options,
        store,
        server,
        redirect_uri,
    ))
}

#[pyfunction]
#[pyo3(signature = (options, store, pending, callback_url))]
pub fn finish_sign_in(
    options: String,
    store: Option<Py<PyAny>>,
    pending: String,
    callback_url: String,
) -> Call {
    let store = host_store(store);
    Call::begin(mcp_startup_host::finish_sign_in(
        options,
        store,
        pending,
        callback_url,
    ))
}

/// A sign-in with its own listener on loopback.
#[pyclass(frozen, module = "mcp_startup._native")]
pub struct InteractiveSignIn(HostSignIn);

#[pymethods]
impl InteractiveSignIn {
    #[new]
    #[pyo3(signature = (options, store, server))]
    fn new(options: String, store: Option<Py<PyAny>>, server: String) -> Self {
        Self(HostSignIn::new(options, host_store(store), server))
    }

    /// Listens, and requests the URL of the sign-in page.
    fn begin(&self) -> Call {
        Call::begin(self.0.begin())
    }

    /// Waits for the browser.
    fn finish(&self) -> Call {
        Call::begin(self.0.finish())
    }

    fn close(&self) {
        self.0.close();
    }
}

/// Opens a page in the user's browser. `program` is the command line that starts the program `mcp-startup`.
#[pyfunction]
pub fn open_browser(url: String, program: Vec<String>) -> Call {
    Call::begin(async move {
        let opening =
            tokio::task::spawn_blocking(move || mcp_startup_cli::open_browser(&url, &program));
        match opening.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(mcp_startup_host::no_browser()),
        }
    })
}

#[pyfunction]
#[pyo3(signature = (options, store, server))]
pub fn sign_out(options: String, store: Option<Py<PyAny>>, server: String) -> Call {
    let store = host_store(store);
    Call::begin(mcp_startup_host::sign_out(options, store, server))
}

/// A store: the options as JSON, and the bridge of a store that is implemented in Python.
type Store = (String, Option<Py<PyAny>>);

#[pyfunction]
#[pyo3(signature = (store, other, lapse))]
pub fn test_credential_store(store: Store, other: Store, lapse: Option<Py<PyAny>>) -> Call {
    let tested = |(options, bridge)| TestedStore {
        options,
        host: host_store(bridge),
    };
    let leases = lapse.map(|lapse| LeaseTest {
        other: tested(other),
        lapse: crate::store::lapse(lapse),
    });
    Call::begin(mcp_startup_host::test_credential_store(
        tested(store),
        leases,
    ))
}

/// Waits until every refresh that was sent is saved and no thread of the runtime is inside Python. Call it when Python shuts down.
#[pyfunction]
pub fn finish(py: Python<'_>) {
    if !runtime::is_finished() {
        py.detach(runtime::finish);
    }
    attach::end(py);
}

/// Runs the program `mcp-startup` and returns its exit status. `command` is the command line that starts it, `arguments` are the
/// program's arguments.
#[pyfunction]
pub fn program(py: Python<'_>, command: Vec<String>, arguments: Vec<std::ffi::OsString>) -> u8 {
    py.detach(|| mcp_startup_cli::run(&command, arguments))
}
