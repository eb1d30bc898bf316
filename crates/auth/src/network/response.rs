//! Reads a response body within a size limit, and classifies the errors of a request.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use mcp_startup_core::{CertificateProblem, IoTrouble};

use super::content_encoding::decoded_body;
use super::system_trust::certificate_problem;

/// Classifies the error of a request without a complete response.
pub fn trouble(error: &reqwest::Error) -> IoTrouble {
    if error.is_timeout() {
        return IoTrouble::Timeout;
    }
    // The connector errors of hyper-util are private; only their text distinguishes them.
    let is_dns = has_cause(error, &|cause| cause.to_string() == "dns error");
    let tls = |matches: fn(&rustls::Error) -> bool| {
        has_cause(error, &|cause| cause.downcast_ref().is_some_and(matches))
    };
    // The answer is not a message of TLS: the server may speak HTTP without TLS at this port.
    let is_other = tls(|error| matches!(error, rustls::Error::InvalidMessage(_)));
    let is_hyper = |matches: fn(&hyper::Error) -> bool| {
        has_cause(error, &|cause| cause.downcast_ref().is_some_and(matches))
    };
    if is_other {
        IoTrouble::Malformed
    } else if tls(|_| true) {
        IoTrouble::Tls
    } else if is_dns {
        IoTrouble::Dns
    } else if has_cause(error, &|cause| {
        cause.to_string() == "tunnel error: unsuccessful"
    }) {
        IoTrouble::ProxyRefused
    } else if error.is_connect() {
        IoTrouble::Connect
    } else if is_hyper(hyper::Error::is_parse_too_large) {
        IoTrouble::TooLarge
    } else if is_hyper(hyper::Error::is_parse) || has_cause(error, &is_malformed_body) {
        IoTrouble::Malformed
    } else {
        IoTrouble::Closed
    }
}

/// Whether a proxy refused to connect to a server because it requires a user name and a password (RFC 9110, section 15.5.8).
pub fn proxy_requires_password(error: &reqwest::Error) -> bool {
    // The error of hyper-util is private; only its text distinguishes it.
    has_cause(error, &|cause| {
        cause.to_string().ends_with("proxy authorization required")
    })
}

/// When a server asks to try again: its `Retry-After` (RFC 9110, section 10.2.3), or the end of a rate limit in seconds that some servers
/// send instead.
pub fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Cow<'_, str>> {
    const RESETS: [&str; 2] = ["ratelimit-reset", "x-ratelimit-reset-after"];
    let text = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    };
    text(RETRY_AFTER.as_str()).or_else(|| {
        // Other responses have these headers too.
        let mut resets = RESETS.iter().filter_map(|name| text(name));
        resets.find(|seconds| {
            status == StatusCode::TOO_MANY_REQUESTS && seconds.parse::<u32>().is_ok()
        })
    })
}

/// Whether an error means that a body is not framed as HTTP requires, for example by the size of a chunk.
fn is_malformed_body(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| matches!(error.kind(), InvalidData | InvalidInput))
}

/// Why the certificate of the server was not accepted, if that is the cause of the error.
pub(super) fn certificate_problem_of(error: &reqwest::Error) -> Option<CertificateProblem> {
    let problem = Cell::new(None);
    has_cause(error, &|cause| {
        let found = cause.downcast_ref().and_then(certificate_problem);
        problem.set(found);
        found.is_some()
    });
    problem.get()
}

/// Whether an error or one of its causes matches. It also checks the error inside an `io::Error`, which is not a source of it.
pub(super) fn has_cause(
    error: &(dyn Error + 'static),
    matches: &dyn Fn(&(dyn Error + 'static)) -> bool,
) -> bool {
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    matches(error)
        || wrapped.is_some_and(|wrapped| has_cause(wrapped, matches))
        || error
            .source()
            .is_some_and(|source| has_cause(source, matches))
}

/// A response body that could not be read completely.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than the limit, in bytes.
    #[error("the response is larger than {0} bytes")]
    TooLarge(usize),
    /// The body can't be decoded: the content encoding is unknown, or the data is damaged. It contains the value of the
    /// `Content-Encoding` header (RFC 9110, section 8.4).
    #[error("the response can't be decoded; its content encoding is {0}")]
    Encoding(String),
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
}

impl BodyError {
    /// Converts the error to evidence.
    pub fn trouble(&self) -> IoTrouble {
        match self {
            Self::TooLarge(_) => IoTrouble::TooLarge,
            Self::Encoding(_) => IoTrouble::Malformed,
            Self::Broken(error) => trouble(error),
        }
    }
}

/// Reads a response body of at most `limit` bytes, after its content encodings are removed. It never holds more than `limit` bytes in memory, apart from one chunk.
/// A byte order mark at its beginning is removed, because some servers send one before JSON (RFC 8259, section 8.1).
///
/// # Errors
///
/// [`BodyError`] if the body is larger than `limit` or can't be decoded, or if the connection breaks.
pub async fn read_body(response: reqwest::Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    read_chunks_into(&mut body, decoded_body(response), limit).await?;
    Ok(body)
}

/// Reads the chunks of a response body as [`read_body`] does. After an error, or if the future is dropped, `body` has the part that was
/// received.
pub(crate) async fn read_chunks_into(
    body: &mut Vec<u8>,
    mut chunks: impl Stream<Item = Result<Bytes, BodyError>> + Unpin,
    limit: usize,
) -> Result<(), BodyError> {
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    let mark = body.len() - without_byte_order_mark(body).len();
    body.drain(..mark);
    Ok(())
}

/// Returns a text in UTF-8 without the byte order mark at its beginning. JSON must not have one, and a reader may ignore it
/// (RFC 8259, section 8.1).
pub fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// The challenges of a response (RFC 9110, section 11.6.1). Amazon API Gateway renames their header.
pub fn challenges(headers: &HeaderMap) -> impl Iterator<Item = &HeaderValue> {
    const RENAMED: &str = "x-amzn-remapped-www-authenticate";
    let sent = headers.get_all(WWW_AUTHENTICATE).into_iter();
    sent.chain(headers.get_all(RENAMED))
}
