//! The HTTP server of the listener, with limits for foreign requests.

use std::convert::Infallible;
use std::time::Duration;

use futures::future::select_all;
use http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use url::{Position, Url};

use super::{Callback, CallbackPage, LAST_PAGE_LIMIT};

/// How many connections are served at the same time. A browser opens a few, also without a request.
const MAX_CONNECTIONS: usize = 16;
/// The largest head of a request. Longer than any URL that a browser is redirected to.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a client has to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait if no connection can be accepted, for example because the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The redirect URI, and where its callbacks go.
#[derive(Clone)]
struct Expected {
    origin: String,
    path: String,
    callbacks: mpsc::Sender<Callback>,
}

/// Serves the listeners until the sender of `ended` is dropped.
pub(super) async fn serve(
    listeners: Vec<TcpListener>,
    redirect_uri: String,
    callbacks: mpsc::Sender<Callback>,
    mut ended: watch::Receiver<()>,
) {
    let (origin, path) = match Url::parse(&redirect_uri) {
        Ok(url) => (
            url[..Position::BeforePath].to_owned(),
            url.path().to_owned(),
        ),
        Err(_) => (redirect_uri, "/".to_owned()),
    };
    let expected = Expected {
        origin,
        path,
        callbacks,
    };
    let mut connections = JoinSet::new();
    loop {
        let is_full = connections.len() >= MAX_CONNECTIONS;
        let accepted = async {
            let accepting = listeners.iter().map(|listener| Box::pin(listener.accept()));
            select_all(accepting).await.0
        };
        tokio::select! {
            _ = ended.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = accepted, if !is_full => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, expected.clone(), ended.clone()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listeners);
    // The set aborts the connections that are left.
    let _ = timeout(LAST_PAGE_LIMIT, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn connection(stream: TcpStream, expected: Expected, mut ended: watch::Receiver<()>) {
    let service = service_fn(|request| {
        let expected = expected.clone();
        async move { Ok::<_, Infallible>(respond(&request, &expected).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = &mut serving => return,
        _ = ended.changed() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn respond<B>(request: &Request<B>, expected: &Expected) -> Response<String> {
    let status = |status| {
        let mut response = Response::new(String::new());
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != expected.path {
        return status(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::GET {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let query = request.uri().query();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let (page, answered) = oneshot::channel();
    let callback = Callback {
        url: format!("{}{}{query}", expected.origin, expected.path),
        page,
    };
    let page = match expected.callbacks.send(callback).await {
        Ok(()) => answered.await.unwrap_or(CallbackPage::Ended),
        Err(_) => CallbackPage::Ended,
    };
    page.response()
}
