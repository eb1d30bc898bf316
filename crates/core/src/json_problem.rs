//! Puts the error of `serde_json` for a value that does not fit its type into words that a user of any language knows.

/// Returns what is wrong with a JSON value, such as `must be a list, not a string`, without the place in the text. An error that is not
/// about a type, such as a syntax error, keeps its words.
///
/// ```
/// use mcp_startup_core::json_problem;
///
/// let problem = |json| json_problem(&serde_json::from_str::<Vec<u8>>(json).unwrap_err());
/// assert_eq!(problem(r#""a""#), "must be a list, not \"a\"");
/// assert_eq!(problem("[1.5]"), "must be a whole number from 0 to 255, not 1.5");
/// assert_eq!(problem("[1"), "EOF while parsing a list");
/// ```
#[doc(hidden)]
pub fn json_problem(error: &serde_json::Error) -> String {
    const LENGTH: &str = "invalid length ";
    const MISMATCHES: [&str; 4] = [
        "invalid type: ",
        "invalid value: ",
        LENGTH,
        "unknown variant ",
    ];
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(&*text, |end| &text[..end]);
    let mismatch = MISMATCHES.iter().find_map(|kind| text.strip_prefix(kind));
    let parts = mismatch.and_then(|mismatch| mismatch.rsplit_once(", expected "));
    match parts {
        // A list with too few or too many elements.
        Some((_, expected)) if text.starts_with(LENGTH) => match expected.strip_prefix("struct ") {
            Some(_) => "must be an object, not a list".to_owned(),
            None => format!("must be {expected}"),
        },
        Some((actual, expected)) => {
            format!("must be {}, not {}", takes(expected), got(actual))
        }
        // The type that it names is one of Rust.
        None if text.starts_with("data did not match any variant") => {
            "has no form that is allowed here".to_owned()
        }
        None => text.to_owned(),
    }
}

/// The values that a type takes.
fn takes(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number (0 or more)",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "string or map" | "a borrowed string" => "a string",
        "unit" => "null",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("tuple ") || other.starts_with("an array ") => "a list",
        other => other,
    }
}

/// The value that was found.
fn got(actual: &str) -> &str {
    match actual {
        "map" => return "an object",
        "sequence" => return "a list",
        "unit" | "unit value" => return "null",
        _ => {}
    }
    for kind in ["integer ", "floating point ", "boolean "] {
        if let Some(value) = actual.strip_prefix(kind) {
            return value.trim_matches('`');
        }
    }
    actual.strip_prefix("string ").unwrap_or(actual)
}
