//! Finds the message for users in the JSON of an error: of an MCP server, an authorization server or a proxy.

use serde_json::{Map, Value};

/// The names of the members that contain a message for users, the most specific first: RFC 6749, RFC 9457, JSON-RPC, and the usual
/// names of web frameworks. The case does not matter. No other member is shown: it could contain a token.
const MESSAGES: [&str; 13] = [
    "error_description",
    "errorDescription",
    "detail",
    "message",
    "errorSummary",
    "error_message",
    "errorMessage",
    "description",
    "reason",
    "msg",
    "details",
    "title",
    "error",
];
/// The names of the members that contain other objects or lists with such a message.
const CONTAINERS: [&str; 4] = ["error", "errors", "detail", "details"];
/// How many levels of such objects are searched.
const MAX_DEPTH: usize = 4;

/// Returns the message of an error: a text, or the text of a member that is meant for users, possibly in a nested error or a list.
pub(crate) fn in_json(json: &Value) -> Option<String> {
    below(json, 0)
}

fn below(json: &Value, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    match json {
        Value::Object(members) => {
            let text = |name: &&str| {
                let text = member(members, name)?.as_str()?;
                has_words(text).then(|| text.trim().to_owned())
            };
            // `{"error": "not_found"}` is a code. The text of another member has more information.
            let nested = CONTAINERS
                .iter()
                .filter_map(|name| member(members, name))
                .filter(|member| !member.is_string())
                .find_map(|member| below(member, depth + 1));
            let (last, others) = MESSAGES.split_last()?;
            others
                .iter()
                .find_map(text)
                .filter(|found| found.contains(' ') || nested.is_none())
                .or(nested)
                .or_else(|| text(last))
        }
        Value::Array(items) => items.iter().find_map(|item| below(item, depth + 1)),
        Value::String(text) => has_words(text).then(|| text.trim().to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
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
            (r#"{"message":"  ","error":"denied"}"#, Some("denied")),
            // No member for users.
            (
                r#"{"data":{"access_token":"secret"},"token":"secret"}"#,
                None,
            ),
            (r#"{"a":{"message":"not an error"}}"#, None),
            (r#"{"error":[[[[[[[["deep"]]]]]]]]}"#, None),
            ("[]", None),
            ("7", None),
        ] {
            let value = serde_json::from_str(json).unwrap_or_default();
            assert_eq!(in_json(&value).as_deref(), expected, "{json}");
        }
    }
}
