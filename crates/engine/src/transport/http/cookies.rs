//! The cookies of one connection to a server. A load balancer sets them, so that all requests of a session reach the same replica.
//!
//! They are sent only to the origin of the server, as are all requests of [`super::McpHttp`], and end with the connection. Their attributes
//! are ignored, except for those that remove a cookie.

use std::sync::{Mutex, PoisonError};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// The maximum number of cookies, and the maximum size of all of them, in bytes. Many servers refuse longer headers.
const MAX_COOKIES: usize = 20;
const MAX_BYTES: usize = 4096;

/// The cookies that a server has set, as `name=value`, in the order of their first appearance.
#[derive(Default)]
pub(super) struct Cookies(Mutex<Vec<Vec<u8>>>);

impl Cookies {
    /// Keeps the cookies that a response sets, and removes those that it removes.
    pub fn receive(&self, headers: &HeaderMap) {
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for header in headers.get_all(SET_COOKIE) {
            let mut parts = header.as_bytes().split(|byte| *byte == b';');
            let cookie = parts.next().unwrap_or_default().trim_ascii();
            let Some(name) = name_of(cookie) else {
                continue;
            };
            let place = cookies
                .iter()
                .position(|known| name_of(known) == Some(name));
            if let Some(place) = place {
                cookies.remove(place);
            }
            let size: usize = cookies.iter().map(Vec::len).sum();
            let fits = size + cookie.len() <= MAX_BYTES && cookies.len() < MAX_COOKIES;
            if fits && !parts.any(removes) {
                let last = cookies.len();
                cookies.insert(place.unwrap_or(last), cookie.to_vec());
            }
        }
    }

    /// Adds the cookies to the headers of a request. A configured cookie is not replaced.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        let cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cookies.is_empty() {
            return;
        }
        let configured = headers.get(COOKIE).map(HeaderValue::as_bytes);
        let configured = configured.unwrap_or_default();
        let mut sent = configured.to_vec();
        for cookie in cookies.iter() {
            let mut names = configured.split(|byte| *byte == b';').map(name_of);
            if names.any(|name| name == name_of(cookie)) {
                continue;
            }
            if !sent.is_empty() {
                sent.extend_from_slice(b"; ");
            }
            sent.extend_from_slice(cookie);
        }
        // The parts were received in headers, so they can be sent in one.
        if let Ok(mut value) = HeaderValue::from_bytes(&sent) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

/// The name of a cookie; `None` if it has none.
fn name_of(cookie: &[u8]) -> Option<&[u8]> {
    let end = cookie.iter().position(|byte| *byte == b'=')?;
    let name = cookie[..end].trim_ascii();
    (!name.is_empty()).then_some(name)
}

/// Whether an attribute removes its cookie (RFC 6265, section 5.2.2), as far as that does not depend on the clock.
fn removes(attribute: &[u8]) -> bool {
    let attribute = attribute.trim_ascii().to_ascii_lowercase();
    let seconds = attribute.strip_prefix(b"max-age=");
    let is_over = seconds.is_some_and(|text| text == b"0" || text.starts_with(b"-"));
    let is_epoch =
        attribute.starts_with(b"expires=") && attribute.windows(4).any(|year| year == b"1970");
    is_over || is_epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(responses: &[&[&str]], configured: Option<&str>) -> Option<String> {
        let cookies = Cookies::default();
        for response in responses {
            let mut headers = HeaderMap::new();
            for value in *response {
                headers.append(SET_COOKIE, value.parse().unwrap());
            }
            cookies.receive(&headers);
        }
        let mut headers = HeaderMap::new();
        if let Some(configured) = configured {
            headers.insert(COOKIE, configured.parse().unwrap());
        }
        cookies.add_to(&mut headers);
        let value = headers.get(COOKIE)?;
        assert_eq!(value.is_sensitive(), !responses.is_empty(), "{responses:?}");
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_are_kept_replaced_and_removed() {
        let first: &[&str] = &[
            "AWSALB=a=b+c/1; Expires=Tue, 08 Dec 2026 03:00:00 GMT; Path=/",
            "route=\"7\"; HttpOnly; Secure",
        ];
        for (responses, configured, expected) in [
            (&[first][..], None, Some("AWSALB=a=b+c/1; route=\"7\"")),
            (&[first, &["AWSALB=2"]], None, Some("AWSALB=2; route=\"7\"")),
            (&[first, &["AWSALB=; Max-Age=0"]], None, Some("route=\"7\"")),
            (
                &[
                    first,
                    &["AWSALB=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT"],
                ],
                None,
                Some("route=\"7\""),
            ),
            (&[&["AWSALB=1; Max-Age=60"]], None, Some("AWSALB=1")),
            (&[&["nothing", "=1", ""]], None, None),
            (&[], Some("a=1"), Some("a=1")),
            (&[&["b=2"]], Some("a=1"), Some("a=1; b=2")),
            (&[&["a=2", "b=2"]], Some("c=3; a=1"), Some("c=3; a=1; b=2")),
        ] {
            let found = sent(responses, configured);
            assert_eq!(found.as_deref(), expected, "{responses:?} {configured:?}");
        }
    }

    #[test]
    fn cookies_are_bounded() {
        let cookies = Cookies::default();
        for number in 0..1000 {
            let mut headers = HeaderMap::new();
            let large = format!("large={}", "x".repeat(number * 10));
            for value in [format!("a{number}={number}"), large] {
                headers.append(SET_COOKIE, value.parse().unwrap());
            }
            cookies.receive(&headers);
        }
        let mut headers = HeaderMap::new();
        cookies.add_to(&mut headers);
        let value = headers.get(COOKIE).unwrap();
        assert!(value.len() <= MAX_BYTES + 2 * MAX_COOKIES);
        let sent = value.to_str().unwrap();
        assert_eq!(sent.split("; ").count(), MAX_COOKIES);
        assert!(!sent.contains("large="));
    }
}
