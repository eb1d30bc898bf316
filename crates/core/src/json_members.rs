//! Reads the members of a JSON object of which a part may be invalid or missing. Each member is read separately.

/// Returns the text of a JSON string. It may contain control characters, which JSON requires to be escaped.
///
/// ```
/// assert_eq!(mcp_startup_core::json_text("\"a\nb\""), Some("a\nb".to_owned()));
/// assert_eq!(mcp_startup_core::json_text(r#""\ud800""#), None);
/// ```
pub fn json_text(json: &str) -> Option<String> {
    if !json.starts_with('"') {
        return None;
    }
    serde_json::from_str(json).ok().or_else(|| {
        let mut escaped = String::with_capacity(json.len());
        for c in json.chars() {
            match c {
                '\0'..='\u{1f}' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
                _ => escaped.push(c),
            }
        }
        serde_json::from_str(&escaped).ok()
    })
}

/// Returns the members of the first JSON object in a text: their names and the texts of their values.
///
/// An invalid value ends at the next comma, quotation mark or brace. A member whose end is missing is left out. The time is linear.
///
/// ```
/// let text = r#"{"expires_in": NaN, "access_token": "a", "x": [1, {}], "cut": "o"#;
/// let members: Vec<_> = mcp_startup_core::json_members(text).collect();
/// let member = |name: &str, json| (name.to_owned(), json);
/// assert_eq!(members, [member("expires_in", "NaN"), member("access_token", "\"a\""), member("x", "[1, {}]")]);
/// ```
pub fn json_members(text: &str) -> impl Iterator<Item = (String, &str)> {
    let begins = |(at, _): &(usize, &str)| text[at + 1..].trim_start().starts_with('"');
    let begin = text.match_indices('{').find(begins);
    let mut rest = begin.map_or("", |(at, _)| &text[at + 1..]);
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find(['"', '}'])?..];
            if rest.starts_with('}') {
                rest = "";
                return None;
            }
            let (name, after) = rest.split_at(string_length(rest)?);
            rest = after;
            let Some(value) = after.trim_start().strip_prefix(':') else {
                continue;
            };
            let value = value.trim_start();
            let (json, after) = value.split_at(value_length(value)?);
            rest = after;
            if let Some(name) = json_text(name) {
                return Some((name, json.trim_end()));
            }
        }
    })
}

/// The length of the JSON string at the beginning of a text; `None` if its end is missing.
fn string_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    Some(end + 2)
}

/// The length of the value at the beginning of a text; `None` if its end is missing.
fn value_length(text: &str) -> Option<usize> {
    match text.bytes().next()? {
        b'"' => string_length(text),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = 0;
            loop {
                at += text[at..].find(['"', '{', '[', '}', ']'])?;
                match text.as_bytes()[at] {
                    b'"' => at += string_length(&text[at..])? - 1,
                    b'{' | b'[' => depth += 1,
                    _ => depth -= 1,
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => text.find([',', '"', '}']),
    }
}
