//! The errors that the consoles of Symfony and Laravel draw with indentation: a place or a class, the message, and the usage or the code.

use super::has_words;

/// Returns the index of the last line of an error, and the error.
pub(super) fn error_of_console(lines: &[&str]) -> Option<(usize, String)> {
    lines.iter().enumerate().find_map(|(at, line)| {
        let text = line.trim();
        if is_place(line) {
            return message_after(lines, at);
        }
        // The indentation of the first line is not kept.
        if at > 0 && !line.starts_with("  ") {
            return None;
        }
        let in_brackets = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if !is_class(in_brackets.unwrap_or(text)) {
            return None;
        }
        let (end, message) = message_after(lines, at)?;
        if in_brackets.is_some() {
            return Some((end, format!("{text} {message}")));
        }
        let next = lines[end + 1..].iter().find(|line| has_words(line))?;
        next.trim()
            .starts_with("at ")
            .then(|| (end, format!("{text}: {message}")))
    })
}

/// Whether a line is the place of an error in the console of Symfony: `In Connection.php line 82:`.
fn is_place(line: &str) -> bool {
    line.trim_end()
        .strip_prefix("In ")
        .and_then(|rest| rest.strip_suffix(':')?.rsplit_once(" line "))
        .is_some_and(|(file, number)| {
            !file.contains(' ') && number.bytes().all(|digit| digit.is_ascii_digit())
        })
}

/// Whether a text is only the name of a class of errors.
fn is_class(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && (text.ends_with("Error") || text.ends_with("Exception"))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'\\' || byte == b'_')
}

/// Returns the index of the last line of the indented message after a line, and the message.
fn message_after(lines: &[&str], at: usize) -> Option<(usize, String)> {
    const MAX_LINES: usize = 8;
    let blank = lines[at + 1..].iter().position(|line| has_words(line))?;
    let start = at + 1 + blank;
    if !lines[start].starts_with("  ") {
        return None;
    }
    let message = lines[start..].iter().take(MAX_LINES);
    let message = message.take_while(|line| has_words(line));
    let message: Vec<&str> = message.map(|line| line.trim()).collect();
    Some((start + message.len() - 1, message.join(" ")))
}
