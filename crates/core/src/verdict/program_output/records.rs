//! Turns the lines of an output into records: without progress displays, frames and written line breaks.

use std::borrow::Cow;

use super::columns::is_box;
use super::python::{exception_of_traceback, with_invalid_field};
use super::{has_words, with_list};
use crate::verdict::line_breaks;

/// Returns the text of a line after the last carriage return, with which a program overwrites a progress display.
pub(super) fn last_version(line: &str) -> &str {
    let mut versions = line.rsplit('\r');
    versions.find(|text| has_words(text)).unwrap_or("")
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
        // oclif draws only the left edge.
        if let Some(text) = line.strip_prefix("›   ") {
            lines[at] = text.to_owned().into();
            continue;
        }
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
