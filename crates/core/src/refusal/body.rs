//! Reads the body of a refusal: its text, the fields of a form, and its description of the error. It decides nothing.

use std::borrow::Cow;

use crate::error_message;
use crate::printable::printable;
use crate::verdict::{repeats_status, words_of_page, words_of_xml};

/// The maximum length of a description, in characters. A message shows less, so that secrets can be masked before the cut.
const DESCRIPTION_CHARS: usize = 2000;
/// The maximum size of a body that is parsed for a description, in bytes. No refusal in a known format is larger.
const MAX_BYTES: usize = 64 * 1024;

/// Returns the description of the error in the body of a refusal: its `error_description` (RFC 6749, section 5.2), a similar field
/// of JSON in another format, the title of a page, or a plain text. It is one line of at most 2,000 characters.
///
/// The text can repeat a secret of the request. Mask it before you show it.
///
/// Returns `None` if the body has no description, or only repeats its error code.
///
/// ```
/// use mcp_startup_core::refusal::description;
///
/// let body = br#"{"error":"invalid_grant","error_description":"The session has ended."}"#;
/// assert_eq!(description(body).as_deref(), Some("The session has ended."));
/// assert_eq!(description(br#"[{"ref":"7c10","message":"wrong client"}]"#).as_deref(), Some("wrong client"));
/// assert_eq!(description(br#"{"error":"invalid_grant"}"#), None);
/// ```
pub fn description(body: &[u8]) -> Option<String> {
    let text = text(body.get(..MAX_BYTES).unwrap_or(body));
    let described = if text.starts_with(['{', '[', '"']) {
        error_message::in_json(&serde_json::from_str(&text).ok()?)?
    } else if text.starts_with('<') {
        words_of_xml(&text).or_else(|| words_of_title(&text))?
    } else if let Some(described) = form_field(&text, "error_description") {
        described
    } else if text.contains('=') && !text.contains(char::is_whitespace) {
        // A form without a description. It may contain a token.
        return None;
    } else {
        error_message::readable(&text)
    };
    shown(&described, body)
}

/// Returns the description of the error in a body that may grant something: only the value of a member or a field with a name for
/// descriptions, or the title of a page. Any other text may be a token.
///
/// ```
/// use mcp_startup_core::refusal::named_description;
///
/// let body = br#"{"ok":false,"message":"The session has ended."}"#;
/// assert_eq!(named_description(body).as_deref(), Some("The session has ended."));
/// assert_eq!(named_description(b"eyJhbGciOiJub25lIn0"), None);
/// assert_eq!(named_description(br#""eyJhbGciOiJub25lIn0""#), None);
/// ```
pub fn named_description(body: &[u8]) -> Option<String> {
    let text = text(body.get(..MAX_BYTES).unwrap_or(body));
    let described = match text.as_bytes().first()? {
        b'{' => error_message::in_json(&serde_json::from_str(&text).ok()?)?,
        b'<' => words_of_title(&text)?,
        _ => form_field(&text, "error_description")?,
    };
    shown(&described, body)
}

/// A description as one line; `None` if it is blank, or only repeats the error code.
fn shown(described: &str, body: &[u8]) -> Option<String> {
    let words: Vec<&str> = described.split_whitespace().collect();
    let described = printable(&words.join(" "), DESCRIPTION_CHARS);
    let is_more = !described.is_empty() && super::error_code(body).as_ref() != Some(&described);
    is_more.then_some(described)
}

/// The body as text, without a byte order mark and surrounding whitespace.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    let trimmed = |text: &str| {
        let text = text.trim_start_matches('\u{feff}').trim();
        text.to_owned()
    };
    match String::from_utf8_lossy(body) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('\u{feff}').trim()),
        Cow::Owned(text) => Cow::Owned(trimmed(&text)),
    }
}

/// The first field of a form with this name. The whole body must be a form, because an HTML page may contain `&error=` in a
/// link.
pub(crate) fn form_field(text: &str, name: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_value = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}\\^`".contains(&byte);
    let mut found = None;
    for pair in text.split('&') {
        let (key, value) = pair.split_once('=')?;
        if !key.bytes().all(is_name) || !value.bytes().all(is_value) {
            return None;
        }
        if key == name {
            found = found.or(Some(value));
        }
    }
    percent_decoded(found?)
}

/// Decodes a value of a form; `None` if it is not encoded correctly.
fn percent_decoded(value: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The title of an HTML page, or its text if the title has no reason.
fn words_of_title(page: &str) -> Option<String> {
    let title = title(page)?.trim();
    let has_reason = title.contains(char::is_whitespace) && !repeats_status(title);
    Some(match has_reason {
        true => title.to_owned(),
        false => words_of_page(page).unwrap_or_else(|| title.to_owned()),
    })
}

/// The title of an HTML page.
fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    ["title", "h1"].iter().find_map(|tag| {
        let begin = lower.find(&format!("<{tag}"))?;
        let begin = begin + lower.get(begin..)?.find('>')? + 1;
        let end = begin + lower.get(begin..)?.find("</")?;
        page.get(begin..end).filter(|text| !text.trim().is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_found_in_every_common_format() {
        for (body, expected) in [
            (
                r#"{"error":"invalid_grant","error_description":"gone"}"#,
                Some("gone"),
            ),
            (
                r#"{"error":"Invalid Grant","error_description":"session not active"}"#,
                Some("session not active"),
            ),
            (
                r#"{"error":"invalid_request","error_description":""}"#,
                None,
            ),
            (
                r#"{"error":"invalid_request","error_description":null,"message":"no such client"}"#,
                Some("no such client"),
            ),
            (
                r#"[{"ref":"7c10","message":"wrong client"},{"message":"second"}]"#,
                Some("wrong client"),
            ),
            (
                r#"{"errors":[{"code":"40001","detail":"redirect URI is not on the allow list"}]}"#,
                Some("redirect URI is not on the allow list"),
            ),
            (r#"{"errors":["first","second"]}"#, Some("first")),
            (
                r#"{"error":{"code":7,"message":"expired"}}"#,
                Some("expired"),
            ),
            (
                r#"{"detail":"Refresh token expired"}"#,
                Some("Refresh token expired"),
            ),
            (
                r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
                Some("body: field required"),
            ),
            (
                r#"{"errorCode":"E0000006","errorSummary":"You do not have permission"}"#,
                Some("You do not have permission"),
            ),
            (
                r#"{"title":"Unauthorized","status":401,"detail":"the grant is unknown"}"#,
                Some("the grant is unknown"),
            ),
            (
                "\u{feff}{\"error\":\"x\",\"error_description\":\"after a mark\"}",
                Some("after a mark"),
            ),
            (r#""a plain string""#, Some("a plain string")),
            ("unknown grant\n", Some("unknown grant")),
            ("first line\nsecond", Some("first line second")),
            (
                "error=invalid_grant&error_description=The+token+is%20gone",
                Some("The token is gone"),
            ),
            (
                "<!doctype html><HTML><Title lang=en> Not here </Title><h1>x</h1>",
                Some("Not here"),
            ),
            ("<html><h1>Bad client</h1>", Some("Bad client")),
            (
                "<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Cannot POST /register</pre>",
                Some("Cannot POST /register"),
            ),
            (
                "<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center>",
                Some("404 Not Found"),
            ),
            // Nothing to show, or something that could be a token.
            (r#"{"error":"invalid_grant"}"#, None),
            (
                r#"{"data":{"access_token":"secret"},"token":"secret"}"#,
                None,
            ),
            ("access_token=secret&scope=a", None),
            (r#"{"a":{"message":"not an error"}}"#, None),
            (r#"{"error":[[[[[[[["deep"]]]]]]]]}"#, None),
            (r#"{"error_description":"cut off"#, None),
            ("<html><p>x</p></html>", None),
            ("<title", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(description(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_description_is_bounded() {
        let long = "x".repeat(2 * MAX_BYTES);
        assert_eq!(
            description(long.as_bytes())
                .unwrap_or_default()
                .chars()
                .count(),
            DESCRIPTION_CHARS
        );
        let deep = "[".repeat(MAX_BYTES);
        assert_eq!(description(deep.as_bytes()), None);
        let page = format!("<title>{}", "<title>".repeat(20_000));
        let _ = description(page.as_bytes());
    }
}
