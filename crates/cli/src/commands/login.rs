//! `mcp-startup login` and `logout`.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{ErrorKind, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use mcp_startup::auth::{Revocation, SignInBegun, SignInError, SignInFailureKind};
use mcp_startup::config::ServerEntry;
use mcp_startup::{SignInOptions, Startup, StartupOptions, printable};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::{Position, Url};

use crate::CommandError;
use crate::arguments::{self, Source};
use crate::interruption::Interruption;
use crate::output::exit_status::ExitStatus;
use crate::selection;

const NAME_CHARS: usize = 60;
/// Longer than any host name with a port.
const HOST_CHARS: usize = 300;
/// The path of the redirect URL.
const CALLBACK: &str = "/callback";
/// How many bytes of pasted input are read.
const MAX_PASTED_BYTES: u64 = 1024 * 1024;
/// How long an interrupted command waits for what can't be undone: the exchange of a code, or a revocation.
const COMPLETION_LIMIT: Duration = Duration::from_secs(30);
/// How long the browser has to fetch its last page.
const LAST_PAGE_LIMIT: Duration = Duration::from_secs(1);

/// Signs in to a server in the user's browser, which returns to a listener on loopback. The user can paste the URL instead.
pub fn login(arguments: arguments::Login) -> Result<ExitStatus, CommandError> {
    let document = arguments.client_document.url.clone();
    let (startup, server) = startup_of(&arguments.source, &arguments.server, document)?;
    let prompt = Prompt::default();
    let work = sign_in(&startup, &server, &arguments, &prompt);
    let ended = until_interrupted_or_complete(&startup, work, || {
        prompt.close();
        "Completing the sign-in, so that the granted tokens are not lost"
    });
    prompt.close();
    ended?.unwrap_or(Ok(ExitStatus::Interrupted))
}

/// Runs a command. Returns `None` if it was interrupted. If it has begun a step that can't be undone, that step is completed even
/// then, and the user sees the text of `notice`. A second interruption ends the program immediately.
fn until_interrupted_or_complete<T>(
    startup: &Startup,
    work: impl Future<Output = T>,
    notice: impl FnOnce() -> &'static str,
) -> std::io::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let mut interruption = Interruption::listen()?;
        let done = tokio::select! {
            biased;
            () = interruption.next() => None,
            done = work => Some(done),
        };
        let mut completing = pin!(startup.finish());
        if done.is_some() || futures::poll!(completing.as_mut()).is_ready() {
            return Ok(done);
        }
        let _ = writeln!(
            anstream::stderr(),
            "{} (at most {} s). To exit now, press Ctrl-C again.",
            notice(),
            COMPLETION_LIMIT.as_secs()
        );
        tokio::select! {
            () = interruption.next() => {}
            _ = tokio::time::timeout(COMPLETION_LIMIT, completing) => {}
        }
        Ok(done)
    });
    // A host name lookup or a read of stdin can't be cancelled, and does not keep the process alive.
    runtime.shutdown_background();
    done
}

async fn sign_in(
    startup: &Startup,
    server: &ServerEntry,
    arguments: &arguments::Login,
    prompt: &Prompt,
) -> Result<ExitStatus, CommandError> {
    let (listeners, redirect_uri) = Callbacks::of(server, arguments.port).listen().await?;
    let mut options = SignInOptions::default();
    options.scopes.clone_from(&arguments.scopes);
    let begun = startup
        .begin_sign_in_with(server, &redirect_uri, &options)
        .await;
    let begun = begun.map_err(|error| of_server(server, error))?;
    let name = printable(&server.name, NAME_CHARS);

    let (callbacks_in, mut callbacks) = mpsc::channel(4);
    let pages = Pages::serve(listeners, &router(&redirect_uri, callbacks_in.clone()));
    let deadline = Instant::now() + arguments.timeout;
    let mut browser = None;
    let mut asking = Box::pin(ask(
        &name,
        &begun,
        arguments,
        prompt,
        callbacks_in,
        &mut browser,
    ));
    let mut has_asked = false;
    let mut printed = HashSet::new();
    let finished = loop {
        let callback: Callback = tokio::select! {
            callback = callbacks.recv() => match callback {
                Some(callback) => callback,
                None => return Err(std::io::Error::other("the listener for the browser has stopped").into()),
            },
            () = &mut asking, if !has_asked => {
                has_asked = true;
                continue;
            }
            () = tokio::time::sleep_until(deadline) => {
                prompt.close();
                return Err(timed_out(&name, arguments.timeout));
            }
        };
        let finished = startup.finish_sign_in(&begun.pending, &callback.url).await;
        let page = match &finished {
            Ok(()) => Page::SignedIn,
            // A mistake, or another program's request. The right one may still arrive.
            Err(error) if error.kind() == SignInFailureKind::InvalidCallback => Page::NotThis,
            Err(_) => Page::Ended,
        };
        let is_pasted = callback.page.is_none();
        if let Some(wanted) = callback.page {
            // The browser may have closed the connection.
            let _ = wanted.send(page);
        }
        if page != Page::NotThis {
            break finished;
        }
        let wrong = finished.err().map(|error| error.to_string());
        let wrong = printable(&wrong.unwrap_or_default(), usize::MAX);
        // Each message is printed once, so that a page that keeps reloading does not fill the terminal.
        if printed.insert(wrong.clone()) || is_pasted {
            let asks = prompt.close() || is_pasted;
            let _ = writeln!(anstream::stderr(), "{wrong}");
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
    pages.close().await;
    said.map(|()| ExitStatus::AllReady)
}

/// Where the browser returns.
struct Callbacks<'a> {
    /// The redirect URI, if it is configured.
    url: Option<&'a str>,
    /// The port on loopback; 0 for a free one.
    port: u16,
    /// Whether the host of the redirect URI is `localhost`, and not 127.0.0.1.
    by_name: bool,
}

impl<'a> Callbacks<'a> {
    /// The callbacks of a sign-in to `server`. The configuration applies, unless there is an option `--port`.
    fn of(server: &'a ServerEntry, port: Option<u16>) -> Self {
        let oauth = server.config.as_ref().ok().map(|config| &config.oauth);
        let url = oauth.and_then(|oauth| oauth.callback_url.as_deref());
        let parsed = url.and_then(|url| Url::parse(url).ok());
        let loopback = parsed.filter(|url| {
            url.scheme() == "http"
                && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
        });
        let own_port = loopback.as_ref().and_then(Url::port_or_known_default);
        let configured = oauth.and_then(|oauth| oauth.callback_port);
        Self {
            url,
            port: port.or(configured).or(own_port).unwrap_or_default(),
            by_name: match &loopback {
                Some(url) => url.host_str() != Some("127.0.0.1"),
                None => oauth.is_some_and(|oauth| oauth.callback_on_localhost),
            },
        }
    }

    /// Listens on loopback, and returns the redirect URI.
    async fn listen(&self) -> Result<(Vec<TcpListener>, String), CommandError> {
        let first = listen((Ipv4Addr::LOCALHOST, self.port).into()).await?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        if self.by_name {
            // A browser may resolve the name to either address. Another program must not receive the code.
            match listen((Ipv6Addr::LOCALHOST, port).into()).await {
                Ok(listener) => listeners.push(listener),
                Err(CommandError::Io(error)) if error.kind() != ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        let host = match self.by_name {
            true => "localhost",
            false => "127.0.0.1",
        };
        let redirect_uri = match self.url {
            Some(url) => url.to_owned(),
            None => format!("http://{host}:{port}{CALLBACK}"),
        };
        Ok((listeners, redirect_uri))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match address.port() {
            0 => "",
            _ => "; choose another --port, or omit it to use a free port",
        };
        let message =
            format!("can't listen on {address}, where the browser returns to: {error}{hint}");
        std::io::Error::new(error.kind(), message).into()
    })
}

/// Opens the sign-in in the browser, and reads pasted URLs until stdin ends.
async fn ask(
    name: &str,
    begun: &SignInBegun,
    arguments: &arguments::Login,
    prompt: &Prompt,
    callbacks_in: mpsc::Sender<Callback>,
    browser: &mut Option<JoinHandle<()>>,
) {
    let mut stderr = anstream::stderr();
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
            let _ = says.send(crate::browser::open(&url));
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
    read_pasted(callbacks_in, prompt).await;
    if !opened {
        prompt.close();
        let _ = writeln!(
            stderr,
            "Stdin has ended, so no URL can be pasted. A browser on this machine can still complete the sign-in."
        );
    }
}

async fn read_pasted(callbacks_in: mpsc::Sender<Callback>, prompt: &Prompt) {
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
        if callbacks_in
            .send(Callback { url, page: None })
            .await
            .is_err()
        {
            return;
        }
    }
}

fn timed_out(name: &str, limit: Duration) -> CommandError {
    let message = format!(
        "the sign-in to {name} was not completed within {} s, and nothing was changed; try again, or allow more time with --timeout",
        limit.as_secs_f64()
    );
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
            let mut stderr = anstream::stderr();
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
            let _ = writeln!(anstream::stderr());
        }
        was_open
    }
}

/// The URL that the user returned with, and the browser's pending request if it came from there.
struct Callback {
    url: String,
    page: Option<oneshot::Sender<Page>>,
}

/// The page that the browser shows after the sign-in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    SignedIn,
    /// The terminal has the details.
    Ended,
    /// It is not the expected callback.
    NotThis,
}

impl IntoResponse for Page {
    fn into_response(self) -> axum::response::Response {
        let (status, title, text) = match self {
            Self::SignedIn => (
                StatusCode::OK,
                "Signed in",
                "You are signed in. You can close this page.",
            ),
            Self::Ended => (
                StatusCode::OK,
                "Sign-in ended",
                "The sign-in has ended. Your terminal has the details. You can close this page.",
            ),
            Self::NotThis => (
                StatusCode::BAD_REQUEST,
                "Not this sign-in",
                "This is not the response to the current sign-in.",
            ),
        };
        let page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
             <meta name=viewport content=\"width=device-width\"><style>:root{{color-scheme:light dark}}\
             body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1rem}}</style>\
             <h1>{title}</h1><p>{text}</p>\n"
        );
        // The URL of this page contains the authorization code.
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

fn router(redirect_uri: &str, callbacks_in: mpsc::Sender<Callback>) -> Router {
    let (origin, path) = match Url::parse(redirect_uri) {
        Ok(url) => (
            url[..Position::BeforePath].to_owned(),
            url.path().to_owned(),
        ),
        Err(_) => (redirect_uri.to_owned(), CALLBACK.to_owned()),
    };
    let expected = Expected {
        origin,
        path,
        callbacks_in,
    };
    Router::new()
        .fallback(axum::routing::get(callback))
        .with_state(expected)
}

/// The redirect URI, and where its callbacks go.
#[derive(Clone)]
struct Expected {
    origin: String,
    path: String,
    callbacks_in: mpsc::Sender<Callback>,
}

async fn callback(State(expected): State<Expected>, uri: Uri) -> Result<Page, StatusCode> {
    if uri.path() != expected.path {
        return Err(StatusCode::NOT_FOUND);
    }
    let (page, answered) = oneshot::channel();
    let callback = Callback {
        url: format!("{}{uri}", expected.origin),
        page: Some(page),
    };
    Ok(match expected.callbacks_in.send(callback).await {
        Ok(()) => answered.await.unwrap_or(Page::Ended),
        Err(_) => Page::Ended,
    })
}

/// Serves the pages of the listeners until it is dropped.
struct Pages {
    end: watch::Sender<()>,
    serving: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Pages {
    fn serve(listeners: Vec<TcpListener>, router: &Router) -> Self {
        let end = watch::Sender::new(());
        let serving = listeners.into_iter().map(|listener| {
            let mut ended = end.subscribe();
            let serving = axum::serve(listener, router.clone());
            let serving = serving.with_graceful_shutdown(async move {
                let _ = ended.changed().await;
            });
            tokio::spawn(serving.into_future())
        });
        let serving = serving.collect();
        Self { end, serving }
    }

    /// Accepts no more requests, and waits until the pending ones are answered.
    async fn close(self) {
        drop(self.end);
        let all = futures::future::join_all(self.serving);
        let _ = tokio::time::timeout(LAST_PAGE_LIMIT, all).await;
    }
}

/// Signs out of a server: revokes its tokens, and removes them from every store.
pub fn logout(arguments: arguments::Logout) -> Result<ExitStatus, CommandError> {
    let (startup, server) = startup_of(&arguments.source, &arguments.server, None)?;
    let ended = until_interrupted_or_complete(
        &startup,
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

fn startup_of(
    source: &Source,
    server: &str,
    client_document: Option<String>,
) -> Result<(Startup, ServerEntry), CommandError> {
    let (selection, server) = selection::select_one(source, server)?;
    let mut options = StartupOptions::for_credentials(&selection.credentials);
    options.client_metadata_url = client_document;
    Ok((Startup::new(options)?, server))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn server(text: &str) -> ServerEntry {
        let variables: BTreeMap<String, String> = BTreeMap::new();
        let read = mcp_startup::config::parse(text, Path::new("file"), &variables);
        read.expect("a configuration").servers.remove(0)
    }

    #[tokio::test]
    async fn the_redirect_uri_is_that_of_the_configuration() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let port = free
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let toml = |root: &str, entry: &str| {
            server(&format!(
                "{root}\n[mcp_servers.a]\nurl = 'https://a.example'\n{entry}"
            ))
        };
        let json = |oauth: &str| {
            let entry = format!(r#"{{"url":"https://a.example","oauth":{{{oauth}}}}}"#);
            server(&format!(r#"{{"mcpServers":{{"a":{entry}}}}}"#))
        };
        // The server, the option, the redirect URI with `PORT` for the port of the listener, and whether the port is fixed.
        for (server, option, expected, is_fixed) in [
            (
                toml("", ""),
                None,
                "http://127.0.0.1:PORT/callback".to_owned(),
                false,
            ),
            (
                toml("", ""),
                Some(port),
                "http://127.0.0.1:PORT/callback".to_owned(),
                true,
            ),
            (
                toml(&format!("mcp_oauth_callback_port = {port}"), ""),
                None,
                "http://127.0.0.1:PORT/callback".to_owned(),
                true,
            ),
            (
                toml(&format!("mcp_oauth_callback_port = {port}"), ""),
                Some(0),
                "http://127.0.0.1:PORT/callback".to_owned(),
                false,
            ),
            (
                toml(
                    &format!("mcp_oauth_callback_url = 'http://localhost:{port}/cb'"),
                    "",
                ),
                None,
                "http://localhost:PORT/cb".to_owned(),
                true,
            ),
            (
                toml(
                    &format!(
                        "mcp_oauth_callback_url = 'https://box.example/cb'\nmcp_oauth_callback_port = {port}"
                    ),
                    "",
                ),
                None,
                "https://box.example/cb".to_owned(),
                true,
            ),
            (
                json(""),
                None,
                "http://127.0.0.1:PORT/callback".to_owned(),
                false,
            ),
            (
                json(r#""clientId":"c""#),
                None,
                "http://localhost:PORT/callback".to_owned(),
                false,
            ),
            (
                json(&format!(r#""clientId":"c","callbackPort":{port}"#)),
                None,
                "http://localhost:PORT/callback".to_owned(),
                true,
            ),
            (
                json(&format!(r#""redirectUri":"http://127.0.0.1:{port}/x""#)),
                None,
                "http://127.0.0.1:PORT/x".to_owned(),
                true,
            ),
        ] {
            let (listeners, redirect_uri) = Callbacks::of(&server, option)
                .listen()
                .await
                .expect("listeners");
            let ports: Vec<u16> = listeners
                .iter()
                .map(|listener| listener.local_addr().expect("an address").port())
                .collect();
            assert!(ports.iter().all(|found| *found == ports[0]), "{ports:?}");
            assert_eq!(
                redirect_uri,
                expected.replace("PORT", &ports[0].to_string())
            );
            assert_eq!(ports[0] == port, is_fixed, "{expected}");
        }
    }
}
