//! Starting servers, and signing in and out.

use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_startup_host::{Events as HostEvents, HostError, answer, runtime};
use napi::Status;
use napi::bindgen_prelude::Unknown;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::store::{Ask, store};

/// The JavaScript callback that receives an answer. It keeps the process alive until it is dropped.
type Done<T = String> = ThreadsafeFunction<T, Unknown<'static>, T, Status, false>;

/// Starts the work and calls `done` with its result.
fn begin<T: Serialize + Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
    done: Done,
) {
    let mode = ThreadsafeFunctionCallMode::NonBlocking;
    let done = Arc::new(done);
    let callback = done.clone();
    let begun = runtime::run(work, move |result| {
        callback.call(answer(result), mode);
    });
    if let Err(error) = begun {
        done.call(answer::<()>(Err(error)), mode);
    }
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
    pub fn next(&self, done: Done) {
        OPEN.with_borrow_mut(|open| {
            let events = Arc::downgrade(&self.0);
            open.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&events));
            open.push(events);
        });
        begin(self.0.next(), done);
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

/// Cancels every check and watch of this thread and reads its remaining events. All of its server processes have then ended.
/// Call it when the process exits, because nothing is garbage-collected after that.
#[napi]
pub fn end_all() {
    let open = OPEN.take();
    let open: Vec<_> = open.iter().filter_map(Weak::upgrade).collect();
    if let (false, Ok(runtime)) = (open.is_empty(), runtime::handle()) {
        runtime.block_on(async {
            open.iter().for_each(|events| events.cancel());
            let ended = async {
                for events in &open {
                    while events.next().await.is_ok_and(|batch| !batch.is_empty()) {}
                }
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
pub fn discover(options: String, done: Done) {
    begin(mcp_startup_host::discover(options), done);
}

/// Finds the servers that a check with these options leaves out.
#[napi]
pub fn not_checked(options: String, done: Done) {
    begin(mcp_startup_host::not_checked(options), done);
}

#[napi]
pub fn authorization(
    options: String,
    ask: Option<Ask>,
    server: String,
    rejected: bool,
    authorization: Option<String>,
    challenge: Option<String>,
    done: Done,
) {
    let rejected = rejected.then(|| mcp_startup_host::rejected(authorization, challenge));
    let store = store(ask);
    let header = async move {
        let header = mcp_startup_host::authorization(options, store, server, rejected).await?;
        Ok(header.map(|header| header.expose_secret().to_owned()))
    };
    begin(header, done);
}

#[napi]
pub fn auth_status(options: String, ask: Option<Ask>, server: String, online: bool, done: Done) {
    let status = mcp_startup_host::auth_status(options, store(ask), server, online);
    begin(status, done);
}

#[napi]
pub fn begin_sign_in(
    options: String,
    ask: Option<Ask>,
    server: String,
    redirect_uri: String,
    done: Done,
) {
    let begun = mcp_startup_host::begin_sign_in(options, store(ask), server, redirect_uri);
    begin(begun, done);
}

#[napi]
pub fn finish_sign_in(
    options: String,
    ask: Option<Ask>,
    pending: String,
    callback_url: String,
    done: Done,
) {
    let finished = mcp_startup_host::finish_sign_in(options, store(ask), pending, callback_url);
    begin(finished, done);
}

#[napi]
pub fn sign_out(options: String, ask: Option<Ask>, server: String, done: Done) {
    begin(
        mcp_startup_host::sign_out(options, store(ask), server),
        done,
    );
}

#[napi]
pub fn test_credential_store(ask: Ask, done: Done) {
    if let Some(store) = store(Some(ask)) {
        begin(mcp_startup_host::test_credential_store(store), done);
    }
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
