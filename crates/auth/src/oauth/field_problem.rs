//! Describes the problem with a field of a metadata document, such as `token_endpoint: must be a string, not 7`.

use serde_json::{Map, Value};
use url::Url;

use crate::network::GuardedClient;

/// The maximum length of a text of a document that is quoted, in characters.
const MAX_QUOTED_CHARS: usize = 100;

/// The type that a field must have. A field that is null counts as absent, unless it is required.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    Text,
    RequiredText,
    ListOfTexts,
}

/// The first field that does not have its type, and the problem with it.
pub(super) fn type_problem(
    document: &Map<String, Value>,
    types: &[(&str, FieldType)],
) -> Option<String> {
    let mut problems = types.iter().filter_map(|(name, expected)| {
        let value = document.get(*name);
        match (value, expected) {
            (None, FieldType::RequiredText) => Some(format!("{name}: is missing")),
            (Some(Value::Null), FieldType::Text | FieldType::ListOfTexts)
            | (Some(Value::String(_)), FieldType::Text | FieldType::RequiredText)
            | (None, _) => None,
            (Some(Value::Array(entries)), FieldType::ListOfTexts) => {
                let mut entries = entries.iter().enumerate();
                let (at, other) = entries.find(|(_, entry)| !entry.is_string())?;
                let quoted = quoted(other);
                Some(format!("{name}[{at}]: must be a string, not {quoted}"))
            }
            (Some(value), expected) => {
                let expected = match expected {
                    FieldType::ListOfTexts => "a list of strings",
                    FieldType::Text | FieldType::RequiredText => "a string",
                };
                Some(format!("{name}: must be {expected}, not {}", quoted(value)))
            }
        }
    });
    problems.next()
}

/// A value of a document as a problem quotes it. A text is quoted completely or not at all: a secret in it could not be recognized if
/// it were cut off. If a URL has a part that evidence must not have, only that part is named.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => {
            let part = Url::parse(text).ok().and_then(|url| unshown_part(&url));
            match part {
                Some(part) => format!("a URL with a {part}"),
                None if text.chars().count() <= MAX_QUOTED_CHARS => value.to_string(),
                None => "a long text".to_owned(),
            }
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn unshown_part(url: &Url) -> Option<&'static str> {
    let has_user = !url.username().is_empty() || url.password().is_some();
    let parts = [
        (has_user, "user name"),
        (url.fragment().is_some(), "fragment"),
        (url.query().is_some(), "query"),
    ];
    let mut parts = parts.into_iter().filter(|(is_there, _)| *is_there);
    parts.next().map(|(_, part)| part)
}

/// The problem with the URL of an endpoint, if a client must not use it. `usable` is the URL as a client may use it, if there is one.
pub(super) fn endpoint_problem(
    name: &str,
    published: &str,
    usable: Option<&Url>,
    guarded: &GuardedClient,
) -> Option<String> {
    let rule = match usable {
        Some(url) if guarded.allows(url).is_ok() => return None,
        Some(_) => "a public https URL",
        None => "a URL without a user name and a fragment",
    };
    let quoted = quoted(&Value::String(published.to_owned()));
    Some(format!("{name}: must be {rule}, not {quoted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_quoted_completely_or_not_at_all() {
        let long = "x".repeat(MAX_QUOTED_CHARS);
        let rows = [
            (json!(7), "7"),
            (json!(null), "null"),
            (json!(true), "true"),
            (json!("a \"b\"\n"), r#""a \"b\"\n""#),
            (json!("https://a.example:8/b"), r#""https://a.example:8/b""#),
            (
                json!("https://u:p@a.example/b?c#d"),
                "a URL with a user name",
            ),
            (json!("https://:p@a.example"), "a URL with a user name"),
            (json!("https://a.example/b?c=1"), "a URL with a query"),
            (json!("https://a.example/b?c=1#d"), "a URL with a fragment"),
            (json!("http://["), r#""http://[""#),
            (json!(long), &format!("\"{long}\"")),
            (json!(format!("{long}x")), "a long text"),
            (json!(["a"]), "a list"),
            (json!({"a": 1}), "an object"),
        ];
        for (value, expected) in rows {
            assert_eq!(quoted(&value), expected, "{value}");
        }
    }
}
