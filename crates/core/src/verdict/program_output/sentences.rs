//! Sentences that a program has written on several lines, and the error before the instructions at the end of an output.

use super::instructions::{instruction_after, is_instruction};
use super::line_kinds::{is_labeled, is_noise};
use super::{log_records, with_list};

/// How many lines before a line, or after it, may belong to its sentence.
const MAX_LINES: usize = 3;
/// How many lines before the last one are searched for the error.
const MAX_STEPS: usize = 8;

/// Returns a line, with the rest of its sentence if it is long, has no full stop, and the next line continues it in lowercase.
pub(super) fn with_rest_of_sentence<'a>(
    text: &str,
    following: impl Iterator<Item = &'a str>,
) -> String {
    // Programs wrap lines that are longer.
    const MIN_CHARS: usize = 50;
    let is_whole = |text: &str| {
        text.ends_with(|last: char| {
            !last.is_alphabetic() && !matches!(last, '\'' | '"' | '`' | ',')
        })
    };
    let following = following.take(MAX_LINES).take_while(|line| {
        let continues = line.starts_with(char::is_alphanumeric) && line.contains(' ');
        continues && !is_noise(line) && !is_labeled(line) && !log_records::is_record(line)
    });
    let following: Vec<&str> = following.collect();
    let continues = following
        .first()
        .is_some_and(|line| line.starts_with(char::is_lowercase));
    let mut sentence = text.to_owned();
    if !continues || is_whole(text) || text.chars().count() < MIN_CHARS {
        return sentence;
    }
    for line in following {
        sentence.push(' ');
        if let Some((end, _)) = line.split_once(". ") {
            sentence.push_str(end);
            sentence.push('.');
            break;
        }
        sentence.push_str(line.trim_end());
        if is_whole(line.trim_end()) {
            break;
        }
    }
    sentence
}

/// Returns a line, with the beginning of its sentence on the lines before it.
pub(super) fn with_beginning(lines: &[&str], at: usize) -> String {
    joined(lines, beginning(lines, at), at)
}

/// Returns the last sentence of a line.
pub(super) fn last_sentence(line: &str) -> &str {
    line.rsplit_once(". ")
        .map_or(line, |(_, sentence)| sentence)
}

/// Returns the index and the text of the statement that ends at a line. If the line is an instruction, or an item of its list, the
/// statement is the error before it.
pub(super) fn statement(lines: &[&str], at: usize) -> (usize, String) {
    let mut start = beginning(lines, at);
    let mut end = at;
    for _ in 0..MAX_STEPS {
        let Some(before) = lines[..start].iter().rposition(|line| !is_noise(line)) else {
            break;
        };
        let is_near = start - before <= 2 && !lines[before].starts_with([' ', '\t']);
        let follows = introduces(lines[before]) || is_added(lines[start]);
        if !is_near || !follows || begins_record(lines[before]) {
            break;
        }
        end = before;
        start = beginning(lines, before);
    }
    if end == at {
        return (at, joined(lines, start, at));
    }
    let text = match lines[end].trim_end().ends_with(':') {
        true => with_list(lines, end),
        false => joined(lines, start, end),
    };
    let has_all = text.contains(lines[at].trim()) || is_instruction(lines[start]);
    match has_all || instruction_after(lines, end, &text).is_some() {
        true => (end, text),
        false => (at, with_beginning(lines, at)),
    }
}

/// Whether a line is introduced by the one before it, or continues its list.
fn introduces(line: &str) -> bool {
    // A path with a colon is only a title.
    (line.trim_end().ends_with(':') && line.trim().contains(' '))
        || (is_added(line) && line.contains(" the following "))
}

/// Whether a line does not stand alone: an instruction, or another possibility.
fn is_added(line: &str) -> bool {
    is_instruction(line) || ["or ", "Or "].iter().any(|word| line.starts_with(word))
}

/// Returns the index of the first line of the sentence that a line is a part of.
fn beginning(lines: &[&str], at: usize) -> usize {
    let mut start = at;
    while start > at.saturating_sub(MAX_LINES) && continues(lines[start - 1], lines[start]) {
        start -= 1;
    }
    start
}

/// Whether a line continues the sentence of the line before it, which is long enough to be wrapped. A line of a log continues no other.
fn continues(before: &str, line: &str) -> bool {
    const MIN_BYTES: usize = 30;
    let before_end = before.trim_end();
    let text = line.strip_prefix(' ').unwrap_or(line);
    if is_error_code(line) {
        return before_end.ends_with('.')
            && !before.starts_with([' ', '\t'])
            && !begins_record(before);
    }
    // Scripts without upper case do not mark where sentences begin.
    let begins_inside = text.starts_with(|first: char| {
        first.is_lowercase()
            || (!first.is_ascii() && first.is_alphabetic() && !first.is_uppercase())
    });
    let ends_inside = before_end.ends_with(|last: char| last.is_alphabetic() || last == '`');
    let is_end = text.trim_end().ends_with(['.', '。']);
    // The name of a program begins an error.
    let has_name = text
        .split(' ')
        .next()
        .is_some_and(|word| word.ends_with(':'));
    before.len() >= MIN_BYTES
        && !before.starts_with([' ', '\t'])
        && begins_inside
        && (before_end.ends_with([',', '，', '、']) || (ends_inside && is_end))
        && !begins_record(before)
        && !is_noise(before)
        && !is_labeled(line)
        && !has_name
}

/// Whether a line is the code of the error that the line before it describes.
fn is_error_code(line: &str) -> bool {
    ["Error code: ", "Error Code: "]
        .iter()
        .filter_map(|label| line.strip_prefix(label))
        .any(|code| !code.trim().contains(char::is_whitespace))
}

/// Whether a line is a record of a log: it begins with a time, a level or a name in brackets.
fn begins_record(line: &str) -> bool {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "warning", "error"];
    let first = line.split([' ', ':']).next().unwrap_or_default();
    let first = first.to_ascii_lowercase();
    line.starts_with(|sign: char| sign.is_ascii_digit() || matches!(sign, '[' | '{' | '('))
        || LEVELS.contains(&first.as_str())
        || log_records::is_record(line)
}

fn joined(lines: &[&str], start: usize, end: usize) -> String {
    let parts: Vec<&str> = lines[start..=end].iter().map(|line| line.trim()).collect();
    parts.join(" ")
}
