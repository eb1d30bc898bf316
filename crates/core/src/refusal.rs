//! Interprets the response to a token refresh that returned no token.
//!
//! The known error codes and their sources are in the table `refusals.tsv`.

mod body;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::evidence::ClientSource;
use crate::json_members::{json_members, json_text};

pub(crate) use self::body::form_field;
pub use self::body::{description, named_description};

/// The meaning of a token refresh that returned no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase")
)]
pub enum RefusalMeaning {
    /// The grant or the OAuth client it was issued to is no longer valid. The stored credential can no longer be used; the
    /// user has to sign in again.
    Spent,
    /// The authorization server rejected the OAuth client in the configuration. Signing in again does not help.
    ClientRejected,
    /// The authorization server does not recognize the resource (`invalid_target`, RFC 8707, section 2).
    Misconfigured,
    /// The authorization server refused, but it is unknown whether the refusal is permanent. The stored credential is kept,
    /// and signing in again may help.
    Undecided,
    /// There was no response, or the response was not a refusal. A later refresh may succeed.
    Transient,
}

/// Returns the meaning of a token refresh that returned no token.
///
/// A response with the status 408, 425, 429 or 5xx is not a refusal. Any other response without a known error code may be a
/// permanent refusal, so it is [`Undecided`](RefusalMeaning::Undecided).
///
/// * `status`: the HTTP status. `None` if there was no complete response.
/// * `oauth_error`: the OAuth error code in the body, see [`error_code`]. `None` if there is none.
/// * `client`: the source of the OAuth client. If it is `None`, the rejection of a client is
///   [`Undecided`](RefusalMeaning::Undecided), because a new sign-in fixes it only for a client that is not in the
///   configuration.
///
/// ```
/// use mcp_startup_core::{refusal::{meaning, RefusalMeaning}, ClientSource};
///
/// assert_eq!(meaning(Some(400), Some("invalid_grant"), None), RefusalMeaning::Spent);
/// // An error code counts with HTTP 200 too, but not with 503. It is compared exactly.
/// assert_eq!(meaning(Some(200), Some("token_revoked"), None), RefusalMeaning::Spent);
/// assert_eq!(meaning(Some(503), Some("invalid_grant"), None), RefusalMeaning::Transient);
/// assert_eq!(meaning(Some(400), Some("Invalid Grant"), None), RefusalMeaning::Undecided);
/// assert_eq!(meaning(Some(401), Some("invalid_client"), Some(ClientSource::Configuration)), RefusalMeaning::ClientRejected);
/// ```
pub fn meaning(
    status: Option<u16>,
    oauth_error: Option<&str>,
    client: Option<ClientSource>,
) -> RefusalMeaning {
    if status.is_none_or(is_transient) {
        return RefusalMeaning::Transient;
    }
    match oauth_error.and_then(|code| TABLE.get(code)) {
        Some(Row::Spent) => RefusalMeaning::Spent,
        Some(Row::Target) => RefusalMeaning::Misconfigured,
        Some(Row::Client) => match client {
            Some(ClientSource::Configuration) => RefusalMeaning::ClientRejected,
            Some(ClientSource::Registration | ClientSource::MetadataDocument) => {
                RefusalMeaning::Spent
            }
            None => RefusalMeaning::Undecided,
        },
        Some(Row::Undecided) | None => RefusalMeaning::Undecided,
    }
}

/// Returns whether the same request may succeed later, as its HTTP status shows (RFC 9110, sections 15.5.9 and 15.6; RFC 6585,
/// section 4; RFC 8470, section 5.2).
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

/// Returns the OAuth error code in the body of a response.
///
/// Reads `error` from a JSON object (RFC 6749, section 5.2), of which other parts may be invalid, or from a form (`application/x-www-form-urlencoded`), as some
/// vendors send it. Returns `None` if the body is neither of them or contains no error code.
///
/// ```
/// use mcp_startup_core::refusal::error_code;
///
/// assert_eq!(error_code(br#"{"ok":false,"error":"token_expired"}"#).as_deref(), Some("token_expired"));
/// assert_eq!(error_code(b"error=bad_refresh_token&error_description=The+refresh+token").as_deref(), Some("bad_refresh_token"));
/// assert_eq!(error_code(br#"{"error":"invalid_grant","x":NaN}<!-- 3 ms -->"#).as_deref(), Some("invalid_grant"));
/// assert_eq!(error_code(b"<html>502</html>"), None);
/// ```
pub fn error_code(body: &[u8]) -> Option<String> {
    let text = body::text(body);
    let code = match text.starts_with('{') {
        true => {
            let (_, json) = json_members(&text).find(|(name, _)| name == "error")?;
            json_text(json)?
        }
        false => body::form_field(&text, "error")?,
    };
    // The characters of a code (RFC 6749, appendix A.7).
    let is_code = !code.is_empty()
        && code.len() <= 200
        && code
            .bytes()
            .all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    is_code.then_some(code)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Spent,
    Client,
    Target,
    Undecided,
}

static TABLE: LazyLock<HashMap<&'static str, Row>> = LazyLock::new(|| {
    rows()
        .filter_map(|(code, row, _)| Some((code, row?)))
        .collect()
});

/// The rows of the table: code, meaning, source.
fn rows() -> impl Iterator<Item = (&'static str, Option<Row>, &'static str)> {
    include_str!("refusals.tsv")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let mut column = || columns.next().unwrap_or_default();
            let (code, meaning, source) = (column(), column(), column());
            let row = match meaning {
                "spent" => Some(Row::Spent),
                "client" => Some(Row::Client),
                "target" => Some(Row::Target),
                "undecided" => Some(Row::Undecided),
                _ => None,
            };
            (code, row, source)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_has_one_meaning_and_a_source() {
        let mut seen = std::collections::HashSet::new();
        for (code, row, source) in rows() {
            assert!(row.is_some(), "{code} has no known meaning");
            assert!(
                source.starts_with("https://") && source.len() > 12,
                "{code} has no source"
            );
            assert!(seen.insert(code), "{code} is listed twice");
            assert_eq!(
                error_code(format!("{{\"error\":\"{code}\"}}").as_bytes()).as_deref(),
                Some(code)
            );
            assert_eq!(
                error_code(format!("x=y&error={code}").as_bytes()).as_deref(),
                Some(code)
            );
        }
        assert!(seen.len() >= 15);
    }

    #[test]
    fn the_meaning_depends_on_status_code_and_client() {
        use ClientSource::*;
        use RefusalMeaning::*;
        let cases = [
            (Some(400), Some("invalid_grant"), None, Spent),
            (Some(200), Some("invalid_grant"), None, Spent),
            (Some(400), Some("unsupported_grant_type"), None, Spent),
            (Some(400), Some("interaction_required"), None, Spent),
            (Some(400), Some("login_required"), None, Spent),
            (Some(400), Some("consent_required"), None, Spent),
            (Some(401), Some("invalid_client"), Some(Registration), Spent),
            (
                Some(401),
                Some("invalid_client"),
                Some(MetadataDocument),
                Spent,
            ),
            (
                Some(401),
                Some("invalid_client"),
                Some(Configuration),
                ClientRejected,
            ),
            (Some(401), Some("invalid_client"), None, Undecided),
            (
                Some(400),
                Some("unauthorized_client"),
                Some(Registration),
                Spent,
            ),
            (
                Some(400),
                Some("unauthorized_client"),
                Some(Configuration),
                ClientRejected,
            ),
            (Some(200), Some("invalid_refresh_token"), None, Spent),
            (Some(200), Some("bad_refresh_token"), None, Spent),
            (Some(400), Some("invalid_target"), None, Misconfigured),
            (Some(400), Some("invalid_request"), None, Undecided),
            (Some(400), Some("invalid_scope"), None, Undecided),
            (Some(418), Some("never_heard_of"), None, Undecided),
            (Some(429), Some("invalid_grant"), None, Transient),
            (Some(500), Some("invalid_grant"), None, Transient),
            (Some(503), None, None, Transient),
            (Some(408), Some("invalid_grant"), None, Transient),
            (Some(425), None, None, Transient),
            (Some(200), None, None, Undecided),
            (Some(302), None, None, Undecided),
            (Some(400), None, None, Undecided),
            (Some(401), None, Some(Configuration), Undecided),
            (Some(404), None, None, Undecided),
            (Some(400), Some("Invalid_Grant"), None, Undecided),
            (Some(400), Some("invalid_grant "), None, Undecided),
            (Some(400), Some("invalid grant"), None, Undecided),
            (None, None, None, Transient),
            (None, Some("invalid_grant"), None, Transient),
        ];
        for (status, code, client, expected) in cases {
            assert_eq!(
                meaning(status, code, client),
                expected,
                "{status:?} {code:?} {client:?}"
            );
        }
    }

    #[test]
    fn a_body_without_an_error_code_has_none() {
        for body in [
            &b""[..],
            b"{}",
            b"{\"error\":null}",
            b"{\"error\":{\"code\":1}}",
            b"{\"error\":\"\"}",
            b"{\"error\":[\"invalid_grant\"]}",
            b"[{\"error\":\"invalid_grant\"}]",
            b"\"invalid_grant\"",
            b"{\"errors\":[{\"error\":\"invalid_grant\"}]}",
            b"{\"error\":\"a\\nb\"}",
            b"[\"error\"]",
            b"\xff\xfe",
            b"error=a%0Ab",
            b"error=%zz",
            b"error=",
            b"<html>error=no way</html>",
            b"{\"error\":\"cut off",
        ] {
            assert_eq!(error_code(body), None, "{body:?}");
        }
    }
}
