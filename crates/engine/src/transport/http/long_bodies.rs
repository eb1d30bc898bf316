//! Shortens the long body of an error response to what can have its reason: a stack trace, a style or a script can be before it.
//!
//! Each function takes linear time.

use serde_json::Value;

/// How much is kept of a text in JSON, in characters.
const MAX_TEXT_CHARS: usize = 200;
/// The parts of a page that have no words, by their beginning and their end.
const HIDDEN: [(&str, &str); 5] = [
    ("<!--", "-->"),
    ("<style", "</style>"),
    ("<script", "</script>"),
    ("<svg", "</svg>"),
    ("<link", ">"),
];

/// Returns JSON with only the beginning of each long text, or a page without its hidden parts. Any other text is returned unchanged.
pub(super) fn shortened(body: String) -> String {
    match body.as_bytes().first() {
        Some(b'{' | b'[') => match serde_json::from_str(&body) {
            Ok(mut json) => {
                shorten_texts(&mut json);
                json.to_string()
            }
            Err(_) => body,
        },
        Some(b'<') => without_hidden_parts(&body),
        _ => body,
    }
}

fn shorten_texts(json: &mut Value) {
    match json {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_texts),
        Value::Object(members) => members.values_mut().for_each(shorten_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn without_hidden_parts(page: &str) -> String {
    // This changes no length.
    let lower = page.to_ascii_lowercase();
    let mut shown = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(tag) = lower[at..].find('<') {
        let start = at + tag;
        let hidden = HIDDEN
            .iter()
            .find(|(beginning, _)| lower[start..].starts_with(beginning));
        let Some((_, end)) = hidden else {
            at = start + 1;
            continue;
        };
        shown.push_str(&page[copied..start]);
        at = match lower[start..].find(end) {
            Some(found) => start + found + end.len(),
            None => page.len(),
        };
        copied = at;
    }
    shown.push_str(&page[copied..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_before_the_reason_is_shortened() {
        let trace = "x".repeat(5000);
        let body = format!(r#"{{"trace":"{trace}","errors":["{trace}"],"message":"no disk"}}"#);
        let found = shortened(body);
        assert!(found.len() < 1000, "{found}");
        assert!(found.contains(r#""message":"no disk""#), "{found}");
    }

    #[test]
    fn the_hidden_parts_of_a_page_are_removed() {
        for (page, expected) in [
            (
                "<html><STYLE type=a>a > b {}</STYLE><title>A</title><!-- <p>no --><body>B",
                "<html><title>A</title><body>B",
            ),
            ("<p>a<link rel=x>b<script>c", "<p>ab"),
            ("<p>ä < b</p>", "<p>ä < b</p>"),
            ("{no json", "{no json"),
            ("text <!-- a -->", "text <!-- a -->"),
            ("", ""),
        ] {
            assert_eq!(shortened(page.to_owned()), expected, "{page}");
        }
    }

    #[test]
    fn a_hostile_page_takes_linear_time() {
        let page = "<!--".repeat(20_000) + &"<style".repeat(20_000);
        assert_eq!(shortened(page), "");
    }
}
