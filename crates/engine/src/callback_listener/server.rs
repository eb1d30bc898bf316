//! The HTTP server of the listener, with limits for foreign requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::select_all;
use http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use url::{Position, Url};

use super::{Callback, CallbackPage, LAST_PAGE_LIMIT};

/// How many connections are served at the same time. A browser opens a few, also without a request.
const MAX_CONNECTIONS: usize = 16;
/// The largest head of a request. Longer than any URL that a browser is redirected to.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a client has to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a client without a request keeps its connection if another one waits for it. Otherwise, idle connections would delay the
/// browser by [`HEAD_LIMIT`].
const IDLE_LIMIT: Duration = Duration::from_millis(500);
/// How long to wait if no connection can be accepted, for example because the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The redirect URI, and where its callbacks go.
#[derive(Clone)]
struct Expected {
    origin: String,
    path: String,
    callbacks: mpsc::Sender<Callback>,
}

/// A connection that is served.
struct Connection {
    since: Instant,
    has_request: Arc<AtomicBool>,
    task: AbortHandle,
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
    // In the order in which they were accepted.
    let mut accepted_connections: VecDeque<Connection> = VecDeque::new();
    loop {
        accepted_connections.retain(|connection| !connection.task.is_finished());
        let is_full = connections.len() >= MAX_CONNECTIONS;
        let idle = accepted_connections
            .iter()
            .position(|connection| !connection.has_request.load(Ordering::Relaxed));
        let oldest_idle = async {
            match idle {
                Some(at) => sleep_until(accepted_connections[at].since + IDLE_LIMIT).await,
                None => std::future::pending().await,
            }
            idle
        };
        let accepted = async {
            let accepting = listeners.iter().map(|listener| Box::pin(listener.accept()));
            select_all(accepting).await.0
        };
        tokio::select! {
            _ = ended.changed() => break,
            Some(_) = connections.join_next() => {}
            Some(at) = oldest_idle, if is_full => {
                // Its request may have arrived in the meantime.
                let connection = &accepted_connections[at];
                if !connection.has_request.load(Ordering::Relaxed) {
                    connection.task.abort();
                    connections.join_next().await;
                }
            }
            accepted = accepted, if !is_full => match accepted {
                Ok((stream, _)) => {
                    let has_request = Arc::<AtomicBool>::default();
                    let serving = connection(stream, expected.clone(), ended.clone(), has_request.clone());
                    let task = connections.spawn(serving);
                    accepted_connections.push_back(Connection {
                        since: Instant::now(),
                        has_request,
                        task,
                    });
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

async fn connection(
    stream: TcpStream,
    expected: Expected,
    mut ended: watch::Receiver<()>,
    has_request: Arc<AtomicBool>,
) {
    let service = service_fn(|request| {
        has_request.store(true, Ordering::Relaxed);
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
    // Some authorization servers add a slash to the path.
    let path = request.uri().path().trim_end_matches('/');
    if path != expected.path.trim_end_matches('/') {
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
