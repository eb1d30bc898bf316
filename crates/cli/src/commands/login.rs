//! `mcp-startup login` and `logout`.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use mcp_startup::auth::{Revocation, SignInBegun, SignInError, SignInFailureKind};
use mcp_startup::config::ServerEntry;
use mcp_startup::{
    CallbackListener, CallbackOptions, CallbackPage, SignInOptions, Startup,
    configuration_warnings, printable, sign_in_not_completed,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::CommandError;
use crate::arguments::{self, Source, StoredUser};
use crate::interruption;
use crate::output::exit_status::ExitStatus;
use crate::output::warnings;
use crate::selection;
use crate::stores::Stores;
use crate::this_program;

const NAME_CHARS: usize = 60;
/// Longer than any host name with a port.
const HOST_CHARS: usize = 300;
/// How many bytes of pasted input are read.
const MAX_PASTED_BYTES: u64 = 1024 * 1024;
/// How long an interrupted command waits for what can't be undone: the exchange of a code, or a revocation.
const COMPLETION_LIMIT: Duration = Duration::from_secs(30);

/// Signs in to a server in the user's browser, which returns to a listener on loopback. The user can paste the URL instead.
pub fn login(arguments: arguments::Login) -> Result<ExitStatus, CommandError> {
    let document = arguments.client_document.url.clone();
    let user = &arguments.stored_user;
    let opened = Opened::new(&arguments.source, user, &arguments.server, document)?;
    let (startup, server) = (opened.startup.clone(), opened.server.clone());
    // Before the sign-in, because a key that is not read may be the cause if it fails.
    for warning in warnings::texts(&configuration_warnings(&server), "") {
        let _ = writeln!(crate::output::stderr::styled(), "{warning}");
    }
    let prompt = Prompt::default();
    let work = sign_in(&startup, &server, &arguments, &prompt);
    let ended = until_interrupted_or_complete(opened, work, || {
        prompt.close();
        "Completing the sign-in, so that the granted tokens are not lost"
    });
    prompt.close();
    ended?.unwrap_or(Ok(ExitStatus::Interrupted))
}

/// Runs a command. Returns `None` if it was interrupted. If it has begun a step that can't be undone, that step is completed even
/// then, and the user sees the text of `notice`. A second interruption ends the program immediately.
fn until_interrupted_or_complete<T>(
    opened: Opened,
    work: impl Future<Output = T>,
    notice: impl FnOnce() -> &'static str,
) -> std::io::Result<Option<T>> {
    let Opened {
        runtime,
        stores,
        startup,
        ..
    } = opened;
    interruption::block_on_in(runtime, async |interruption| {
        let done = interruption.or(work).await;
        let mut completing = pin!(startup.finish());
        if done.is_some() || futures::poll!(completing.as_mut()).is_ready() {
            stores.close().await;
            return done;
        }
        let _ = writeln!(
            crate::output::stderr::styled(),
            "{} (at most {} s). To exit now, press Ctrl-C again.",
            notice(),
            COMPLETION_LIMIT.as_secs()
        );
        let completed = interruption.or_within(COMPLETION_LIMIT, completing).await;
        if completed.is_some() {
            stores.close().await;
        }
        done
    })
}

async fn sign_in(
    startup: &Startup,
    server: &ServerEntry,
    arguments: &arguments::Login,
    prompt: &Prompt,
) -> Result<ExitStatus, CommandError> {
    let deadline = Instant::now() + arguments.timeout;
    let mut callback_options = CallbackOptions::default();
    callback_options.port = arguments.port;
    let bound = CallbackListener::bind(server, &callback_options).await;
    let mut listener = bound.map_err(|error| {
        let message = format!("{error}; choose another --port, or omit it to use a free port");
        std::io::Error::new(error.kind(), message)
    })?;
    let mut options = SignInOptions::default();
    options.scopes.clone_from(&arguments.scopes);
    options.limit = Some(arguments.timeout);
    let begun = startup
        .begin_sign_in_with(server, listener.redirect_uri(), &options)
        .await;
    let begun = begun.map_err(|error| of_server(server, error))?;
    let name = printable(&server.name, NAME_CHARS);

    let (pasted_in, mut pasted) = mpsc::channel(4);
    let mut browser = None;
    let mut asking = Box::pin(ask(
        &name,
        &begun,
        arguments,
        prompt,
        pasted_in,
        &mut browser,
    ));
    let mut has_asked = false;
    let mut printed = HashSet::new();
    let finished = loop {
        let (url, callback) = tokio::select! {
            callback = listener.next() => match callback {
                Some(callback) => (callback.url.clone(), Some(callback)),
                None => return Err(std::io::Error::other("the listener for the browser has stopped").into()),
            },
            // Stdin can end, and the browser can still return.
            Some(url) = pasted.recv() => (url, None),
            () = &mut asking, if !has_asked => {
                has_asked = true;
                continue;
            }
            () = tokio::time::sleep_until(deadline) => {
                prompt.close();
                return Err(timed_out(&name, arguments.timeout));
            }
        };
        let finished = startup.finish_sign_in(&begun.pending, &url).await;
        let page = CallbackPage::of(&finished);
        let is_pasted = callback.is_none();
        if let Some(callback) = callback {
            callback.answer(page);
        }
        if page != CallbackPage::InvalidCallback {
            break finished;
        }
        let wrong = finished.err().map(|error| error.to_string());
        let wrong = printable(&wrong.unwrap_or_default(), usize::MAX);
        // Each message is printed once, so that a page that keeps reloading does not fill the terminal.
        if printed.insert(wrong.clone()) || is_pasted {
            let asks = prompt.close() || is_pasted;
            let _ = writeln!(crate::output::stderr::styled(), "{wrong}");
            if asks {
                prompt.open();
            }
        }
    };
    drop(asking);
    prompt.close();
    // A browser that runs in the terminal, such as `lynx`, is used until its user leaves it.
    if let Some(browser) = browser {
        let _ = browser.await;
    }
    let said = match finished {
        Ok(()) => writeln!(std::io::stdout(), "Signed in to {name}.").map_err(CommandError::from),
        Err(error) => Err(of_server(server, error)),
    };
    listener.close().await;
    said.map(|()| ExitStatus::AllReady)
}

/// Opens the sign-in in the browser, and reads pasted URLs until stdin ends.
async fn ask(
    name: &str,
    begun: &SignInBegun,
    arguments: &arguments::Login,
    prompt: &Prompt,
    pasted_in: mpsc::Sender<String>,
    browser: &mut Option<JoinHandle<()>>,
) {
    let mut stderr = crate::output::stderr::styled();
    // Never cut: a part of the URL would not work.
    let url = printable(&begun.authorization_url, usize::MAX);
    // The server chooses where the user signs in, so the user must see it.
    let host = printable(begun.authorization_host(), HOST_CHARS);
    let mut opened = false;
    if arguments.no_browser {
        let _ = writeln!(
            stderr,
            "To sign in to {name} at {host}, open this URL in a browser:\n\n  {url}\n"
        );
    } else {
        let _ = writeln!(
            stderr,
            "Opening your browser to sign in to {name} at {host}. If it does not open, visit this URL:\n\n  {url}\n"
        );
        let (says, said) = oneshot::channel();
        let url = begun.authorization_url.clone();
        // Returns immediately, or when the user leaves a browser that runs in the terminal.
        *browser = Some(tokio::task::spawn_blocking(move || {
            let _ = says.send(crate::browser::open(&url, this_program::command()));
        }));
        opened = said.await.unwrap_or_default();
    }
    let is_terminal = std::io::stdin().is_terminal();
    if opened && !is_terminal {
        // Stdin belongs to another program.
        return;
    }
    if !opened {
        let cause = match arguments.no_browser {
            true => "",
            false => "No browser could be opened. ",
        };
        let _ = writeln!(
            stderr,
            "{cause}If your browser is on another machine, its last page will not load. Copy the URL of that page and paste it here."
        );
        prompt.open();
    }
    read_pasted(pasted_in, prompt).await;
    if !opened {
        prompt.close();
        let _ = writeln!(
            stderr,
            "Stdin has ended, so no URL can be pasted. A browser on this machine can still complete the sign-in."
        );
    }
}

async fn read_pasted(pasted_in: mpsc::Sender<String>, prompt: &Prompt) {
    let mut stdin = BufReader::new(tokio::io::stdin().take(MAX_PASTED_BYTES));
    loop {
        let mut line = Vec::new();
        match stdin.read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        prompt.answered();
        let url = String::from_utf8_lossy(&line).trim().to_owned();
        if url.is_empty() {
            prompt.open();
            continue;
        }
        if pasted_in.send(url).await.is_err() {
            return;
        }
    }
}

fn timed_out(name: &str, limit: Duration) -> CommandError {
    let problem = sign_in_not_completed(limit, "try again, or allow more time with --timeout");
    let message = format!("the sign-in to {name} {problem}");
    std::io::Error::new(std::io::ErrorKind::TimedOut, message).into()
}

/// The prompt on a terminal where a URL can be pasted.
#[derive(Default)]
struct Prompt {
    is_open: Cell<bool>,
}

impl Prompt {
    fn open(&self) {
        if std::io::stdin().is_terminal()
            && std::io::stderr().is_terminal()
            && !self.is_open.replace(true)
        {
            let mut stderr = crate::output::stderr::styled();
            let _ = write!(stderr, "URL: ").and_then(|()| stderr.flush());
        }
    }

    /// Enter was pressed.
    fn answered(&self) {
        self.is_open.set(false);
    }

    /// Ends the line of the prompt. Returns whether the prompt was open.
    fn close(&self) -> bool {
        let was_open = self.is_open.replace(false);
        if was_open {
            let _ = writeln!(crate::output::stderr::styled());
        }
        was_open
    }
}

/// Signs out of a server: revokes its tokens, and removes them from every store.
pub fn logout(arguments: arguments::Logout) -> Result<ExitStatus, CommandError> {
    let user = &arguments.stored_user;
    let opened = Opened::new(&arguments.source, user, &arguments.server, None)?;
    let (startup, server) = (opened.startup.clone(), opened.server.clone());
    let ended = until_interrupted_or_complete(
        opened,
        startup.sign_out(&server),
        || "Completing the sign-out",
    );
    let Some(ended) = ended? else {
        return Ok(ExitStatus::Interrupted);
    };
    let signed_out = ended.map_err(|error| of_server(&server, error))?;
    let name = printable(&server.name, NAME_CHARS);
    let more = match (signed_out.was_stored, signed_out.revocation) {
        (false, _) => {
            writeln!(std::io::stdout(), "You were not signed in to {name}.")?;
            return Ok(ExitStatus::AllReady);
        }
        (true, Revocation::Revoked) => "its tokens were revoked",
        (true, Revocation::NotOffered) => {
            "its sign-in service does not support revocation, so its tokens stay valid until they expire"
        }
        (true, Revocation::Failed) => {
            "its tokens could not be revoked and stay valid until they expire"
        }
    };
    writeln!(
        std::io::stdout(),
        "Signed out of {name}: the stored sign-in was removed, and {more}."
    )?;
    Ok(ExitStatus::AllReady)
}

/// A server, and the stores in which its sign-in is kept.
struct Opened {
    runtime: Runtime,
    stores: Stores,
    startup: Startup,
    server: ServerEntry,
}

impl Opened {
    fn new(
        source: &Source,
        user: &StoredUser,
        server: &str,
        client_document: Option<String>,
    ) -> Result<Self, CommandError> {
        let (selection, server) = selection::select_one(source, server)?;
        let runtime = crate::runtime()?;
        let stores = runtime.block_on(Stores::open(user))?;
        let mut options = stores.options(&selection.credentials);
        options.client_metadata_url = client_document;
        options.limit_option = Some("--timeout");
        Ok(Self {
            runtime,
            stores,
            startup: Startup::new(options)?,
            server,
        })
    }
}

/// The error of a sign-in or sign-out. A problem with the configuration entry is a usage error.
fn of_server(server: &ServerEntry, error: SignInError) -> CommandError {
    match error.kind() {
        SignInFailureKind::InvalidConfiguration => {
            let name = printable(&server.name, NAME_CHARS);
            CommandError::Usage(printable(&format!("{name}: {error}"), usize::MAX))
        }
        _ => error.into(),
    }
}
