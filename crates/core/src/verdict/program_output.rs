//! Finds the line of a program's output that has the reason of a failure, without the notices, stack frames and hints around it.
//!
//! Each function takes linear time. The text is already limited, masked and without control characters.

mod causes;
mod columns;
mod elixir;
mod instructions;
mod issues;
mod line_kinds;
mod log_records;
mod npm;
mod parents;
mod php;
mod powershell;
mod purposes;
mod python;
mod questions;
mod records;
mod sentences;
#[cfg(test)]
mod tests;
mod usage;

use std::borrow::Cow;

use serde_json::Value;

use self::causes::network_fault;
pub(super) use self::causes::{
    blames_arguments, blames_installation, blames_javascript, blames_network, blames_python,
    has_instruction, has_windows_line_end, names_missing_setting, names_missing_variable,
    waits_for_lock,
};
use self::columns::without_columns;
use self::elixir::innermost_exception;
use self::instructions::{INSTRUCTION_LINES, is_remedy, with_instruction};
use self::issues::{displayed_issue, with_issues};
use self::line_kinds::{
    asks_user, begins_with_label, has_ruby_place, is_bare_label, is_crash, is_farewell, is_labeled,
    is_missing_sdk, is_noise, names_error,
};
use self::log_records::log_record;
pub(super) use self::npm::npm_error;
use self::npm::{is_npm_detail, is_pnpm_error, is_unknown_git_error, with_npm_lines};
use self::parents::without_reports;
use self::php::error_of_console;
use self::powershell::error_of_powershell;
pub(super) use self::purposes::other_purpose;
use self::python::{
    cause_of_uv, exception_of_group, exception_of_traceback, is_validation_error, package_of_build,
    reason_of_build, with_invalid_field,
};
pub(super) use self::questions::{is_request, question};
use self::records::{first_of_written_lines, last_version, without_frames};
use self::sentences::{statement, with_beginning, with_rest_of_sentence};
use self::usage::{is_title, usage, without_usage};

/// The line in place of the part of an output that was left out.
pub(crate) const CUT: &str = "…";

/// Returns the line of a program's output that has the reason of a failure, without the notices, stack frames and hints around it.
///
/// If the program `waits`, a line that asks the user to do something is preferred to an error.
pub(crate) fn reason(output: &str, waits: bool) -> Option<String> {
    let records = output.lines().map(last_version).map(log_record);
    let records = records.map(first_of_written_lines).collect();
    let records = with_issues(without_usage(without_frames(without_columns(records))));
    let mut lines: Vec<&str> = records.iter().map(AsRef::as_ref).collect();
    // The line after the part that was left out has no beginning, so it can't be the reason.
    let cut = output.lines().position(|line| line == CUT);
    if let Some(line) = cut.and_then(|at| lines.get_mut(at + 1)) {
        *line = "";
    }
    if waits && let Some(request) = request_to_user(&lines) {
        return Some(request);
    }
    let found = match find_reason(&lines) {
        // Only the name of the program is above its usage.
        Some((_, text)) if is_title(&text) && usage(output).is_some() => usage(output)?,
        Some((at, text)) => {
            let following = output.lines().skip(at + 1);
            let text = message_of_json(following, &text).unwrap_or(text);
            match system_reason(&lines, &text) {
                Some(cause) => format!("{text} ({cause})"),
                None => with_instruction(&lines, at, text),
            }
        }
        None => match usage(output) {
            Some(usage) => usage,
            None if lines.iter().any(|line| has_words(line)) => return None,
            None => output.trim().lines().next_back()?.to_owned(),
        },
    };
    let found = without_inspection(found);
    (!found.is_empty()).then_some(found)
}

/// Returns an error without the brackets in which Node shows one that has other members: `[Error: …] {`.
fn without_inspection(text: String) -> String {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix("] {"));
    match inner {
        Some(inner) => inner.to_owned(),
        None => text,
    }
}

/// Returns whether a line of a program's output is an error, and not a line of its log about something else.
pub(super) fn is_error(line: &str) -> bool {
    const OTHER_LEVELS: [&str; 5] = ["info", "debug", "trace", "information", "notice"];
    let mut words = line.split_whitespace().take(4);
    let is_of_other_level = words.any(|word| {
        let level = word.trim_matches(|character: char| !character.is_alphanumeric());
        OTHER_LEVELS
            .iter()
            .any(|other| level.eq_ignore_ascii_case(other))
    });
    is_labeled(line) || (names_error(line) && !is_of_other_level)
}

/// Returns the index of the line with the reason, and the reason. The report of a parent is the reason if no other line has one.
fn find_reason(lines: &[&str]) -> Option<(usize, String)> {
    without_reports(lines)
        .and_then(|own| find_error(&own).or_else(|| find_last_line(&own, true)))
        .or_else(|| find_error(lines))
        .or_else(|| find_last_line(lines, false))
}

/// Returns the index of the line with an error, and the error.
fn find_error(lines: &[&str]) -> Option<(usize, String)> {
    if let Some(at) = exception_of_group(lines) {
        let text = lines[at].trim_start().trim_start_matches(['|', ' ']);
        return Some((at, text.to_owned()));
    }
    if let Some(at) = exception_of_traceback(lines) {
        return Some((at, with_invalid_field(lines, at)));
    }
    if let Some(found) = innermost_exception(lines) {
        return Some(found);
    }
    if let Some(at) = lines.iter().position(|line| is_validation_error(line)) {
        return Some((at, with_invalid_field(lines, at)));
    }
    if let Some(at) = lines.iter().position(|line| is_crash(line)) {
        let continues = lines[at].trim_end().ends_with(':') || is_missing_sdk(lines[at]);
        return Some((at, with_following(lines, at, usize::from(continues))));
    }
    // uv shows the causes of an error as a tree, in which the last one may have several lines, or as a list. If the last one is a build
    // that failed, its output has the reason.
    if let Some(at) = lines.iter().rposition(|line| cause_of_uv(line).is_some()) {
        if let Some((below, text)) = reason_of_build(&lines[at + 1..]) {
            let text = match lines[..at]
                .iter()
                .rev()
                .find_map(|line| package_of_build(line))
            {
                Some(package) => format!("{package}: {text}"),
                None => text,
            };
            return Some((at + 1 + below, text));
        }
        let is_in_tree = lines[at].contains("─▶ ");
        let cause = with_following(lines, at, if is_in_tree { 2 } else { 0 });
        return cause_of_uv(lines[at])
            .and_then(|text| cause.find(text))
            .map(|start| (at, cause[start..].to_owned()));
    }
    let of_npm = |line: &&str| npm_error(line).is_some_and(|text| !is_npm_detail(text));
    let of_npm_or_git = |line: &&str| of_npm(line) && !is_unknown_git_error(line);
    let at = lines.iter().position(of_npm_or_git);
    if let Some(at) = at.or_else(|| lines.iter().position(of_npm)) {
        return Some((at, with_npm_lines(lines, at)));
    }
    if let Some(at) = lines.iter().position(|line| is_pnpm_error(line)) {
        // The versions are on the next lines.
        let lines_after = if lines[at].contains("UNSUPPORTED") {
            3
        } else {
            0
        };
        return Some((at, with_following(lines, at, lines_after)));
    }
    if let Some(found) = error_of_powershell(lines).or_else(|| error_of_console(lines)) {
        return Some(found);
    }
    if let Some(found) = error_of_child(lines) {
        return Some(found);
    }
    let is_outside = |line: &&str| !line.starts_with([' ', '\t']) && !is_noise(line);
    let labeled = |line: &&str| is_outside(line) && is_labeled(line);
    let at = lines
        .iter()
        .rposition(|line| labeled(line) && !is_farewell(line) && !is_bare_label(line))
        .or_else(|| {
            lines
                .iter()
                .rposition(|line| labeled(line) && !is_bare_label(line))
        })
        .map(|at| first_of_labeled(lines, at))
        // Errors of another program are indented above a summary, and those of Nix below a label.
        .or_else(|| {
            let is_label = |line: &&str| begins_with_label(line) && !is_noise(line);
            lines.iter().rposition(is_label)
        })
        .or_else(|| {
            let is_error = |line: &&str| is_outside(line) && names_error(line);
            let at = lines.iter().rposition(is_error)?;
            // A warning in the log is not the reason if the program then writes without its log.
            let is_quiet = log_records::is_record(lines[at]) && !is_labeled(lines[at]);
            let is_plain = |line: &&str| is_outside(line) && !log_records::is_record(line);
            let last = lines[at + 1..]
                .iter()
                .rposition(is_plain)
                .filter(|_| is_quiet);
            let at = last.map_or(at, |last| at + 1 + last);
            // The command that fixes an error follows it.
            let before = at.saturating_sub(INSTRUCTION_LINES);
            let error = lines[before..at]
                .iter()
                .rposition(|line| is_error(line) && !is_remedy(line));
            Some(
                error
                    .filter(|_| is_remedy(lines[at]))
                    .map_or(at, |error| before + error),
            )
        });
    if let Some(at) = at {
        if lines.get(at + 1).is_some_and(|line| is_java_cause(line)) {
            return Some((at + 1, lines[at + 1].trim().to_owned()));
        }
        // The message of a Rust panic is on the next line, and so are the details after a colon.
        let text = match lines[at].trim().ends_with(':') {
            true => with_list(lines, at),
            false => {
                let text = with_beginning(lines, at);
                with_rest_of_sentence(without_place(&text), lines[at + 1..].iter().copied())
            }
        };
        let text = match heading_of_status(lines, at) {
            Some(heading) => format!("{heading} {}", text.trim_start()),
            None => text,
        };
        return Some((at, with_cause(lines, at, text)));
    }
    None
}

/// Returns the index and the text of the error in the output of another program that an error shows below `stderr:`.
fn error_of_child(lines: &[&str]) -> Option<(usize, String)> {
    let is_heading = |line: &&str| line.trim().eq_ignore_ascii_case("stderr:");
    // The rest has no other heading.
    let start = lines.iter().rposition(is_heading)? + 1;
    let (at, text) = find_error(&lines[start..])?;
    Some((start + at, text))
}

/// Returns the line above an indented one, if it names a program and its status: `go: acme.example/mcp: git ls-remote: exit status 128:`.
fn heading_of_status<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    let before = lines.get(at.checked_sub(1)?)?.trim_end();
    let is_heading = before.ends_with(':') && before.contains(": exit status ");
    (lines[at].starts_with([' ', '\t']) && is_heading).then_some(before)
}

/// Returns the index of the last useful line, and its text.
fn find_last_line(lines: &[&str], outside: bool) -> Option<(usize, String)> {
    let is_useful = |line: &&str| !(is_noise(line) || outside && line.starts_with([' ', '\t']));
    // An address of its own is that of a page about the lines before it.
    let is_address = |line: &str| {
        line.trim().starts_with("https://") && !line.trim().contains(char::is_whitespace)
    };
    let at = lines
        .iter()
        .rposition(|line| is_useful(line) && !is_address(line))
        .or_else(|| lines.iter().rposition(is_useful))?;
    Some(statement(lines, at))
}

/// Returns an error of Ruby without its place, if that is inside Ruby.
fn without_place(text: &str) -> &str {
    let found = text.split_once("': ").filter(|(place, _)| {
        has_ruby_place(place) && (place.starts_with("<internal:") || place.contains("/rubygems"))
    });
    found.map_or(text, |(_, message)| message)
}

/// Returns the index of the line with a label that a line belongs to. Maven writes the label before each line of an error.
fn first_of_labeled(lines: &[&str], at: usize) -> usize {
    const LABEL: &str = "[ERROR] ";
    let is_detail = |line: &str| {
        line.strip_prefix(LABEL)
            .is_some_and(|text| text.starts_with(' '))
    };
    let details = lines[..=at].iter().rev().take_while(|line| is_detail(line));
    let first = at.checked_sub(details.count());
    first
        .filter(|first| lines[*first].starts_with(LABEL))
        .unwrap_or(at)
}

/// Returns the beginning of a line and the first issue in the JSON that begins at its end, as a validation reports it: its path and its
/// message.
fn message_of_json<'a>(
    mut following: impl Iterator<Item = &'a str> + Clone,
    text: &'a str,
) -> Option<String> {
    let text = text.trim_end();
    let beginning = text.strip_suffix(['[', '{'])?;
    let bracket = &text[beginning.len()..];
    let json: Vec<&str> = std::iter::once(bracket).chain(following.clone()).collect();
    let json = json.join("\n");
    let issue = serde_json::Deserializer::from_str(&json)
        .into_iter::<Value>()
        .next()
        .and_then(Result::ok)
        .and_then(|issues| match issues {
            Value::Array(issues) => issues.into_iter().next(),
            issue => Some(issue),
        });
    let message = match &issue {
        Some(issue) => issue.get("message")?.as_str()?.to_owned(),
        // The end of the JSON may be missing, or it is not JSON.
        None => {
            let displayed = displayed_issue(following.clone());
            let message = following.find_map(|line| {
                let value = line.trim().strip_prefix("\"message\":")?.trim();
                serde_json::from_str::<String>(value.trim_end_matches(',')).ok()
            });
            message.or(displayed)?
        }
    };
    let path = issue
        .as_ref()
        .and_then(|issue| issue.get("path")?.as_array());
    let path: Vec<String> = path
        .into_iter()
        .flatten()
        .map(|part| {
            part.as_str()
                .map_or_else(|| part.to_string(), str::to_owned)
        })
        .collect();
    Some(match path.is_empty() {
        true => format!("{beginning}{message}"),
        false => format!("{beginning}{}: {message}", path.join(".")),
    })
}

/// Returns the system's reason for an error that is about a connection or a download and does not have it.
fn system_reason<'a>(lines: &[&'a str], text: &str) -> Option<&'a str> {
    const SUBJECTS: [&str; 10] = [
        "retries", "attempts", "connect", "fetch", "download", "load ", "reach", "retriev",
        "network", "request",
    ];
    let lower = text.to_ascii_lowercase();
    let is_about = SUBJECTS.iter().any(|word| lower.contains(word));
    if !is_about || network_fault(text).is_some() {
        return None;
    }
    let faults = || lines.iter().rev().filter_map(|line| network_fault(line));
    // With the address, if a line has it.
    faults()
        .find(|fault| fault.contains(' '))
        .or_else(|| faults().next())
}

/// Returns a text with the folder before `node_modules` and `site-packages` in its paths replaced by an ellipsis. The rest of such a path
/// names the package.
pub(crate) fn shorten_paths(text: &str) -> Cow<'_, str> {
    const FOLDERS: [&str; 4] = [
        "/node_modules/",
        "/site-packages/",
        "\\node_modules\\",
        "\\site-packages\\",
    ];
    let last = |part: &str| {
        let ends = FOLDERS
            .iter()
            .filter_map(|folder| Some(part.rfind(folder)? + folder.len()));
        ends.max()
    };
    if last(text).is_none() {
        return without_assembly_details(text);
    }
    let mut shortened = String::new();
    for part in text.split_inclusive([' ', '\'', '"', '(', ')', '`', ',', ';', '=']) {
        let start = match part.find("://") {
            Some(_) => part.find("file://"),
            None => part.find(['/', '\\']),
        };
        match (start, last(part)) {
            // A drive of Windows is part of the path.
            (Some(start), Some(end)) if start < end => {
                let drive = part[..start].ends_with(':') && start == 2;
                shortened.push_str(if drive { "" } else { &part[..start] });
                shortened.push_str("…/");
                shortened.push_str(&part[end..]);
            }
            _ => shortened.push_str(part),
        }
    }
    shortened.into()
}

/// Returns an error of .NET without the details after the name and the version of its first assembly: `, Culture=neutral, PublicKeyToken=…`.
fn without_assembly_details(text: &str) -> Cow<'_, str> {
    let found = text.find(", Culture=").and_then(|start| {
        let end = text[start..].find(['\'', '"'])?;
        Some((start, start + end))
    });
    match found {
        Some((start, end)) => format!("{}{}", &text[..start], &text[end..]).into(),
        None => text.into(),
    }
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Returns a line, joined with the next `count` useful ones.
fn with_following(lines: &[&str], at: usize, count: usize) -> String {
    let following = lines[at + 1..].iter().filter(|line| !is_noise(line));
    let parts = std::iter::once(&lines[at]).chain(following.take(count));
    parts.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Returns a line. If it ends with a colon, it is joined with the next one, and so on.
fn with_list(lines: &[&str], at: usize) -> String {
    const MAX_LINES: usize = 3;
    let mut useful = lines[at + 1..].iter().filter(|line| !is_noise(line));
    let mut text = lines[at].trim().to_owned();
    for line in useful.by_ref().take(MAX_LINES) {
        if !text.ends_with(':') {
            break;
        }
        text.push(' ');
        text.push_str(line.trim());
    }
    text
}

/// Adds the innermost of the causes that follow an error of a Rust program: `Caused by:` with each cause, or before a list of them.
fn with_cause(lines: &[&str], at: usize, text: String) -> String {
    const LABEL: &str = "Caused by:";
    let mut following = lines[at + 1..]
        .iter()
        .skip_while(|line| line.trim().is_empty())
        .take_while(|line| {
            line.trim().is_empty() || line.starts_with([' ', '\t']) || line.starts_with(LABEL)
        })
        .map(|line| line.trim())
        .peekable();
    if !following.peek().is_some_and(|line| line.starts_with(LABEL)) {
        return text;
    }
    let mut innermost = "";
    let mut is_list = false;
    for line in following.filter(|line| has_words(line)) {
        if let Some(cause) = line.strip_prefix(LABEL) {
            is_list = !has_words(cause);
            innermost = if is_list { innermost } else { cause.trim() };
        } else if is_list {
            let number = line
                .split_once(": ")
                .filter(|(number, _)| number.bytes().all(|digit| digit.is_ascii_digit()));
            innermost = number.map_or(line, |(_, cause)| cause);
        }
    }
    match innermost.is_empty() || text.contains(innermost) {
        true => text,
        false => format!("{}: {innermost}", text.trim_end_matches(['.', ':'])),
    }
}

/// Whether a line is the exception below an error of Java: it is indented, and begins with the name of a class.
fn is_java_cause(line: &str) -> bool {
    let class = line.trim_start().split(": ").next().unwrap_or_default();
    line.starts_with([' ', '\t'])
        && class.contains('.')
        && !class.contains(char::is_whitespace)
        && (class.ends_with("Error") || class.ends_with("Exception"))
}

/// Returns the lines that ask the user to do something in a browser. The address and the code may be on lines of their own.
fn request_to_user(lines: &[&str]) -> Option<String> {
    const MAX_LINES: usize = 4;
    let useful: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| !is_noise(line))
        .collect();
    let (at, start) = (0..useful.len()).rev().find_map(|at| {
        let asks = |line: &&str| asks_user(line);
        let before = at.checked_sub(1).map(|before| useful[before]);
        let introduces = |line: &str| line.trim_end().ends_with(':') && asks(&line);
        let is_only_address = !useful[at].trim().contains(char::is_whitespace);
        match useful[at].contains("://") {
            true if asks(&useful[at]) && !is_only_address => Some((at, at)),
            true if before.is_some_and(introduces) => Some((at, at - 1)),
            true if asks(&useful[at]) => Some((at, at)),
            _ => None,
        }
    })?;
    let mut end = at + 1;
    while end < useful.len().min(at + MAX_LINES)
        && (useful[end].to_ascii_lowercase().contains("code")
            || end > at + 1 && useful[end - 1].trim_end().ends_with(':'))
    {
        end += 1;
    }
    let parts: Vec<&str> = useful[start..end].iter().map(|line| line.trim()).collect();
    Some(parts.join(" "))
}
