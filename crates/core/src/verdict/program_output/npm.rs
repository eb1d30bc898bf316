//! The errors of npm and pnpm, which have a prefix in each line.

use super::has_words;
use super::instructions::with_sentence;
use super::sentences::with_rest_of_sentence;

/// Returns the text of an error line of npm.
pub(in crate::verdict) fn npm_error(line: &str) -> Option<&str> {
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
    if !versions.is_empty() {
        return format!("{text} {}", versions.join(" "));
    }
    // Another sentence begins with the same topic, such as `network`.
    let topic = text.split(' ').next();
    let following = lines[at + 1..]
        .iter()
        .map_while(|line| npm_error(line).or(line.is_empty().then_some("")));
    let continuing = following
        .clone()
        .take_while(|line| !is_npm_detail(line) && line.split(' ').next() != topic);
    let mut text = with_rest_of_sentence(text, continuing);
    if let Some((heading, command)) = command_after(following) {
        text = with_sentence(&text, &format!("{heading} {command}"));
    }
    let text = without_topic(text);
    // Without a name, the user looks for a credential of the server.
    match sign_in_code(lines).filter(|_| !text.contains("://") && !text.contains("npm")) {
        Some(code) => format!("npm {code}: {text}"),
        None => text,
    }
}

/// Returns the text of an error without the topic that npm writes before each of its lines.
fn without_topic(text: String) -> String {
    let rest = TOPICS
        .iter()
        .find_map(|topic| text.strip_prefix(topic)?.strip_prefix(' '));
    match rest {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// The topics that npm writes before the lines of an error.
const TOPICS: [&str; 5] = ["notarget", "enoent", "nospc", "notsup", "network"];

/// Whether a line of npm only tells that git has failed. The lines of git have the reason.
pub(super) fn is_unknown_git_error(line: &str) -> bool {
    npm_error(line).is_some_and(|text| text.ends_with("An unknown git error occurred"))
}

/// Returns the command that fixes an error of npm, with the line that introduces it.
fn command_after<'a>(lines: impl Iterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    const MAX_LINES: usize = 4;
    let mut lines = lines.take(MAX_LINES).filter(|line| has_words(line));
    let heading = lines.find(|line| line.ends_with(':'))?;
    let command = lines.next()?.trim();
    ["npm ", "sudo "]
        .iter()
        .any(|program| command.starts_with(program))
        .then_some((heading, command))
}

/// Returns the code of npm's error if its registry refuses the sign-in, or the package.
fn sign_in_code<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut codes = lines
        .iter()
        .filter_map(|line| npm_error(line)?.strip_prefix("code "));
    codes.find(|code| ["E401", "E403", "ENEEDAUTH"].contains(code))
}

/// Whether a line is an error of pnpm. Its report about a script that failed follows the output of the script.
pub(super) fn is_pnpm_error(line: &str) -> bool {
    let text = line.trim();
    text.starts_with("ERR_PNPM_") && !text.starts_with("ERR_PNPM_RECURSIVE")
}

/// Whether the text of an error line of npm only accompanies the reason.
pub(super) fn is_npm_detail(text: &str) -> bool {
    const DETAILS: [&str; 14] = [
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
        "enoent This is related to",
        "gyp ERR!",
        "gyp info",
        "prebuild-install ",
    ];
    !has_words(text)
        || TOPICS.contains(&text)
        || text.chars().all(|digit| digit.is_ascii_digit())
        || DETAILS.iter().any(|detail| text.starts_with(detail))
}
