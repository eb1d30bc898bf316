//! The usage that a program prints if its arguments are wrong.

use std::borrow::Cow;

use super::causes::begins_usage;
use super::has_words;
use super::line_kinds::{begins_with_label, names_error};

/// Returns the lines without the explanations of options and commands that follow the usage of a program. The number of lines does not
/// change.
pub(super) fn without_usage(mut lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    let mut is_in_usage = false;
    for line in &mut lines {
        let is_heading = begins_usage(line) || is_usage_heading(line);
        let is_part = line.trim().is_empty() || line.starts_with([' ', '\t']);
        is_in_usage = is_heading || is_in_usage && is_part && !begins_with_label(line);
        if is_in_usage {
            *line = "".into();
        }
    }
    lines
}

/// Whether a line is the heading of a list in the usage of a program.
fn is_usage_heading(line: &str) -> bool {
    const HEADINGS: [&str; 7] = [
        "options:",
        "optional arguments:",
        "positional arguments:",
        "arguments:",
        "commands:",
        "available commands:",
        "flags:",
    ];
    !line.starts_with([' ', '\t'])
        && HEADINGS
            .iter()
            .any(|heading| line.trim().eq_ignore_ascii_case(heading))
}

/// Returns the usage in the output of a program that has nothing else: the line of its beginning, or the next one if that is only a title.
pub(super) fn usage(output: &str) -> Option<String> {
    let lines: Vec<&str> = output.lines().collect();
    let at = lines.iter().position(|line| begins_usage(line))?;
    let title = lines[at].trim();
    let command = lines[at + 1..].iter().find(|line| has_words(line));
    match command.filter(|_| title.ends_with(':')) {
        Some(command) => Some(format!("{title} {}", command.trim())),
        None => Some(title.to_owned()),
    }
}

/// Whether a line is only the name of a program and its version, as it is shown above the usage.
pub(super) fn is_title(line: &str) -> bool {
    const MAX_WORDS: usize = 6;
    let is_version = |word: &str| {
        let number = word
            .trim_start_matches(['v', '('])
            .trim_end_matches([')', ',']);
        number.contains('.')
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let words: Vec<&str> = line.split_whitespace().take(MAX_WORDS + 1).collect();
    words.len() <= MAX_WORDS && words.iter().any(|word| is_version(word)) && !names_error(line)
}
