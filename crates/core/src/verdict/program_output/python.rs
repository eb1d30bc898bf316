//! Exceptions of Python and of pydantic, and the errors of uv.

use super::line_kinds::is_noise;
use super::{find_reason, has_words, with_following};

/// Returns the index of the first exception in a Python exception group, whose own line has no reason.
pub(super) fn exception_of_group(lines: &[&str]) -> Option<usize> {
    let header = lines
        .iter()
        .position(|line| line.contains("Exception Group Traceback"))?;
    let found = lines[header + 1..].iter().position(|line| {
        line.trim_start().strip_prefix("| ").is_some_and(|text| {
            !text.starts_with([' ', '|', '+'])
                && !text.contains("Traceback (most recent call last)")
                && !text.contains("ExceptionGroup: ")
                && has_words(text)
        })
    })?;
    Some(header + 1 + found)
}

/// Returns the index of the exception at the end of a Python traceback.
pub(super) fn exception_of_traceback(lines: &[&str]) -> Option<usize> {
    let is_header = |line: &&str| line.contains("Traceback (most recent call last)");
    let header = lines.iter().rposition(is_header)?;
    let is_exception = |line: &&str| !line.starts_with([' ', '\t', '|', '+']) && !is_noise(line);
    let after = lines[header + 1..].iter().position(is_exception)?;
    Some(header + 1 + after)
}

/// Returns an exception of Python. The invalid field and its problem are on the lines after that of a validation, and the innermost cause
/// is on the last of the lines with a code that a driver of a database writes.
pub(super) fn with_invalid_field(lines: &[&str], at: usize) -> String {
    let lines_after = if is_validation_error(lines[at]) { 2 } else { 0 };
    let coded = lines[at + 1..]
        .iter()
        .take_while(|line| begins_with_code(line));
    match (lines[at].split_once(": "), coded.last()) {
        (Some((class, text)), Some(cause)) if begins_with_code(text) => {
            format!("{class}: {}", cause.trim_end())
        }
        _ => with_following(lines, at, lines_after),
    }
}

/// Whether a text begins with a code of a database, such as `DPY-6001: ` and `ORA-12514: `.
fn begins_with_code(text: &str) -> bool {
    let code = text
        .split_once(": ")
        .and_then(|(code, _)| code.split_once('-'));
    code.is_some_and(|(letters, digits)| {
        (2..=5).contains(&letters.len())
            && (3..=6).contains(&digits.len())
            && letters.bytes().all(|letter| letter.is_ascii_uppercase())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// Whether a line ends with the heading that pydantic writes before the invalid fields: `2 validation errors for Settings`.
pub(super) fn is_validation_error(line: &str) -> bool {
    let found = [" validation error for ", " validation errors for "]
        .iter()
        .find_map(|words| line.split_once(words));
    found.is_some_and(|(before, model)| {
        before.ends_with(|last: char| last.is_ascii_digit())
            && !model.trim_end().contains(char::is_whitespace)
    })
}

/// Returns the text of a cause in the output of uv: a branch of a tree, or an indented line with `cause:`.
pub(super) fn cause_of_uv(line: &str) -> Option<&str> {
    let in_tree = line.split_once("─▶ ").map(|(_, text)| text);
    let in_list = line
        .starts_with("  ")
        .then(|| line.trim_start().strip_prefix("cause: "));
    in_tree.or(in_list.flatten()).map(str::trim)
}

/// Returns the part of a line of uv that names a package whose build has failed: ``Failed to build `acme==1.0` ``.
pub(super) fn package_of_build(line: &str) -> Option<&str> {
    let start = line.find("Failed to build `")?;
    let text = line[start..].trim_end();
    text.ends_with('`').then_some(text)
}

/// Returns the index of the line with the reason in the output of a build that uv shows below a cause, and the reason.
pub(super) fn reason_of_build(lines: &[&str]) -> Option<(usize, String)> {
    let heading = |name: &str| lines.iter().position(|line| line.trim() == name);
    let start = heading("[stderr]").or_else(|| heading("[stdout]"))? + 1;
    let is_hint = |line: &&str| {
        ["hint:", "help:"]
            .iter()
            .any(|it| line.trim().starts_with(it))
    };
    let output: Vec<&str> = lines[start..]
        .iter()
        .take_while(|line| !is_hint(line))
        .map(|line| line.strip_prefix("      ").unwrap_or(line.trim_start()))
        .collect();
    let (at, text) = find_reason(&output)?;
    Some((start + at, text))
}
