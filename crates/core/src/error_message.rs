//! Finds the message for users in the JSON of an error: of an MCP server, an authorization server or a proxy.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::verdict::{CUT, reason_in_lines, words_of_page};

/// How much is read of each end of a long text with several lines, in bytes.
const MAX_END_BYTES: usize = 8 * 1024;

/// The names of the members that contain a message for users, the most specific first: RFC 6749, RFC 9457, JSON-RPC, and the usual
/// names of web frameworks. The case does not matter. No other member is shown: it could contain a token.
const MESSAGES: [&str; 22] = [
    "error_description",
    "errorDescription",
    "detail",
    "long_message",
    "message",
    "errorSummary",
    "error_summary",
    "error_message",
    "errorMessage",
    "faultstring",
    "description",
    "reason",
    "msg",
    "errmsg",
    "error_msg",
    "err",
    "text",
    "details",
    "title",
    "errors",
    "info",
    "error",
];
/// The names of the members that contain other objects or lists with such a message.
const CONTAINERS: [&str; 9] = [
    "error",
    "errors",
    "errorMessages",
    "messages",
    "fault",
    "detail",
    "details",
    "Response",
    "ResponseMetadata",
];
/// How many levels of such objects are searched.
const MAX_DEPTH: usize = 4;

/// Returns the message of an error: a text, or the text of a member that is meant for users, possibly in a nested error or a list.
pub(crate) fn in_json(json: &Value) -> Option<String> {
    below(json, 0)
}

/// Returns the text of a JSON-RPC error: its message, and the reason in its data, unless the message already has it.
///
/// The data are of any form (JSON-RPC 2.0, section 5.1). Their reason is a text, or the text of a member that is meant for users. The
/// text is foreign: limit and mask it before you show it.
///
/// ```
/// use mcp_startup_core::json_rpc_error_text;
/// use serde_json::json;
///
/// let data = json!({ "details": "the workspace file is not valid" });
/// assert_eq!(
///     json_rpc_error_text("Internal error", Some(&data)),
///     "Internal error: the workspace file is not valid"
/// );
/// assert_eq!(json_rpc_error_text("Internal error", None), "Internal error");
/// ```
pub fn json_rpc_error_text(message: &str, data: Option<&Value>) -> String {
    with_data(message, data, 0)
}

fn with_data(message: &str, data: Option<&Value>, depth: usize) -> String {
    let message = message.trim();
    if let Some(todo) = data.and_then(elicited) {
        return todo;
    }
    if let Some(names) = data.and_then(capabilities) {
        return format!("{}: {names}", message.trim_end_matches(['.', ':']));
    }
    let reason = data
        .and_then(|data| below(data, depth))
        // A stack trace.
        .map(|text| match text.contains('\n') {
            true => reason_in_lines(&both_ends(&text), false).unwrap_or(text),
            false => text,
        })
        .filter(|reason| !message.contains(reason.as_str()));
    match reason {
        // The reason repeats the message.
        Some(reason) if reason.contains(message) => reason,
        Some(reason) => format!("{}: {reason}", message.trim_end_matches(['.', ':'])),
        None => message.to_owned(),
    }
}

/// Returns what a user has to do at an address before the server answers (MCP 2025-11-25, elicitation in URL mode), and the address.
/// It has no credential of the user.
fn elicited(data: &Value) -> Option<String> {
    let first = data.get("elicitations")?.as_array()?.first()?;
    let url = first.get("url")?.as_str()?;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let message = first.get("message").and_then(Value::as_str);
    let message = message.unwrap_or("open").trim().trim_end_matches('.');
    is_web.then(|| format!("{message} ({url})"))
}

/// Returns the capabilities that a client must have for the request (MCP 2026-07-28, error -32021).
fn capabilities(data: &Value) -> Option<String> {
    let required = data.get("requiredCapabilities")?.as_object()?;
    let names: Vec<&str> = required.keys().take(8).map(String::as_str).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Returns a text without its middle if it is long. An answer of a live server can have megabytes, and its reason is at one of the ends.
fn both_ends(text: &str) -> Cow<'_, str> {
    if text.len() <= 2 * MAX_END_BYTES {
        return text.into();
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=MAX_END_BYTES).rev().find(is_boundary);
    let tail = (text.len() - MAX_END_BYTES..text.len()).find(is_boundary);
    let (head, tail) = (head.unwrap_or(0), tail.unwrap_or(text.len()));
    format!("{}\n{CUT}\n{}", &text[..head], &text[tail..]).into()
}

fn below(json: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    match json {
        Value::Object(members) => {
            if let Some((message, data)) = json_rpc_error(members) {
                return Some(with_data(message, data, depth + 1));
            }
            let text = |name: &&str| {
                let text = match member(members, name)? {
                    // A text with its language, as in OData.
                    Value::Object(localized) if localized.contains_key("lang") => {
                        localized.get("value")?.as_str()?
                    }
                    text => text.as_str()?,
                };
                has_words(text).then(|| readable_at(text, depth))
            };
            // `{"error": "not_found"}` is a code. The text of another member has more information.
            let nested = CONTAINERS
                .iter()
                .filter_map(|name| member(members, name))
                .filter(|member| !member.is_string())
                .find_map(|member| below(member, depth + 1));
            let (last, others) = MESSAGES.split_last()?;
            let found = others
                .iter()
                .find_map(text)
                .filter(|found| found.contains(' ') || nested.is_none())
                .or(nested)
                .or_else(|| text(last))?;
            Some(match place(members) {
                Some(place) => format!("{place}: {found}"),
                None => found,
            })
        }
        Value::Array(items) => items.iter().find_map(|item| below(item, depth + 1)),
        Value::String(text) => has_words(text).then(|| readable_at(text, depth)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Returns the part of a request to which an error belongs, as the framework FastAPI writes it.
fn place(members: &Map<String, Value>) -> Option<String> {
    let parts = members.get("loc")?.as_array()?;
    let parts: Vec<&str> = parts.iter().take(4).filter_map(Value::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Returns a text in which the error of another server is only its message. A gateway can put the JSON or the page of the server behind
/// it into its own text.
pub(crate) fn readable(text: &str) -> String {
    readable_at(text, 0)
}

fn readable_at(text: &str, depth: usize) -> String {
    let text = text.trim();
    let lower = || text.to_ascii_lowercase();
    let inner = match text.find('{') {
        Some(start) if text.ends_with('}') => {
            let json = serde_json::from_str(&text[start..]).ok();
            json.and_then(|json| Some((start, below(&json, depth + 1)?)))
        }
        _ if text.ends_with('>') => {
            let start = ["<!doctype html", "<html"]
                .iter()
                .find_map(|beginning| lower().find(beginning));
            start.and_then(|start| Some((start, words_of_page(&text[start..])?)))
        }
        _ => None,
    };
    match inner {
        Some((start, inner)) => {
            let before = text[..start].trim_end_matches([' ', ':', '-', '\n']);
            match has_words(before) {
                true => format!("{before}: {inner}"),
                false => inner,
            }
        }
        None => text.to_owned(),
    }
}

/// Returns the message and the data of the error in a response of JSON-RPC. The `data` of another protocol may be a token.
fn json_rpc_error(members: &Map<String, Value>) -> Option<(&str, Option<&Value>)> {
    /// The codes that JSON-RPC reserves (JSON-RPC 2.0, section 5.1).
    const RESERVED: std::ops::RangeInclusive<i64> = -32768..=-32000;
    let error = members.get("error")?.as_object()?;
    let is_reserved = |code: &Value| code.as_i64().is_some_and(|code| RESERVED.contains(&code));
    let is_json_rpc = members.contains_key("jsonrpc") || error.get("code").is_some_and(is_reserved);
    let message = error.get("message")?.as_str()?;
    (is_json_rpc && has_words(message)).then_some((message, error.get("data")))
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).or_else(|| {
        let mut members = members.iter();
        members.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    })
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_is_found_in_json_of_every_common_shape() {
        for (json, expected) in [
            (r#""text""#, Some("text")),
            (
                r#"{"error":"invalid_grant","error_description":"gone"}"#,
                Some("gone"),
            ),
            (
                r#"{"Error":"invalid_grant","Error_Description":"gone"}"#,
                Some("gone"),
            ),
            (r#"{"error":"not_found"}"#, Some("not_found")),
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no session"}}"#,
                Some("no session"),
            ),
            (
                r#"{"message":"Unauthorized","errors":[{"detail":"the key has expired"}]}"#,
                Some("the key has expired"),
            ),
            (
                r#"{"message":"the request failed","errors":[{"detail":"the key has expired"}]}"#,
                Some("the request failed"),
            ),
            (
                r#"{"title":"Unauthorized","status":401,"detail":"the grant is unknown"}"#,
                Some("the grant is unknown"),
            ),
            (
                r#"[{"ref":"7c10","message":"wrong client"},{"message":"second"}]"#,
                Some("wrong client"),
            ),
            (r#"{"details":["first","second"]}"#, Some("first")),
            (
                r#"{"detail":[{"type":"missing","loc":["header","x-tenant"],"msg":"Field required"}]}"#,
                Some("header x-tenant: Field required"),
            ),
            // The envelopes of gateways and vendors.
            (
                r#"{"fault":{"faultstring":"the key is missing","detail":{"errorcode":"x.Missing"}}}"#,
                Some("the key is missing"),
            ),
            (
                r#"{"fault":{"code":900908,"message":"Forbidden ","description":"not subscribed"}}"#,
                Some("Forbidden"),
            ),
            (
                r#"{"errorMessages":["You are not signed in."],"errors":{}}"#,
                Some("You are not signed in."),
            ),
            (
                r#"{"errors":"[API] the key is unknown"}"#,
                Some("[API] the key is unknown"),
            ),
            (
                r#"{"error":{"code":"005","message":{"lang":"en","value":"the tenant is locked"}}}"#,
                Some("the tenant is locked"),
            ),
            (
                r#"{"errcode":40001,"errmsg":"invalid credential"}"#,
                Some("invalid credential"),
            ),
            (r#"{"message":"  ","error":"denied"}"#, Some("denied")),
            (
                r#"{"error_summary":"expired_access_token/.","error":{".tag":"expired_access_token"}}"#,
                Some("expired_access_token/."),
            ),
            (
                r#"{"err":"the team is unknown","ECODE":"OAUTH_027"}"#,
                Some("the team is unknown"),
            ),
            (
                r#"{"Response":{"Error":{"Code":"AuthFailure","Message":"the key is unknown"},"RequestId":"7"}}"#,
                Some("the key is unknown"),
            ),
            (
                r#"{"messages":[{"type":"WARN","text":"call not authenticated"}]}"#,
                Some("call not authenticated"),
            ),
            (
                r#"{"status":"0","info":"INVALID_USER_KEY","infocode":"10001"}"#,
                Some("INVALID_USER_KEY"),
            ),
            // The error of the server behind a gateway.
            (
                r#"{"error":"{\"message\":\"the key is unknown\",\"code\":401}"}"#,
                Some("the key is unknown"),
            ),
            (
                r#"{"message":"request failed: {\"error\":{\"message\":\"the key is unknown\"}}"}"#,
                Some("request failed: the key is unknown"),
            ),
            (
                r#"{"error":"upstream: <html><title>502 Bad Gateway</title></html>"}"#,
                Some("upstream: 502 Bad Gateway"),
            ),
            (r#"{"error":"write {a} in <b>"}"#, Some("write {a} in <b>")),
            // No member for users.
            (
                r#"{"data":{"access_token":"secret"},"token":"secret"}"#,
                None,
            ),
            (r#"{"a":{"message":"not an error"}}"#, None),
            (
                r#"{"error":{"code":-32603,"message":"Internal error","data":{"token":"secret"}}}"#,
                Some("Internal error"),
            ),
            (
                r#"{"error":{"code":401,"message":"no access","data":"secret"}}"#,
                Some("no access"),
            ),
            // The data of a JSON-RPC error.
            (
                r#"{"jsonrpc":"2.0","error":{"code":1,"message":"failed","data":"no disk"}}"#,
                Some("failed: no disk"),
            ),
            (
                r#"{"error":{"code":-32602,"message":"Invalid params","data":"X-Workspace is missing"}}"#,
                Some("Invalid params: X-Workspace is missing"),
            ),
            (r#"{"error":[[[[[[[["deep"]]]]]]]]}"#, None),
            ("[]", None),
            ("7", None),
        ] {
            let value = serde_json::from_str(json).unwrap_or_default();
            assert_eq!(in_json(&value).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn the_text_of_a_json_rpc_error_has_the_reason_in_its_data() {
        for (message, data, expected) in [
            ("Internal error", "null", "Internal error"),
            ("Internal error", r#""""#, "Internal error"),
            ("Internal error", "[1,2]", "Internal error"),
            ("Internal error.", r#""no disk""#, "Internal error: no disk"),
            (
                "Internal error: no disk",
                r#""no disk""#,
                "Internal error: no disk",
            ),
            ("no disk", r#""Error: no disk""#, "Error: no disk"),
            ("", r#""no disk""#, "no disk"),
            ("failed", r#"{"reason":"no disk"}"#, "failed: no disk"),
            (
                "failed",
                r#"{"error":{"message":"no disk"}}"#,
                "failed: no disk",
            ),
            (
                "failed",
                r#"[{"path":["a"],"message":"Required"}]"#,
                "failed: Required",
            ),
            (
                "failed",
                r#""Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    main()\nValueError: no disk""#,
                "failed: ValueError: no disk",
            ),
            (
                "This request requires more information.",
                r#"{"elicitations":[{"mode":"url","url":"https://a.example/connect","message":"Connect your account."}]}"#,
                "Connect your account (https://a.example/connect)",
            ),
            (
                "This request requires more information.",
                r#"{"elicitations":[{"mode":"url","url":"javascript:alert(1)","message":"Connect your account."}]}"#,
                "This request requires more information.",
            ),
            (
                "Missing required client capability",
                r#"{"requiredCapabilities":{"sampling":{},"roots":{}}}"#,
                "Missing required client capability: roots, sampling",
            ),
            // The versions that the server supports.
            (
                "Unsupported protocol version",
                r#"{"supported":["2024-11-05"],"requested":"2026-07-28"}"#,
                "Unsupported protocol version",
            ),
        ] {
            let data: Value = serde_json::from_str(data).unwrap_or_default();
            assert_eq!(json_rpc_error_text(message, Some(&data)), expected);
        }
    }

    #[test]
    fn only_the_ends_of_long_data_are_searched_for_the_reason() {
        let filler = "é\n".repeat(MAX_END_BYTES);
        let text = |data: String| json_rpc_error_text("failed", Some(&Value::from(data)));
        for data in [
            format!("Error: no disk\n{filler}"),
            format!("{filler}Error: no disk\n"),
        ] {
            assert_eq!(text(data), "failed: Error: no disk");
        }
        assert_eq!(
            text(format!("{filler}Error: no disk\n{filler}")),
            "failed: é"
        );
    }

    #[test]
    fn errors_of_json_rpc_inside_of_errors_are_read_to_a_limited_depth() {
        let mut json = Value::from("innermost");
        for number in 0..100 {
            let error = serde_json::json!({ "code": -32603, "message": format!("{number}."), "data": json });
            json = serde_json::json!({ "error": error });
        }
        let text = in_json(&json).unwrap_or_default();
        assert_eq!(text, "99: 98: 97: 96: 95.");
    }
}
