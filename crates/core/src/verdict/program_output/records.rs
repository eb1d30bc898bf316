//! Turns the lines of an output into records: without progress displays, frames and the JSON of logs.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::columns::is_box;
use super::line_kinds::is_labeled;
use super::python::{exception_of_traceback, with_invalid_field};
use super::{has_words, with_list};
use crate::verdict::line_breaks;

/// Returns the text of a line after the last carriage return, with which a program overwrites a progress display.
pub(super) fn last_version(line: &str) -> &str {
    let mut versions = line.rsplit('\r');
    versions.find(|text| has_words(text)).unwrap_or("")
}

/// Returns the message of a log record in JSON, with its level if that is an error. Returns any other line unchanged.
pub(super) fn log_record(line: &str) -> Cow<'_, str> {
    let text = line.trim();
    if !text.starts_with('{') || !text.ends_with('}') {
        return line.into();
    }
    let Ok(record) = serde_json::from_str::<Map<String, Value>>(text) else {
        return line.into();
    };
    let member = |names: &[&str]| names.iter().find_map(|name| record.get(*name));
    let level = member(&["level", "severity", "lvl", "levelname"]);
    let message = member(&["message", "msg", "error"]).and_then(Value::as_str);
    let (Some(level), Some(message)) = (level, message.filter(|text| has_words(text))) else {
        return line.into();
    };
    // The levels of pino and bunyan are numbers.
    let is_error = match level {
        Value::Number(number) => number.as_u64().is_some_and(|level| level >= 50),
        Value::String(text) => [
            "error", "fatal", "critical", "panic", "dpanic", "emerg", "alert",
        ]
        .iter()
        .any(|level| text.eq_ignore_ascii_case(level)),
        _ => false,
    };
    let message = message.lines().next().unwrap_or_default();
    match is_error && !is_labeled(message) {
        true => format!("error: {message}").into(),
        false => message.to_owned().into(),
    }
}

/// Returns the line of a record that has its reason, if the program has written the line breaks of the record as `\n`: the exception of a
/// traceback, or the first line.
pub(super) fn first_of_written_lines(record: Cow<'_, str>) -> Cow<'_, str> {
    if !record.contains("\\n") {
        return record;
    }
    let lines = line_breaks::lines(&record);
    if lines.len() == 1 {
        return record;
    }
    let found = exception_of_traceback(&lines).map(|at| with_invalid_field(&lines, at));
    let useful = lines.iter().position(|line| has_words(line));
    match found.or_else(|| useful.map(|at| with_list(&lines, at))) {
        Some(text) => text.into(),
        None => record,
    }
}

/// Returns the lines without the frames of box-drawing characters. The text of an error is put in the line with the title, and any other
/// text is indented. The number of lines does not change.
pub(super) fn without_frames(mut lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    // The line with the title of an error.
    let mut error = None;
    for at in 0..lines.len() {
        let line = lines[at].trim();
        if !line.starts_with(is_box) || !line.ends_with(is_box) {
            continue;
        }
        let text = line.trim_matches(is_box).trim().to_owned();
        let is_title = line.starts_with(['╭', '┌', '╔', '┏']);
        if is_title {
            error = text.eq_ignore_ascii_case("error").then_some(at);
            lines[at] = if has_words(&text) {
                format!("{text}:")
            } else {
                text
            }
            .into();
        } else if let Some(title) = error {
            let title = lines[title].to_mut();
            title.push_str(if text.is_empty() { "" } else { " " });
            title.push_str(&text);
            lines[at] = "".into();
        } else {
            lines[at] = format!(" {text}").into();
        }
    }
    lines
}
