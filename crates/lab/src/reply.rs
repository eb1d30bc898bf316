//! HTTP responses: builds them, and sends the replies of scenarios with their delays, hangs and endless bodies.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::scenario::{Body, Reply, ScenarioUrls};

/// A piece of a long body.
const CHUNK: Bytes = Bytes::from_static(&[b'a'; 64 * 1024]);
/// The pause between two chunks of an endless body.
const ENDLESS_INTERVAL: Duration = Duration::from_millis(100);

/// The response for a scenario's reply, after its delay. Never returns if the reply hangs.
pub(crate) async fn send(reply: &Reply, urls: &ScenarioUrls) -> Response {
    tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    if reply.hang {
        return std::future::pending().await;
    }
    if reply.close {
        // Axum cannot close a connection, so end the task that serves it. `resume_unwind` prints no panic message.
        resume_unwind(Box::new("the row closes the connection"));
    }
    let event_stream = reply.content_type.as_deref() == Some("text/event-stream");
    let (default_type, body) = match &reply.body {
        Body::Empty => (None, HttpBody::empty()),
        Body::Text(text) => (Some("text/plain"), HttpBody::from(urls.fill(text))),
        Body::Json(value) => {
            let text = urls.fill_json(value).to_string();
            (Some("application/json"), HttpBody::from(text))
        }
        Body::Form(fields) => {
            let fields = fields.iter().map(|(key, value)| (key, urls.fill(value)));
            let text = Serializer::new(String::new()).extend_pairs(fields).finish();
            (
                Some("application/x-www-form-urlencoded"),
                HttpBody::from(text),
            )
        }
        Body::Bytes(count) => (Some("application/json"), json_string(*count)),
        Body::Endless => (Some("application/json"), endless(event_stream)),
    };
    let status = match (reply.status, &reply.redirect) {
        (Some(status), _) => StatusCode::from_u16(status).unwrap_or_default(),
        (None, Some(_)) => StatusCode::TEMPORARY_REDIRECT,
        (None, None) => StatusCode::OK,
    };
    let mut response = respond(status, body);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(&urls.fill(value)) {
            headers.insert(name, value);
        }
    };
    if let Some(content_type) = reply.content_type.as_deref().or(default_type) {
        set(CONTENT_TYPE, content_type);
    }
    if let Some(location) = &reply.redirect {
        set(LOCATION, location);
    }
    for (name, value) in &reply.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            set(name, value);
        }
    }
    response
}

/// A response with a status and a body, without headers.
pub(crate) fn respond(status: StatusCode, body: impl Into<HttpBody>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// A JSON response.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    typed(status, "application/json", value.to_string())
}

/// A response with a content type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = respond(status, body);
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A JSON string of exactly this many bytes, including the quotes.
fn json_string(count: u64) -> HttpBody {
    let chunks = stream::unfold((0, count), |(sent, count)| async move {
        let chunk = match count - sent {
            0 => return None,
            _ if sent == 0 => Bytes::from_static(b"\""),
            1 => Bytes::from_static(b"\""),
            left => CHUNK.slice(
                ..CHUNK
                    .len()
                    .min(usize::try_from(left - 1).unwrap_or(usize::MAX)),
            ),
        };
        let sent = sent + chunk.len() as u64;
        Some((Ok::<_, Infallible>(chunk), (sent, count)))
    });
    HttpBody::from_stream(chunks)
}

/// A JSON string or, for an event stream, comments that never end.
fn endless(event_stream: bool) -> HttpBody {
    let (first, next) = if event_stream {
        (": wait\n\n", ": wait\n\n")
    } else {
        ("\"", "a")
    };
    let chunks = stream::unfold(first, move |chunk| async move {
        if chunk != first || event_stream {
            tokio::time::sleep(ENDLESS_INTERVAL).await;
        }
        Some((
            Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes())),
            next,
        ))
    });
    HttpBody::from_stream(chunks)
}
