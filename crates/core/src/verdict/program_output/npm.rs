//! The errors of npm and pnpm, which have a prefix in each line.

use super::has_words;
use super::sentences::with_rest_of_sentence;

/// Returns the text of an error line of npm.
pub(super) fn npm_error(line: &str) -> Option<&str> {
    let line = line.trim();
    let text = ["npm error", "npm ERR!"]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))?
        .trim();
    Some(text.strip_prefix("gyp ERR! stack ").unwrap_or(text))
}

/// Returns an error of npm, with the rest of its sentence, or with the versions that npm requires and has found.
pub(super) fn with_npm_lines(lines: &[&str], at: usize) -> String {
    const MAX_LINES: usize = 2;
    let text = npm_error(lines[at]).unwrap_or_default();
    let versions: Vec<&str> = lines[at + 1..]
        .iter()
        .map_while(|line| npm_error(line)?.strip_prefix("notsup "))
        .filter(|text| {
            ["Required:", "Actual:"]
                .iter()
                .any(|it| text.starts_with(it))
        })
        .take(MAX_LINES)
        .collect();
    match versions.is_empty() {
        true => {
            // Another sentence begins with the same topic, such as `network`.
            let topic = text.split(' ').next();
            let following = lines[at + 1..].iter().map_while(|line| npm_error(line));
            let following = following
                .take_while(|line| !is_npm_detail(line) && line.split(' ').next() != topic);
            with_rest_of_sentence(text, following)
        }
        false => format!("{text} {}", versions.join(" ")),
    }
}

/// Whether a line is an error of pnpm. Its report about a script that failed follows the output of the script.
pub(super) fn is_pnpm_error(line: &str) -> bool {
    let text = line.trim();
    text.starts_with("ERR_PNPM_") && !text.starts_with("ERR_PNPM_RECURSIVE")
}

/// Whether the text of an error line of npm only accompanies the reason.
pub(super) fn is_npm_detail(text: &str) -> bool {
    const DETAILS: [&str; 12] = [
        "code ",
        "errno ",
        "syscall ",
        "path ",
        "dest ",
        "A complete log",
        "404 Note that",
        "404 tarball",
        "command ",
        "engine Unsupported engine",
        "gyp ERR!",
        "gyp info",
    ];
    !has_words(text)
        || text.chars().all(|digit| digit.is_ascii_digit())
        || DETAILS.iter().any(|detail| text.starts_with(detail))
}
