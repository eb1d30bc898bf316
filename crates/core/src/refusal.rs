//! What the refusal of a refresh means: one function over one table.
//!
//! The table is `refusals.tsv` beside this file; each of its lines names its source.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::evidence::ClientSource;

/// What it means that an authorization server refused a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "camelCase")
)]
pub enum RefusalMeaning {
    /// The grant is gone, or the client it was given to is: what is stored is spent, and signing in again mends it.
    Spent,
    /// The OAuth client that the configuration names was refused: no sign-in mends that.
    ClientRejected,
    /// The authorization server does not know the resource (RFC 8707, `invalid_target`).
    Misconfigured,
    /// It was refused, and it can't be told whether for good: what is stored stays, and a sign-in may help.
    Undecided,
    /// It was not answered, or not by a refusal: later it may go well.
    Transient,
}

/// What the answer to a refresh means, where it gave no token.
///
/// `status`: the HTTP status, `None` where no answer came. `oauth_error`: the code of a parsed OAuth error body (see
/// [`error_code`]), `None` where there is none. `client`: where the OAuth client comes from; an unknown source is taken
/// for a registered one only by an explicit [`ClientSource::Registration`], so that no wrong "sign in again" is said.
///
/// ```
/// use mcp_startup_core::{refusal::{meaning, RefusalMeaning}, ClientSource};
///
/// assert_eq!(meaning(Some(400), Some("invalid_grant"), None), RefusalMeaning::Spent);
/// // An error inside HTTP 200 is one all the same, and one with a 503 is not yet.
/// assert_eq!(meaning(Some(200), Some("token_revoked"), None), RefusalMeaning::Spent);
/// assert_eq!(meaning(Some(503), Some("invalid_grant"), None), RefusalMeaning::Transient);
/// assert_eq!(meaning(Some(401), Some("invalid_client"), Some(ClientSource::Configuration)), RefusalMeaning::ClientRejected);
/// ```
pub fn meaning(
    status: Option<u16>,
    oauth_error: Option<&str>,
    client: Option<ClientSource>,
) -> RefusalMeaning {
    let (Some(status), Some(code)) = (status, oauth_error) else {
        return RefusalMeaning::Transient;
    };
    if status == 429 || status >= 500 {
        return RefusalMeaning::Transient;
    }
    match TABLE.get(code) {
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

/// The code of an OAuth error in a body, whatever the status: JSON `{"error":"…"}` (RFC 6749, section 5.2), the same as a
/// form, and a vendor's `{"ok":false,"error":"…"}`. `None` where the body is neither, or holds no error.
///
/// ```
/// use mcp_startup_core::refusal::error_code;
///
/// assert_eq!(error_code(br#"{"ok":false,"error":"token_expired"}"#).as_deref(), Some("token_expired"));
/// assert_eq!(error_code(b"error=bad_refresh_token&error_description=The+refresh+token").as_deref(), Some("bad_refresh_token"));
/// assert_eq!(error_code(b"<html>502</html>"), None);
/// ```
pub fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ErrorBody {
        error: Option<String>,
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let code = if text.starts_with('{') {
        serde_json::from_str::<ErrorBody>(text).ok()?.error?
    } else {
        // A form, and nothing else: a page may have `&error=` in a link. Names and codes are of letters that need no
        // escape (RFC 6749, section 5.2 and appendix A.7).
        let mut code = None;
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=')?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            let is_value = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}\\^`".contains(&byte);
            if !name.bytes().all(is_name) || !value.bytes().all(is_value) {
                return None;
            }
            if name == "error" {
                code = code.or(Some(value));
            }
        }
        code?.to_owned()
    };
    let is_code = !code.is_empty()
        && code.len() <= 200
        && code
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
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

/// The lines of the table: code, meaning, source.
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
    fn every_line_of_the_table_has_one_meaning_and_a_source() {
        let mut seen = std::collections::HashSet::new();
        for (code, row, source) in rows() {
            assert!(row.is_some(), "{code} has no known meaning");
            assert!(
                source.starts_with("https://") && source.len() > 12,
                "{code} has no source"
            );
            assert!(seen.insert(code), "{code} stands twice");
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
    fn a_refusal_means_what_the_design_says() {
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
            (Some(400), None, None, Transient),
            (Some(200), None, None, Transient),
            (None, None, None, Transient),
            (None, Some("invalid_grant"), None, Transient),
        ];
        for (status, code, client, wanted) in cases {
            assert_eq!(
                meaning(status, code, client),
                wanted,
                "{status:?} {code:?} {client:?}"
            );
        }
    }

    #[test]
    fn only_a_body_with_an_error_code_has_one() {
        for body in [
            &b""[..],
            b"{}",
            b"{\"error\":null}",
            b"{\"error\":{\"code\":1}}",
            b"{\"error\":\"\"}",
            b"{\"error\":\"two words\"}",
            b"{\"error\":\"a\\nb\"}",
            b"[\"error\"]",
            b"\xff\xfe",
            b"error=",
            b"<html>error=no way</html>",
            b"{\"error\":\"cut off",
        ] {
            assert_eq!(error_code(body), None, "{body:?}");
        }
    }
}
