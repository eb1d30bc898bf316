//! Builds the headers of requests and reads the headers of responses.

use http::header::{ACCEPT, CONTENT_TYPE, InvalidHeaderValue, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_startup_auth::network::challenges;
use mcp_startup_config::{HttpConfig, MAX_HEADERS};
use secrecy::ExposeSecret;
use url::Url;

use super::JSON;

/// The configured headers of a server. Headers that are invalid in HTTP are left out, and those that exceed the maximum number: a
/// `HeaderMap` that is full panics.
pub(crate) fn configured_headers(config: &HttpConfig) -> HeaderMap {
    let headers = config
        .headers
        .iter()
        .take(MAX_HEADERS)
        .filter_map(|header| {
            let name = HeaderName::try_from(header.name.as_str()).ok()?;
            Some((name, sensitive(header.value.expose_secret()).ok()?))
        });
    headers.collect()
}

/// The headers for the media type of a message and for those of its answer.
pub(crate) fn media_types() -> [(HeaderName, HeaderValue); 2] {
    [
        (
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        ),
        (CONTENT_TYPE, HeaderValue::from_static(JSON)),
    ]
}

pub(super) fn sensitive(value: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// All `WWW-Authenticate` headers of a response as one list (RFC 9110, section 5.2).
pub(crate) fn challenge(headers: &HeaderMap) -> Option<String> {
    let challenges: Vec<_> = challenges(headers)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!challenges.is_empty()).then(|| challenges.join(", "))
}

pub(super) fn location(base: &Url, headers: &HeaderMap) -> Option<Url> {
    base.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// Whether each part of a path is a short word, as no key is: `/v1/mcp/`, `/login.html`.
pub(super) fn is_path_of_words(path: &str) -> bool {
    const MAX_PATH: usize = 60;
    const MAX_PART: usize = 12;
    const MAX_DIGITS: usize = 2;
    let is_word = |part: &str| {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        part.len() <= MAX_PART
            && part.bytes().all(is_plain)
            && part.bytes().filter(u8::is_ascii_digit).count() <= MAX_DIGITS
    };
    path.len() <= MAX_PATH && path.split('/').all(is_word)
}

pub(super) fn media_type(response: &reqwest::Response) -> String {
    response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|media_type| media_type.trim().to_ascii_lowercase())
        .unwrap_or_default()
}
