//! The listener on loopback to which a browser returns after a sign-in (RFC 8252, section 7.3). It finishes no sign-in itself.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use mcp_startup_config::ServerEntry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use url::{Position, Url};

/// The path of the redirect URL.
const CALLBACK: &str = "/callback";
/// How long the browser has to fetch its last page.
const LAST_PAGE_LIMIT: Duration = Duration::from_secs(1);

/// Where the browser returns.
pub struct Callbacks<'a> {
    /// The redirect URI, if it is configured.
    url: Option<&'a str>,
    /// The port on loopback; 0 for a free one.
    port: u16,
    /// Whether the host of the redirect URI is `localhost`, and not 127.0.0.1.
    by_name: bool,
}

impl<'a> Callbacks<'a> {
    /// The callbacks of a sign-in to `server`. The configuration applies, unless `port` is set.
    pub fn of(server: &'a ServerEntry, port: Option<u16>) -> Self {
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

    /// Listens on loopback.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if the port can't be listened on.
    pub async fn listen(&self) -> io::Result<Listener> {
        let first = listen((Ipv4Addr::LOCALHOST, self.port).into()).await?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        if self.by_name {
            // A browser may resolve the name to either address. Another program must not receive the code.
            match listen((Ipv6Addr::LOCALHOST, port).into()).await {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() != ErrorKind::AddrInUse => {}
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
        Ok(Listener {
            listeners,
            redirect_uri,
        })
    }
}

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("can't listen on {address}, where the browser returns to: {error}");
        io::Error::new(error.kind(), message)
    })
}

/// A listener whose redirect URI is known, and which answers no request yet.
#[derive(Debug)]
pub struct Listener {
    listeners: Vec<TcpListener>,
    redirect_uri: String,
}

impl Listener {
    /// The redirect URI of the sign-in.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Sends each callback to `callbacks`, and answers it with the page that the receiver chooses.
    pub fn serve(self, callbacks: mpsc::Sender<Callback>) -> Pages {
        Pages::serve(self.listeners, &router(&self.redirect_uri, callbacks))
    }
}

/// The URL that the user returned with, and the browser's pending request if it came from there.
#[derive(Debug)]
pub struct Callback {
    /// The complete URL.
    pub url: String,
    /// Where to send the page for the browser. `None` if the user has pasted the URL.
    pub page: Option<oneshot::Sender<Page>>,
}

/// The page that the browser shows after the sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The user is signed in.
    SignedIn,
    /// The sign-in failed. The program that began it has the details.
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
                "The sign-in has ended. Your terminal or app has the details. You can close this page.",
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
#[derive(Debug)]
pub struct Pages {
    end: watch::Sender<()>,
    serving: Vec<JoinHandle<io::Result<()>>>,
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
    pub async fn close(self) {
        drop(self.end);
        let all = futures::future::join_all(self.serving);
        let _ = tokio::time::timeout(LAST_PAGE_LIMIT, all).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn server(text: &str) -> ServerEntry {
        let variables: BTreeMap<String, String> = BTreeMap::new();
        let read = mcp_startup_config::parse(text, Path::new("file"), &variables);
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
            let Listener {
                listeners,
                redirect_uri,
            } = Callbacks::of(&server, option)
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
