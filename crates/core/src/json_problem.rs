//! Puts an error of `serde_json` into words that a user of any language knows. No message has the words of `serde_json` itself.

mod syntax;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// Returns what is wrong with a JSON text, such as `must be a list, not a string`, without the place in the text.
///
/// ```
/// use mcp_startup_core::json_problem;
///
/// let problem = |json| json_problem(&serde_json::from_str::<Vec<u8>>(json).unwrap_err());
/// assert_eq!(problem(r#""a""#), "must be a list, not \"a\"");
/// assert_eq!(problem("[1.5]"), "must be a whole number from 0 to 255, not 1.5");
/// assert_eq!(problem("[1"), "the text ends too early, within a list");
/// ```
#[doc(hidden)]
pub fn json_problem(error: &serde_json::Error) -> String {
    problem(&error.to_string())
}

/// Returns [`json_problem`] with the line and the column.
///
/// ```
/// let error = serde_json::from_str::<u8>("\n01").unwrap_err();
/// let problem = mcp_startup_core::json_problem_at(&error);
/// assert_eq!(problem, "a number is not written as in JSON at line 2 column 2");
/// ```
#[doc(hidden)]
pub fn json_problem_at(error: &serde_json::Error) -> String {
    let problem = json_problem(error);
    match error.line() {
        // The value was not read from a text.
        0 => problem,
        line => format!("{problem} at line {line} column {}", error.column()),
    }
}

fn problem(text: &str) -> String {
    let text = text.rfind(" at line ").map_or(text, |end| &text[..end]);
    let own = syntax::problem(text).map(str::to_owned);
    own.or_else(|| mismatch(text))
        .or_else(|| field(text))
        .unwrap_or_else(|| text.to_owned())
}

/// The problem with a value that does not fit its type.
fn mismatch(text: &str) -> Option<String> {
    const LENGTH: &str = "invalid length ";
    const MISMATCHES: [&str; 4] = [
        "invalid type: ",
        "invalid value: ",
        LENGTH,
        "unknown variant ",
    ];
    // The type that it names is one of Rust.
    if text.starts_with("data did not match any variant") || text.starts_with("no variant of enum ")
    {
        return Some("has no form that is allowed here".to_owned());
    }
    let rest = MISMATCHES.iter().find_map(|kind| text.strip_prefix(kind))?;
    let Some((actual, expected)) = rest.rsplit_once(", expected ") else {
        let (actual, _) = rest.split_once(", there are no ")?;
        return Some(format!("{actual} is not known"));
    };
    Some(match text.starts_with(LENGTH) {
        // A list with too few or too many elements.
        true if expected.starts_with("struct ") => "must be an object, not a list".to_owned(),
        true => format!("must be {}", length(expected)),
        false => format!("must be {}, not {}", takes(expected), got(actual)),
    })
}

/// The problem with the fields of an object.
fn field(text: &str) -> Option<String> {
    if let Some(field) = text.strip_prefix("missing field ") {
        return Some(format!("{field} is missing"));
    }
    if let Some(field) = text.strip_prefix("duplicate field ") {
        return Some(format!("{field} must be there only once"));
    }
    let unknown = text.strip_prefix("unknown field ")?;
    if let Some((field, _)) = unknown.split_once(", there are no ") {
        return Some(format!("{field} is not known"));
    }
    let (field, known) = unknown.rsplit_once(", expected ")?;
    let known = known.strip_prefix("one of ").unwrap_or(known);
    let known = known.replace("` or `", "` and `");
    Some(format!("{field} is not known; the known ones are: {known}"))
}

/// The lists of a length.
fn length(expected: &str) -> Cow<'_, str> {
    let kinds = ["a tuple of size ", "an array of length ", "tuple of size "];
    if let Some(size) = kinds.iter().find_map(|kind| expected.strip_prefix(kind)) {
        return format!("a list of length {size}").into();
    }
    match expected {
        "fewer elements in array" | "fewer elements in sequence" | "fewer elements in map" => {
            "shorter".into()
        }
        other => other.into(),
    }
}

/// The values that a type takes.
fn takes(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" | "newtype variant" | "struct variant" | "tuple variant" => "an object",
        "a boolean" => "true or false",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number (0 or more)",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "string or map" | "a borrowed string" | "unit variant" | "variant identifier"
        | "field identifier" => "a string",
        "unit" => "null",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("tuple ") || other.starts_with("an array ") => "a list",
        other => other,
    }
}

/// The value that was found.
fn got(actual: &str) -> &str {
    match actual {
        "map" | "newtype variant" | "struct variant" | "tuple variant" => return "an object",
        "sequence" => return "a list",
        "unit" | "unit value" => return "null",
        "unit variant" => return "a string",
        _ => {}
    }
    for kind in ["integer ", "floating point ", "boolean "] {
        if let Some(value) = actual.strip_prefix(kind) {
            return value.trim_matches('`');
        }
    }
    actual.strip_prefix("string ").unwrap_or(actual)
}
