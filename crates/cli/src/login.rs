//! `mcp-startup login` and `logout`.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use mcp_startup::auth::{Revocation, SignInBegun, SignInError, SignInFailureKind};
use mcp_startup::config::ServerEntry;
use mcp_startup::{Startup, StartupOptions, printable};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::CommandError;
use crate::arguments;
use crate::configuration;
use crate::exit_status::ExitStatus;
use crate::interruption::until_interrupted;

const NAME_CHARS: usize = 60;
/// The path of the redirect URL.
const CALLBACK: &str = "/callback";
/// So much is read of what is pasted, in bytes: nobody pastes more.
const MOST_PASTED: u64 = 1024 * 1024;
/// How long the browser has to fetch its last page.
const LAST_PAGE_LIMIT: Duration = Duration::from_secs(1);

/// Signs in to a server: in the user's browser, which comes back to a listener on loopback, or to what is pasted.
pub fn login(arguments: arguments::Login) -> Result<ExitStatus, CommandError> {
    let (startup, server) = startup_of(arguments.config.clone(), &arguments.server)?;
    let prompt = Prompt::default();
    let ended = until_interrupted(sign_in(&startup, &server, &arguments, &prompt));
    prompt.close();
    ended?.unwrap_or(Ok(ExitStatus::Interrupted))
}

async fn sign_in(
    startup: &Startup,
    server: &ServerEntry,
    arguments: &arguments::Login,
    prompt: &Prompt,
) -> Result<ExitStatus, CommandError> {
    let listener = listen(arguments.port).await?;
    let redirect_uri = format!("http://{}{CALLBACK}", listener.local_addr()?);
    let begun = startup.begin_sign_in(server, &redirect_uri).await;
    let begun = begun.map_err(|error| of_server(server, error))?;
    let name = printable(&server.name, NAME_CHARS);

    let (came_back, mut callbacks) = mpsc::channel(4);
    let pages = Pages::serve(listener, router(&redirect_uri, came_back.clone()));
    let deadline = Instant::now() + arguments.timeout;
    let mut browser = None;
    let mut asking = Box::pin(ask(
        &name,
        &begun,
        arguments,
        prompt,
        came_back,
        &mut browser,
    ));
    let mut has_asked = false;
    let mut said_wrong = HashSet::new();
    let finished = loop {
        let callback: Callback = tokio::select! {
            callback = callbacks.recv() => match callback {
                Some(callback) => callback,
                None => return Err(std::io::Error::other("nothing listens for the browser any more").into()),
            },
            () = &mut asking, if !has_asked => {
                has_asked = true;
                continue;
            }
            () = tokio::time::sleep_until(deadline) => {
                prompt.close();
                return Err(nobody_came(&name, arguments.timeout));
            }
        };
        let finished = startup.finish_sign_in(&begun.pending, &callback.url).await;
        let page = match &finished {
            Ok(()) => Page::SignedIn,
            // Somebody else's, or a mistake: the right one may still come.
            Err(error) if error.kind() == SignInFailureKind::InvalidCallback => Page::NotThis,
            Err(_) => Page::Ended,
        };
        let is_pasted = callback.page.is_none();
        if let Some(wanted) = callback.page {
            // A browser may have gone.
            let _ = wanted.send(page);
        }
        if page != Page::NotThis {
            break finished;
        }
        let wrong = finished.err().map(|error| error.to_string());
        let wrong = printable(&wrong.unwrap_or_default(), usize::MAX);
        // Each is said once: a page that keeps calling does not fill the terminal.
        if said_wrong.insert(wrong.clone()) || is_pasted {
            let asks = prompt.close() || is_pasted;
            let _ = writeln!(anstream::stderr(), "{wrong}");
            if asks {
                prompt.open();
            }
        }
    };
    drop(asking);
    prompt.close();
    // One that has the terminal, as `lynx` has, is left to its user first.
    if let Some(browser) = browser {
        let _ = browser.await;
    }
    let said = match finished {
        Ok(()) => writeln!(std::io::stdout(), "Signed in to {name}.").map_err(CommandError::from),
        Err(error) => Err(of_server(server, error)),
    };
    pages.close().await;
    said.map(|()| ExitStatus::AllReady)
}

async fn listen(port: u16) -> Result<TcpListener, CommandError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let hint = match port {
            0 => "",
            _ => "; choose another --port, or leave it out for a free one",
        };
        let message = format!("can't listen on 127.0.0.1:{port}, where the browser would come back to: {error}{hint}");
        std::io::Error::new(error.kind(), message).into()
    })
}

/// Sends the user to the sign-in, and takes what they paste until stdin ends.
async fn ask(
    name: &str,
    begun: &SignInBegun,
    arguments: &arguments::Login,
    prompt: &Prompt,
    came_back: mpsc::Sender<Callback>,
    browser: &mut Option<JoinHandle<()>>,
) {
    let mut stderr = anstream::stderr();
    // Whole: a part of it would lead nowhere.
    let url = printable(&begun.authorization_url, usize::MAX);
    let mut opened = false;
    if arguments.no_browser {
        let _ = writeln!(
            stderr,
            "To sign in to {name}, open this URL in a browser:\n\n  {url}\n"
        );
    } else {
        let _ = writeln!(
            stderr,
            "Your browser opens, to sign in to {name}. If it does not, open this URL:\n\n  {url}\n"
        );
        let (says, said) = oneshot::channel();
        let url = begun.authorization_url.clone();
        // Comes back at once, or when a browser of the terminal is left.
        *browser = Some(tokio::task::spawn_blocking(move || {
            let _ = says.send(webbrowser::open(&url).is_ok());
        }));
        opened = said.await.unwrap_or_default();
    }
    let is_terminal = std::io::stdin().is_terminal();
    if opened && !is_terminal {
        // It is somebody else's, then.
        return;
    }
    if !opened {
        let cause = match arguments.no_browser {
            true => "",
            false => "No browser could be opened here. ",
        };
        let _ = writeln!(
            stderr,
            "{cause}If the browser is on another machine, its last page does not load: copy the URL of that page, and paste it here."
        );
        prompt.open();
    }
    read_pasted(came_back, prompt).await;
    if !opened {
        prompt.close();
        let _ = writeln!(
            stderr,
            "Nothing more can be pasted here. A browser on this machine can still come back."
        );
    }
}

async fn read_pasted(came_back: mpsc::Sender<Callback>, prompt: &Prompt) {
    let mut stdin = BufReader::new(tokio::io::stdin().take(MOST_PASTED));
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
        if came_back.send(Callback { url, page: None }).await.is_err() {
            return;
        }
    }
}

fn nobody_came(name: &str, limit: Duration) -> CommandError {
    let message = format!(
        "nobody came back from the sign-in to {name} within {} s, and nothing was changed; try again, or give it more time with --timeout",
        limit.as_secs_f64()
    );
    std::io::Error::new(std::io::ErrorKind::TimedOut, message).into()
}

/// The line of a terminal at which a URL can be pasted. Where there is no terminal there is none.
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
            let mut stderr = anstream::stderr();
            let _ = write!(stderr, "URL: ").and_then(|()| stderr.flush());
        }
    }

    /// Enter was pressed.
    fn answered(&self) {
        self.is_open.set(false);
    }

    /// What comes next begins a line. Returns whether it was open.
    fn close(&self) -> bool {
        let was_open = self.is_open.replace(false);
        if was_open {
            let _ = writeln!(anstream::stderr());
        }
        was_open
    }
}

/// A URL that the user came back with, and who waits for a page, where it was the browser.
struct Callback {
    url: String,
    page: Option<oneshot::Sender<Page>>,
}

/// What a browser shows that came back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    SignedIn,
    /// The terminal says how.
    Ended,
    /// It is not what is waited for.
    NotThis,
}

impl IntoResponse for Page {
    fn into_response(self) -> axum::response::Response {
        let (status, title, text) = match self {
            Self::SignedIn => (
                StatusCode::OK,
                "Signed in",
                "You are signed in, and can close this page.",
            ),
            Self::Ended => (
                StatusCode::OK,
                "Sign-in ended",
                "The sign-in has ended: your terminal says how. You can close this page.",
            ),
            Self::NotThis => (
                StatusCode::BAD_REQUEST,
                "Not this sign-in",
                "This is not the answer to the sign-in that is waited for.",
            ),
        };
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
             <meta name=viewport content=\"width=device-width\"><style>:root{{color-scheme:light dark}}\
             body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1rem}}</style>\
             <h1>{title}</h1><p>{text}</p>\n"
        );
        // The URL of this page has the code in it.
        let headers = [
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'",
            ),
        ];
        (status, headers, Html(page)).into_response()
    }
}

fn router(redirect_uri: &str, came_back: mpsc::Sender<Callback>) -> Router {
    let origin = redirect_uri.trim_end_matches(CALLBACK).to_owned();
    Router::new()
        .route(CALLBACK, axum::routing::get(callback))
        .with_state((origin, came_back))
}

async fn callback(
    State((origin, came_back)): State<(String, mpsc::Sender<Callback>)>,
    uri: Uri,
) -> Page {
    let (page, answered) = oneshot::channel();
    let callback = Callback {
        url: format!("{origin}{uri}"),
        page: Some(page),
    };
    match came_back.send(callback).await {
        Ok(()) => answered.await.unwrap_or(Page::Ended),
        Err(_) => Page::Ended,
    }
}

/// The listener's pages, until it is dropped.
struct Pages {
    end: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Pages {
    fn serve(listener: TcpListener, router: Router) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = ended.await;
        });
        Self {
            end,
            serving: tokio::spawn(serving.into_future()),
        }
    }

    /// Takes no more requests, and waits until those that came have their page.
    async fn close(self) {
        drop(self.end);
        let _ = tokio::time::timeout(LAST_PAGE_LIMIT, self.serving).await;
    }
}

/// Signs out of a server: revokes what was granted, and removes it from every place where it is stored.
pub fn logout(arguments: arguments::Logout) -> Result<ExitStatus, CommandError> {
    let (startup, server) = startup_of(arguments.config, &arguments.server)?;
    let Some(ended) = until_interrupted(startup.sign_out(&server))? else {
        return Ok(ExitStatus::Interrupted);
    };
    let signed_out = ended.map_err(|error| of_server(&server, error))?;
    let name = printable(&server.name, NAME_CHARS);
    let more = match (signed_out.was_stored, signed_out.revocation) {
        (false, _) => {
            writeln!(std::io::stdout(), "You were not signed in to {name}.")?;
            return Ok(ExitStatus::AllReady);
        }
        (true, Revocation::Revoked) => "what was granted is revoked",
        (true, Revocation::NotOffered) => {
            "its sign-in service offers no revocation, so what was granted ends when it expires"
        }
        (true, Revocation::Failed) => {
            "what was granted could not be revoked, and ends when it expires"
        }
    };
    writeln!(
        std::io::stdout(),
        "Signed out of {name}: nothing is stored any more, and {more}."
    )?;
    Ok(ExitStatus::AllReady)
}

fn startup_of(
    config: Option<PathBuf>,
    server: &str,
) -> Result<(Startup, ServerEntry), CommandError> {
    let configuration = configuration::read(config)?;
    let options = StartupOptions::for_configuration(&configuration);
    let server = configuration.select(&[server.to_owned()])?.remove(0);
    Ok((Startup::new(options)?, server))
}

/// The error of a sign-in or sign-out, which may be that of an entry of the configuration.
fn of_server(server: &ServerEntry, error: SignInError) -> CommandError {
    match error.kind() {
        SignInFailureKind::InvalidConfiguration => {
            let name = printable(&server.name, NAME_CHARS);
            CommandError::Usage(printable(&format!("{name}: {error}"), usize::MAX))
        }
        _ => error.into(),
    }
}
