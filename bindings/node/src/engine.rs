//! Starting servers, and signing in and out.

use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_startup_host::{
    Events as HostEvents, HostError, InteractiveSignIn as HostSignIn, LeaseTest, Rejected,
    TestedStore, answer, runtime,
};
use napi::Status;
use napi::bindgen_prelude::Unknown;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::store::{Ask, store};

/// The JavaScript callback that receives an answer. It keeps the process alive until it is dropped.
type Done<T = String> = ThreadsafeFunction<T, Unknown<'static>, T, Status, false>;

/// A call in progress.
#[napi]
pub struct Call(CancellationToken);

#[napi]
impl Call {
    /// Ends the work. The answer is then an error, and comes when everything that was granted is saved.
    #[napi]
    pub fn abort(&self) {
        self.0.cancel();
    }
}

/// Starts the work and calls `done` with its result.
fn begin<T: Serialize + Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
    done: Done,
) -> Call {
    let mode = ThreadsafeFunctionCallMode::NonBlocking;
    let done = Arc::new(done);
    let callback = done.clone();
    let aborted = CancellationToken::new();
    let call = Call(aborted.clone());
    let work = async move {
        match aborted.run_until_cancelled_owned(work).await {
            Some(result) => result,
            None => {
                // Until the answer, `done` keeps the process alive.
                runtime::finished().await;
                Err(HostError::Internal("the call was aborted".to_owned()))
            }
        }
    };
    let begun = runtime::run(work, move |result| {
        callback.call(answer(result), mode);
    });
    if let Err(error) = begun {
        done.call(answer::<()>(Err(error)), mode);
    }
    call
}

/// A check or a watch.
#[napi]
pub struct Events(Arc<HostEvents>);

#[napi]
impl Events {
    /// Starts each server once.
    #[napi(factory)]
    pub fn of_check(options: String, ask: Option<Ask>) -> Self {
        Self(Arc::new(HostEvents::of_check(options, store(ask))))
    }

    /// Starts each server, and starts failed servers again.
    #[napi(factory)]
    pub fn of_watch(options: String, ask: Option<Ask>) -> Self {
        Self(Arc::new(HostEvents::of_watch(options, store(ask))))
    }

    /// Requests the next events, as a list that is empty at the end.
    #[napi]
    pub fn next(&self, done: Done) -> Call {
        OPEN.with_borrow_mut(|open| {
            let events = Arc::downgrade(&self.0);
            open.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&events));
            open.push(events);
        });
        begin(self.0.next(), done)
    }

    #[napi]
    pub fn retry(&self, name: String) {
        self.0.retry(&name);
    }

    #[napi]
    pub fn cancel(&self) {
        self.0.cancel();
    }

    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}

thread_local! {
    /// The checks and watches of this JavaScript thread that have begun and have not been garbage-collected.
    static OPEN: RefCell<Vec<Weak<HostEvents>>> = const { RefCell::new(Vec::new()) };
}

/// How long a process that exits waits for its servers to end and for refreshes that are not saved yet.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancels every check and watch of this thread and reads its remaining events. All of its server processes have then ended, and the
/// released locks are free in the database.
/// Call it when the process exits, because nothing is garbage-collected after that.
#[napi]
pub fn end_all() {
    let open = OPEN.take();
    let open: Vec<_> = open.iter().filter_map(Weak::upgrade).collect();
    let is_done = open.is_empty() && runtime::locks_are_released();
    if let (false, Ok(runtime)) = (is_done, runtime::handle()) {
        runtime.block_on(async {
            open.iter().for_each(|events| events.cancel());
            let ended = async {
                for events in &open {
                    while events.next().await.is_ok_and(|batch| !batch.is_empty()) {}
                }
                runtime::released().await;
            };
            let _ = tokio::time::timeout(EXIT_TIMEOUT, ended).await;
        });
    }
}

/// Checks the options without starting anything.
#[napi]
pub fn check_options(options: String) -> String {
    answer(mcp_startup_host::check_options(&options))
}

/// Finds the files of the MCP clients on this machine.
#[napi]
pub fn discover(options: String, done: Done) -> Call {
    begin(mcp_startup_host::discover(options), done)
}

/// Finds the servers that a check with these options leaves out.
#[napi]
pub fn not_checked(options: String, done: Done) -> Call {
    begin(mcp_startup_host::not_checked(options), done)
}

/// A request that the server refused.
#[napi(object, use_nullable = true)]
pub struct Refused {
    pub status: u16,
    pub authorization: Option<String>,
    pub challenge: Option<String>,
}

fn rejected(refused: Option<Refused>) -> Option<Rejected> {
    refused.map(|refused| {
        mcp_startup_host::rejected(refused.status, refused.authorization, refused.challenge)
    })
}

#[napi]
pub fn authorization(
    options: String,
    ask: Option<Ask>,
    server: String,
    refused: Option<Refused>,
    done: Done,
) -> Call {
    let rejected = rejected(refused);
    let store = store(ask);
    let header = async move {
        let header = mcp_startup_host::authorization(options, store, server, rejected).await?;
        Ok(header.map(|header| header.expose_secret().to_owned()))
    };
    begin(header, done)
}

/// The header for a request to `url`.
#[napi]
pub fn request_authorization(
    options: String,
    ask: Option<Ask>,
    server: String,
    url: String,
    refused: Option<Refused>,
    done: Done,
) -> Call {
    let rejected = rejected(refused);
    let store = store(ask);
    let header = mcp_startup_host::request_authorization(options, store, server, url, rejected);
    begin(header, done)
}

#[napi]
pub fn auth_status(
    options: String,
    ask: Option<Ask>,
    server: String,
    online: bool,
    done: Done,
) -> Call {
    let status = mcp_startup_host::auth_status(options, store(ask), server, online);
    begin(status, done)
}

#[napi]
pub fn begin_sign_in(
    options: String,
    ask: Option<Ask>,
    server: String,
    redirect_uri: String,
    done: Done,
) -> Call {
    let begun = mcp_startup_host::begin_sign_in(options, store(ask), server, redirect_uri);
    begin(begun, done)
}

#[napi]
pub fn finish_sign_in(
    options: String,
    ask: Option<Ask>,
    pending: String,
    callback_url: String,
    done: Done,
) -> Call {
    let finished = mcp_startup_host::finish_sign_in(options, store(ask), pending, callback_url);
    begin(finished, done)
}

/// A sign-in with its own listener on loopback.
#[napi]
pub struct InteractiveSignIn(HostSignIn);

#[napi]
impl InteractiveSignIn {
    #[napi(constructor)]
    pub fn new(options: String, ask: Option<Ask>, server: String) -> Self {
        Self(HostSignIn::new(options, store(ask), server))
    }

    /// Listens, and requests the URL of the sign-in page.
    #[napi]
    pub fn begin(&self, done: Done) -> Call {
        begin(self.0.begin(), done)
    }

    /// Waits for the browser.
    #[napi]
    pub fn finish(&self, done: Done) -> Call {
        begin(self.0.finish(), done)
    }

    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}

/// Opens a page in the user's browser. `program` is the command line that starts the program `mcp-startup`.
#[napi]
pub fn open_browser(url: String, program: Vec<String>, done: Done) -> Call {
    let opening = async move {
        let opening =
            tokio::task::spawn_blocking(move || mcp_startup_cli::open_browser(&url, &program));
        match opening.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(mcp_startup_host::no_browser()),
        }
    };
    begin(opening, done)
}

#[napi]
pub fn sign_out(options: String, ask: Option<Ask>, server: String, done: Done) -> Call {
    begin(
        mcp_startup_host::sign_out(options, store(ask), server),
        done,
    )
}

#[napi]
pub fn test_credential_store(
    options: String,
    ask: Option<Ask>,
    other_options: String,
    other: Option<Ask>,
    lapse: Option<Ask>,
    done: Done,
) -> Call {
    let tested = |options, ask| TestedStore {
        options,
        host: store(ask),
    };
    let leases = lapse.map(|lapse| LeaseTest {
        other: tested(other_options, other),
        lapse: crate::store::lapse(lapse),
    });
    let store = tested(options, ask);
    begin(mcp_startup_host::test_credential_store(store, leases), done)
}

/// Calls `done` when every refresh that was sent is saved. It does not call `done` if there is no such refresh.
#[napi]
pub fn finish(done: Done) {
    if !runtime::is_finished() {
        begin(
            async {
                runtime::finished().await;
                Ok(())
            },
            done,
        );
    }
}

/// Runs the program `mcp-startup`. `command` is the command line that starts it, `arguments` are the program's arguments.
/// `done` receives the exit status.
#[napi]
pub fn program(command: Vec<String>, arguments: Vec<String>, done: Done<u32>) -> napi::Result<()> {
    let arguments = arguments
        .into_iter()
        .map(OsString::from)
        .collect::<Vec<_>>();
    let run = move || {
        let status = mcp_startup_cli::run(&command, arguments);
        done.call(status.into(), ThreadsafeFunctionCallMode::NonBlocking);
    };
    // The stack size of a main thread.
    let thread = std::thread::Builder::new().stack_size(8 * 1024 * 1024);
    match thread.spawn(run) {
        Ok(_) => Ok(()),
        Err(error) => Err(napi::Error::from_reason(error.to_string())),
    }
}
