//! The columns of Python's Rich, with which FastMCP logs: a time, a level, the message wrapped over several lines, and the place.

use std::borrow::Cow;

use super::has_words;

const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
/// The width of the column with the level, with the space after it.
const LEVEL_WIDTH: usize = 9;

/// Returns the lines with each record in the line of its level, without its time and its place. A traceback in the column of the message
/// keeps its lines, without the indentation. The number of lines does not change.
pub(super) fn without_columns(mut lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    // The beginning of the level's column, which is the same in each line.
    let mut level_at = None;
    // The line to which the next one is added. `None` outside of a record, and in a traceback.
    let mut record: Option<usize> = None;
    let mut is_traceback = false;
    for at in 0..lines.len() {
        if let Some((start, level)) = level_of(&lines[at], level_at) {
            let message = without_place(&lines[at][start + LEVEL_WIDTH..]);
            let text = format!("{level} {message}");
            lines[at] = text.into();
            (level_at, record, is_traceback) = (Some(start), Some(at), false);
            continue;
        }
        let text = level_at.and_then(|start| in_column(&lines[at], start + LEVEL_WIDTH));
        let Some(text) = text.map(str::to_owned) else {
            // A blank line may be a part of a traceback.
            record = None;
            is_traceback &= !has_words(&lines[at]);
            continue;
        };
        let is_frame = text.starts_with(is_box);
        if is_frame || text.starts_with("Traceback (most recent call last)") {
            is_traceback = true;
            record = None;
            lines[at] = text.into();
            continue;
        }
        // Rich wraps an exception below its traceback too.
        let is_inside = is_traceback && text.starts_with(' ');
        match record.filter(|_| !is_inside) {
            Some(record) => {
                let whole = lines[record].to_mut();
                whole.push(' ');
                whole.push_str(text.trim());
                lines[at] = "".into();
            }
            None if is_traceback => {
                record = (!is_inside).then_some(at);
                lines[at] = text.trim_end().to_owned().into();
            }
            None => {}
        }
    }
    lines
}

/// Returns the beginning of the level in the first line of a record, and the level. The time is missing if it is that of the record before.
fn level_of(line: &str, level_at: Option<usize>) -> Option<(usize, &'static str)> {
    let start = match line.strip_prefix('[') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => {
            line.find("] ")? + 2
        }
        _ => level_at.filter(|start| in_column(line, *start).is_some())?,
    };
    let rest = line.get(start..)?;
    let level = LEVELS.iter().find(|level| rest.starts_with(**level))?;
    let padding = rest.get(level.len()..LEVEL_WIDTH)?;
    let is_column = !padding.is_empty() && padding.bytes().all(|byte| byte == b' ');
    is_column.then_some((start, *level))
}

/// Returns the text of a line from a column on, if the columns before it are empty.
fn in_column(line: &str, column: usize) -> Option<&str> {
    let text = line
        .get(column..)
        .filter(|text| has_words(text) || text.starts_with(is_box))?;
    line[..column]
        .bytes()
        .all(|byte| byte == b' ')
        .then_some(text)
}

/// Returns a message without the place at its right, such as `server.py:344`.
fn without_place(text: &str) -> &str {
    let text = text.trim();
    let found = text.rsplit_once(' ').filter(|(_, place)| {
        place.rsplit_once(".py:").is_some_and(|(_, number)| {
            !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
        })
    });
    found.map_or(text, |(message, _)| message.trim_end())
}

/// Whether a character draws a frame.
pub(super) fn is_box(character: char) -> bool {
    ('\u{2500}'..='\u{257f}').contains(&character)
}
