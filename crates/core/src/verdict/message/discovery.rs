//! The words for a discovery that found no authorization server because a request failed.

use std::borrow::Cow;

use crate::evidence::{IoTrouble, RequestEvidence, RequestTarget};
use crate::refusal::is_transient;

use super::super::facts::text_of;
use super::authorization::issuer;
use super::http::try_again_after;

/// Describes the request because of which a discovery is incomplete, with its address and its status or trouble. Also returns the next
/// step with the punctuation before it, as `Retry-After` specifies. `None` if all requests were answered.
#[doc(hidden)]
pub fn failed_discovery(requests: &[RequestEvidence]) -> Option<(String, Cow<'static, str>)> {
    let failed = || requests.iter().rev().filter(|request| has_failed(request));
    let named = failed().find(|request| text_of(&request.retry_after).is_some());
    let request = named.or_else(|| failed().next())?;
    let url = text_of(&request.url).map_or_else(|| "its address".to_owned(), issuer);
    let what = match (request.io, request.status) {
        (None | Some(IoTrouble::TooLarge), status) => {
            format!("HTTP {} from {url}", status.unwrap_or_default())
        }
        (Some(IoTrouble::Dns), _) => format!("the host name of {url} could not be resolved"),
        (Some(IoTrouble::Connect), _) => format!("the connection to {url} failed"),
        (Some(IoTrouble::ProxyRefused), _) => {
            format!("the proxy refused to connect to {url}")
        }
        (Some(IoTrouble::Tls), _) => format!("the secure (TLS) connection to {url} failed"),
        (Some(IoTrouble::Closed), _) => format!("the connection to {url} was closed"),
        (Some(IoTrouble::Timeout), _) => format!("{url} did not answer in time"),
        (Some(IoTrouble::Malformed), _) => format!("the answer from {url} can't be read"),
    };
    Some((what, try_again_after(Some(request))))
}

/// Returns whether it is unknown after this request whether there is a document. One that is too large is none.
fn has_failed(request: &RequestEvidence) -> bool {
    let has_trouble = !matches!(request.io, None | Some(IoTrouble::TooLarge));
    request.to == Some(RequestTarget::Discovery)
        && (has_trouble || request.status.is_some_and(is_transient))
}
