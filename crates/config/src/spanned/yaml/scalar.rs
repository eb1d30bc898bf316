//! The type of a YAML scalar, by the core schema of YAML 1.2 (section 10.3). `yes` and `on` are text.

use granit_parser::{ScalarStyle, Tag};

use crate::spanned::Value;

/// Converts a scalar. Only text without quotation marks can be something other than a string.
pub(super) fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let string = || Value::String(text.to_owned());
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(text),
            _ => string(),
        };
    };
    if is_without_meaning(tag) {
        return string();
    }
    match (tag.core_suffix(), plain(text)) {
        (Some("str"), _) => string(),
        (Some("int"), value @ Value::Integer(_))
        | (Some("float"), value @ (Value::Integer(_) | Value::Float(_)))
        | (Some("bool"), value @ Value::Boolean(_))
        | (Some("null"), value @ Value::Unsupported("null")) => value,
        _ => Value::Unsupported("a value with a tag"),
    }
}

/// Whether a tag is `!`, which names no type.
pub(super) fn is_without_meaning(tag: &Tag) -> bool {
    let (handle, suffix) = tag.parts();
    matches!((handle, suffix), ("" | "!", "") | ("", "!"))
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Unsupported("null"),
        "true" | "True" | "TRUE" => Value::Boolean(true),
        "false" | "False" | "FALSE" => Value::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let based = [("0x", 16), ("0o", 8)];
    if let Some((digits, radix)) = based
        .iter()
        .find_map(|(prefix, radix)| Some((text.strip_prefix(prefix)?, *radix)))
    {
        let is_number = !digits.starts_with(['+', '-']);
        return i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| is_number)
            .map(Value::Integer);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Float(match text.starts_with('-') {
            true => f64::NEG_INFINITY,
            false => f64::INFINITY,
        }));
    }
    // Rust also parses `inf` and `nan`, and text with a sign after the sign.
    let is_digit = |character: char| character.is_ascii_digit();
    if !digits.trim_start_matches('.').starts_with(is_digit)
        || !digits.chars().all(|character| {
            is_digit(character) || matches!(character, '.' | 'e' | 'E' | '+' | '-')
        })
    {
        return None;
    }
    if let Ok(integer) = text.parse() {
        return Some(Value::Integer(integer));
    }
    text.parse().ok().map(Value::Float)
}
