//! The message for JSON that does not have the shape of a type: the field, the values that it takes, and the value that it has.
//!
//! `serde_json` reports none of them in words that a user of another language knows, and not which field it is about.

use std::fmt::Write;

use mcp_startup_core::{json_problem, json_problem_at};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Error;

use crate::HostError;
use crate::json_objects::Objects;

/// The similarity from which one name may be a misspelling of another.
const MISSPELLED: f64 = 0.6;

/// Reads a value from JSON. A list in place of an object is an error, at any depth. `subject` names the value in the message, such as "the evidence".
///
/// # Errors
///
/// [`HostError::InvalidArgument`].
pub(crate) fn read<T: DeserializeOwned>(subject: &str, json: &str) -> Result<T, HostError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    T::deserialize(Objects(&mut deserializer))
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| HostError::InvalidArgument(message(subject, json, &error)))
}

fn message(subject: &str, json: &str, error: &Error) -> String {
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return format!("{subject}: not valid JSON: {}", json_problem_at(error));
    }
    let path = path_at(json, offset(json, error));
    let place = match path.is_empty() {
        true => subject.to_owned(),
        false => format!("{subject}: `{path}`"),
    };
    let text = json_problem(error);
    if let Some((takes, _)) = text
        .strip_prefix("must be ")
        .and_then(|text| text.split_once(", not "))
    {
        // A text in place of an object can be a secret, such as the URL of a database.
        return match takes == "an object" && text.ends_with('"') {
            true => format!("{place} must be an object, not a string"),
            false => format!("{place} {text}"),
        };
    }
    if let Some(names) = error.to_string().strip_prefix("unknown field ") {
        return format!("{subject}: `{path}` is not known; {}", meant_by(names));
    }
    if error.is_syntax() {
        // A value that is neither a string nor an object, for an enum.
        return format!("{place} has a value of the wrong type");
    }
    if let Some(field) = text.strip_suffix(" is missing") {
        return format!("{place} must have the field {field}");
    }
    format!("{subject}: {text}")
}

/// What to write instead of an unknown field. `names` is the field and the known ones, as serde reports them.
fn meant_by(names: &str) -> String {
    let mut names = names.split('`').skip(1).step_by(2);
    let field = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let similarity = |known: &str| strsim::normalized_damerau_levenshtein(known, field);
    let closest = known
        .iter()
        .max_by(|left, right| similarity(left).total_cmp(&similarity(right)));
    match closest.filter(|known| similarity(known) >= MISSPELLED) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("the known ones are: {}", known.join(", ")),
    }
}

/// The offset of an error in bytes. Lines and columns count from 1, and columns count bytes.
fn offset(json: &str, error: &Error) -> usize {
    let before = error.line().saturating_sub(1);
    let lines = json.split_inclusive('\n').take(before);
    // A syntax error is reported one byte after the start of the value.
    let column = error
        .column()
        .saturating_sub(usize::from(error.is_syntax()));
    lines.map(str::len).sum::<usize>() + column
}

/// The path of the value that ends at an offset of valid JSON, or that begins there, such as `requests[0].status`.
fn path_at(json: &str, offset: usize) -> String {
    enum Level<'a> {
        List(usize),
        Object(&'a str),
    }
    let mut levels = Vec::new();
    let mut expects_key = false;
    let mut at = 0;
    while at < offset.min(json.len()) {
        match json.as_bytes()[at] {
            b'{' => {
                levels.push(Level::Object(""));
                expects_key = true;
            }
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::List(index)) => *index += 1,
                _ => expects_key = true,
            },
            b'"' => {
                let length = string_length(&json[at..]);
                if expects_key && let Some(Level::Object(key)) = levels.last_mut() {
                    *key = &json[at + 1..at + length - 1];
                    expects_key = false;
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for level in levels {
        let _ = match level {
            Level::List(index) => write!(path, "[{index}]"),
            Level::Object(key) if path.is_empty() => write!(path, "{key}"),
            Level::Object(key) => write!(path, ".{key}"),
        };
    }
    path
}

/// The length of the string literal that a text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}
