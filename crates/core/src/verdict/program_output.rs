//! Finds the line of a program's output that has the reason of a failure, without the notices, stack frames and hints around it.
//!
//! Each function takes linear time. The text is already limited, masked and without control characters.

mod causes;

use std::borrow::Cow;

use serde_json::{Map, Value};

use self::causes::{INSTRUCTIONS, begins_usage, network_fault, points_to_help};
pub(super) use self::causes::{
    blames_arguments, blames_installation, blames_javascript, blames_network, blames_python,
    has_instruction, has_windows_line_end, names_missing_setting, names_missing_variable,
    other_purpose,
};
use super::line_breaks;

/// The length up to which an instruction of the program is added to its reason, in characters.
const INSTRUCTION_CHARS: usize = 200;
/// How many lines after the reason are searched for an instruction.
const INSTRUCTION_LINES: usize = 6;

/// The line in place of the part of an output that was left out.
const CUT: &str = "…";

/// Returns the line of a program's output that has the reason of a failure, without the notices, stack frames and hints around it.
///
/// If the program `waits`, a line that asks the user to do something is preferred to an error.
pub(crate) fn reason(output: &str, waits: bool) -> Option<String> {
    let records = output.lines().map(last_version).map(log_record);
    let records = records.map(first_of_written_lines).collect();
    let records = without_usage(without_frames(records));
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
    (!found.is_empty()).then_some(found)
}

/// Returns the index of the line with the reason, and the reason.
fn find_reason(lines: &[&str]) -> Option<(usize, String)> {
    if let Some(at) = exception_of_group(lines) {
        let text = lines[at].trim_start().trim_start_matches(['|', ' ']);
        return Some((at, text.to_owned()));
    }
    if let Some(at) = exception_of_traceback(lines) {
        return Some((at, with_invalid_field(lines, at)));
    }
    if let Some(at) = lines.iter().position(|line| is_validation_error(line)) {
        return Some((at, with_invalid_field(lines, at)));
    }
    if let Some(at) = lines.iter().position(|line| is_crash(line)) {
        let continues = lines[at].trim_end().ends_with(':');
        return Some((at, with_following(lines, at, usize::from(continues))));
    }
    // uv shows the causes of an error as a tree, in which the last one may have several lines, or as a list. If the last one is a build
    // that failed, its output has the reason.
    if let Some(at) = lines.iter().rposition(|line| cause_of_uv(line).is_some()) {
        if let Some(found) = reason_of_build(&lines[at + 1..]) {
            return Some((at + 1 + found.0, found.1));
        }
        let is_in_tree = lines[at].contains("─▶ ");
        let cause = with_following(lines, at, if is_in_tree { 2 } else { 0 });
        return cause_of_uv(lines[at])
            .and_then(|text| cause.find(text))
            .map(|start| (at, cause[start..].to_owned()));
    }
    let of_npm = |line: &&str| npm_error(line).is_some_and(|text| !is_npm_detail(text));
    if let Some(at) = lines.iter().position(of_npm) {
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
    let is_outside = |line: &&str| !line.starts_with([' ', '\t']) && !is_noise(line);
    let at = lines
        .iter()
        .rposition(|line| is_outside(line) && is_labeled(line) && !is_of_parent(line))
        // Errors of another program are indented above a summary.
        .or_else(|| lines.iter().rposition(|line| begins_with_label(line)))
        .or_else(|| {
            lines
                .iter()
                .rposition(|line| is_outside(line) && names_error(line))
        });
    if let Some(at) = at {
        if lines.get(at + 1).is_some_and(|line| is_java_cause(line)) {
            return Some((at + 1, lines[at + 1].trim().to_owned()));
        }
        // The message of a Rust panic is on the next line, and so are the details after a colon.
        let line = lines[at].trim();
        let text = match line.ends_with(':') {
            true => with_list(lines, at),
            false => with_rest_of_sentence(line, lines[at + 1..].iter().copied()),
        };
        return Some((at, with_cause(lines, at, text)));
    }
    // An address of its own is that of a page about the lines before it.
    let is_address = |line: &str| {
        line.trim().starts_with("https://") && !line.trim().contains(char::is_whitespace)
    };
    let at = lines
        .iter()
        .rposition(|line| !is_noise(line) && !is_address(line))
        .or_else(|| lines.iter().rposition(|line| !is_noise(line)))?;
    Some((at, lines[at].trim().to_owned()))
}

/// Returns the message of a log record in JSON, with its level if that is an error. Returns any other line unchanged.
fn log_record(line: &str) -> Cow<'_, str> {
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
        // The end of the JSON may be missing.
        None => following.find_map(|line| {
            let value = line.trim().strip_prefix("\"message\":")?.trim();
            serde_json::from_str::<String>(value.trim_end_matches(',')).ok()
        })?,
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

/// Adds the line that tells the user what to do, if there is one soon after the reason and both are short.
fn with_instruction(lines: &[&str], at: usize, text: String) -> String {
    let following = lines[at + 1..].iter().take(INSTRUCTION_LINES);
    let mut instructions = following.filter(|line| {
        INSTRUCTIONS
            .iter()
            .any(|beginning| line.starts_with(beginning))
            && !points_to_help(line)
            && !text.contains(line.trim())
    });
    let instruction = instructions.next().map(|line| line.trim());
    match instruction.filter(|line| !line.ends_with(':')) {
        Some(line) if text.chars().count() + line.chars().count() < INSTRUCTION_CHARS => {
            let end = if text.ends_with(['.', '!', '?', ':']) {
                ""
            } else {
                "."
            };
            format!("{text}{end} {line}")
        }
        _ => match offered(lines, at) {
            Some(offered) => format!("{text} {offered}"),
            None => text,
        },
    }
}

/// Returns the line after the reason that introduces a list of possible values, with the first ones.
fn offered(lines: &[&str], at: usize) -> Option<String> {
    const MAX_VALUES: usize = 3;
    let introduction = lines.get(at + 1)?.trim();
    if !introduction.starts_with("The following ") || !introduction.ends_with(" available:") {
        return None;
    }
    let values = lines[at + 2..]
        .iter()
        .map_while(|line| line.trim().strip_prefix("- "));
    let values: Vec<&str> = values.take(MAX_VALUES).collect();
    Some(format!("{introduction} {}", values.join(", ")))
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
        return text.into();
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

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Returns an exception of Python. The invalid field and its problem are on the lines after that of a validation.
fn with_invalid_field(lines: &[&str], at: usize) -> String {
    let lines_after = if is_validation_error(lines[at]) { 2 } else { 0 };
    with_following(lines, at, lines_after)
}

/// Whether a line ends with the heading that pydantic writes before the invalid fields: `2 validation errors for Settings`.
fn is_validation_error(line: &str) -> bool {
    let found = [" validation error for ", " validation errors for "]
        .iter()
        .find_map(|words| line.split_once(words));
    found.is_some_and(|(before, model)| {
        before.ends_with(|last: char| last.is_ascii_digit())
            && !model.trim_end().contains(char::is_whitespace)
    })
}

/// Returns the line of a record that has its reason, if the program has written the line breaks of the record as `\n`: the exception of a
/// traceback, or the first line.
fn first_of_written_lines(record: Cow<'_, str>) -> Cow<'_, str> {
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

/// Returns a line, with the rest of its sentence if it is long, has no full stop, and the next line continues it in lowercase.
fn with_rest_of_sentence<'a>(text: &str, following: impl Iterator<Item = &'a str>) -> String {
    const MAX_LINES: usize = 3;
    // Programs wrap lines that are longer.
    const MIN_CHARS: usize = 50;
    let is_whole = |text: &str| {
        text.ends_with(|last: char| {
            !last.is_alphabetic() && !matches!(last, '\'' | '"' | '`' | ',')
        })
    };
    let following = following.take(MAX_LINES).take_while(|line| {
        let continues = line.starts_with(char::is_alphanumeric) && line.contains(' ');
        continues && !is_noise(line) && !is_labeled(line)
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

/// Returns the index of the line with the reason in the output of a build that uv shows below a cause, and the reason.
fn reason_of_build(lines: &[&str]) -> Option<(usize, String)> {
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

/// Returns the lines without the frames of box-drawing characters. The text of an error is put in the line with the title, and any other
/// text is indented. The number of lines does not change.
fn without_frames(mut lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    let is_box = |character: char| ('\u{2500}'..='\u{257f}').contains(&character);
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

/// Returns the lines without the explanations of options and commands that follow the usage of a program. The number of lines does not
/// change.
fn without_usage(mut lines: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
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
fn usage(output: &str) -> Option<String> {
    let lines: Vec<&str> = output.lines().collect();
    let at = lines.iter().position(|line| begins_usage(line))?;
    let title = lines[at].trim();
    let command = lines[at + 1..].iter().find(|line| has_words(line));
    match command.filter(|_| title.ends_with(':')) {
        Some(command) => Some(format!("{title} {}", command.trim())),
        None => Some(title.to_owned()),
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
        match useful[at].contains("://") {
            true if asks(&useful[at]) => Some((at, at)),
            true if before.is_some_and(|line| line.trim_end().ends_with(':') && asks(&line)) => {
                Some((at, at - 1))
            }
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

/// Whether a line is the report of a runtime about an exception that the program did not handle, or about a missing framework. Details follow it.
fn is_crash(line: &str) -> bool {
    [
        "Unhandled exception. ",
        "Unhandled exception: ",
        "panic: ",
        "You must install or update .NET",
    ]
    .iter()
    .any(|beginning| line.starts_with(beginning))
}

/// Returns the text of a line after the last carriage return, with which a program overwrites a progress display.
fn last_version(line: &str) -> &str {
    let mut versions = line.rsplit('\r');
    versions.find(|text| has_words(text)).unwrap_or("")
}

/// Returns the index of the first exception in a Python exception group, whose own line has no reason.
fn exception_of_group(lines: &[&str]) -> Option<usize> {
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
fn exception_of_traceback(lines: &[&str]) -> Option<usize> {
    let is_header = |line: &&str| line.contains("Traceback (most recent call last)");
    let header = lines.iter().rposition(is_header)?;
    let is_exception = |line: &&str| !line.starts_with([' ', '\t', '|', '+']) && !is_noise(line);
    let after = lines[header + 1..].iter().position(is_exception)?;
    Some(header + 1 + after)
}

/// Returns the text of a cause in the output of uv: a branch of a tree, or an indented line with `cause:`.
fn cause_of_uv(line: &str) -> Option<&str> {
    let in_tree = line.split_once("─▶ ").map(|(_, text)| text);
    let in_list = line
        .starts_with("  ")
        .then(|| line.trim_start().strip_prefix("cause: "));
    in_tree.or(in_list.flatten()).map(str::trim)
}

/// Returns the text of an error line of npm.
fn npm_error(line: &str) -> Option<&str> {
    let line = line.trim();
    let text = ["npm error", "npm ERR!"]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))?
        .trim();
    Some(text.strip_prefix("gyp ERR! stack ").unwrap_or(text))
}

/// Returns an error of npm, with the rest of its sentence, or with the versions that npm requires and has found.
fn with_npm_lines(lines: &[&str], at: usize) -> String {
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
fn is_pnpm_error(line: &str) -> bool {
    let text = line.trim();
    text.starts_with("ERR_PNPM_") && !text.starts_with("ERR_PNPM_RECURSIVE")
}

/// Whether the text of an error line of npm only accompanies the reason.
fn is_npm_detail(text: &str) -> bool {
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

/// Whether a line has no reason: a notice, a stack frame, a hint, a banner, or only punctuation.
fn is_noise(line: &str) -> bool {
    const BEGINNINGS: [&str; 33] = [
        "npm notice",
        "npm warn",
        "npm WARN",
        "npm http",
        "npm info",
        "npm verb",
        "npm error A complete log",
        "npm ERR! A complete log",
        "A complete log of this run",
        "[notice]",
        "Node.js v",
        "Emitted 'error' event",
        "errno: ",
        "syscall: '",
        "address: '",
        "Bun v",
        "note: run with `RUST_BACKTRACE",
        "For more information",
        "for more information",
        "For help, see",
        "Learn more",
        "Try '",
        "Usage:",
        "usage:",
        "throw ",
        "Require stack",
        "code: '",
        "requireStack:",
        "WARNING: You are using pip",
        "Stack trace:",
        "(Use `node --trace-",
        "Original error:",
        "This error happened while installing",
    ];
    let text = line.trim();
    let is_progress_of_npm = text.starts_with("npm http") && text.contains('%');
    !has_words(text)
        || (BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning))
            && !is_progress_of_npm)
        || is_stack_frame(text)
        || points_to_help(text)
        || text.ends_with("use -[v]S to pass options in shebang lines")
        // `(node:4711) [DEP0151] DeprecationWarning: …`, and the second report of an error by a logger.
        || (text.starts_with("(node:") && text.contains("Warning:"))
        || (text.starts_with('[') && text.contains("] Stack: "))
}

/// Whether a line is a frame of a stack trace: Node, Java and .NET (`at …`), Python (`File "…", line 3`), or a source location.
fn is_stack_frame(text: &str) -> bool {
    let is_call = text.strip_prefix("at ").is_some_and(|rest| {
        rest.contains([':', '(']) || rest.starts_with("async ") || rest.contains("<anonymous>")
    });
    let is_python = text.starts_with("File \"") && text.contains(", line ");
    let location = text.rsplit_once(':');
    let is_location = location.is_some_and(|(file, line)| {
        !file.contains(' ')
            && !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
            && (file.starts_with("node:") || file.starts_with("file:") || file.starts_with('/'))
    });
    is_call || is_python || is_location
}

/// Whether a line has the label of an error near its beginning, such as `Error:`, `ValueError:`, `[ERROR]` and `FATAL`.
fn is_labeled(line: &str) -> bool {
    const LABELS: [&str; 5] = ["error", "fatal", "exception", "panic", "critical"];
    if is_compiler_error(line) {
        return true;
    }
    let beginning: String = line.chars().take(60).collect();
    let mut words = beginning.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    words.any(|part| {
        let word = part.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
        let lower = word.to_ascii_lowercase();
        // `ValueError:`, and `ERROR` in the columns of a log.
        let ends_label = part.ends_with([':', ']']) && LABELS.iter().any(|it| lower.ends_with(it));
        let is_level = ["ERROR", "FATAL", "CRITICAL", "PANIC"].contains(&word);
        ends_label || is_level
    })
}

/// Whether a line begins with the label of an error.
fn begins_with_label(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    first.ends_with(':') && is_labeled(first)
}

/// Whether a line is an error of a compiler: `error`, a code and a colon after a place, such as `a.cs(3,7): error CS0246: …`.
fn is_compiler_error(line: &str) -> bool {
    line.split("error ").skip(1).any(|rest| {
        let code = rest.split_once(':').map_or("", |(code, _)| code);
        code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.ends_with(|last: char| last.is_ascii_digit())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

/// Whether a line is the report of a program about another one that it has started. The output of that has the reason.
fn is_of_parent(line: &str) -> bool {
    line.contains("Error: Command failed")
}

/// Whether a line begins like an error, possibly after a timestamp, a level or a name.
fn names_error(line: &str) -> bool {
    const WORDS: [&str; 22] = [
        "error",
        "fatal",
        "panic",
        "exception",
        "failed",
        "failure",
        "cannot",
        "can't",
        "could not",
        "couldn't",
        "unable",
        "denied",
        "missing",
        "invalid",
        "not found",
        "not set",
        "required",
        "refused",
        "unauthorized",
        "econn",
        "eaddr",
        "is not provided by",
    ];
    let beginning: String = line.chars().take(120).collect();
    let beginning = beginning.to_ascii_lowercase();
    WORDS.iter().any(|word| beginning.contains(word))
}

/// Whether a line asks the user to do something in a browser.
fn asks_user(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "open",
        "visit",
        "go to",
        "sign in",
        "log in",
        "authorize",
        "browser",
        "code",
    ];
    let line = line.to_ascii_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_the_output_of_a_program() {
        let rows = [
            (
                "Traceback (most recent call last):\n  File \"/x/server.py\", line 9, in <module>\nValidationError: 1 validation error for Settings\napi_key\n  Field required [type=missing]\n    For further information visit https://errors.example\n",
                "ValidationError: 1 validation error for Settings api_key Field required [type=missing]",
            ),
            (
                "Traceback (most recent call last):\n  File \"/x/server.py\", line 4, in <module>\n    from fastm\n…\nages/pydantic/fields.py\", line 293, in __init__\n    raise TypeError('both')\nTypeError: both\n",
                "TypeError: both",
            ),
            (
                "Unhandled exception. SqlException: Login failed for user 'mcp'.\n   at Sql.Open()\nError Number:18456,State:1\n",
                "Unhandled exception. SqlException: Login failed for user 'mcp'.",
            ),
            (
                "  + Exception Group Traceback (most recent call last):\n  |   File \"/x.py\", line 9, in <module>\n  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n  +-+---- 1 ----\n    | Traceback (most recent call last):\n    |   File \"/x.py\", line 5, in main\n    | ConnectionError: no route\n    +----\n",
                "ConnectionError: no route",
            ),
            (
                "Error: listen EADDRINUSE\n    at f (node:net:1)\nEmitted 'error' event on Server instance at:\n    at g (node:net:2) {\n  errno: -98,\n  syscall: 'listen'\n}\n",
                "Error: listen EADDRINUSE",
            ),
            (
                "panic: no such file\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:14 +0x1d8\nexit status 2\n",
                "panic: no such file",
            ),
            (
                "  × No solution found:\n  ╰─▶ Because acme was not found and you require\n      acme, we can conclude nothing.\n",
                "Because acme was not found and you require acme, we can conclude nothing.",
            ),
            (
                "error: the following arguments were not provided:\n  --root <ROOT>\n\nUsage: acme --root <ROOT>\n",
                "error: the following arguments were not provided: --root <ROOT>",
            ),
            (
                "Failed to start server: no credentials. Use one of these methods:\n\n1. Environment variable:\n   export ACME_KEYS=/path/keys.json\n\n2. A file:\n   ./keys.json\n",
                "Failed to start server: no credentials. Use one of these methods: 1. Environment variable: export ACME_KEYS=/path/keys.json",
            ),
            // An error is labeled at its beginning, and its summary is not.
            (
                "Error: an Acme key is required via --key or ACME_KEY.\nInvalid configuration\n",
                "Error: an Acme key is required via --key or ACME_KEY.",
            ),
            (
                "Failed to start: key file not found. Use one of these:\n1. A variable:\n\nOriginal error: ENOENT: no such file\n",
                "Failed to start: key file not found. Use one of these: 1. A variable:",
            ),
            // An instruction follows the error.
            (
                "Error: No access token.\nRun `acme login` first.\nUsage: acme\n",
                "Error: No access token. Run `acme login` first.",
            ),
            (
                "An executable named `acme-mcp` is not provided by package `acme-mcp`.\nThe following executables are available:\n- acme_mcp\n\nUse `uvx --from acme-mcp acme_mcp` instead.\n",
                "An executable named `acme-mcp` is not provided by package `acme-mcp`. Use `uvx --from acme-mcp acme_mcp` instead.",
            ),
            // The reason of the system is in another line.
            (
                "[Acme] Error: connect ECONNREFUSED 127.0.0.1:6379\n    at f (node:net:1)\n[Acme] Retry\n[Acme Fatal] Error: Max retries reached\n[Acme Fatal] Stack: Error: Max retries reached\n",
                "[Acme Fatal] Error: Max retries reached (connect ECONNREFUSED 127.0.0.1:6379)",
            ),
            (
                "[7] Connection error: TypeError: fetch failed\n    at f (node:net:1) {\n  [cause]: Error: getaddrinfo ENOTFOUND mcp.example\n      at g (node:dns:1) {\n    code: 'ENOTFOUND',\n",
                "[7] Connection error: TypeError: fetch failed (getaddrinfo ENOTFOUND mcp.example)",
            ),
            (
                "12:00 | ERROR | Could not download it: [Errno -2] Name or service not known Retrying\nTraceback (most recent call last):\n  File \"/x.py\", line 1\nValueError: Could not load model acme\n",
                "ValueError: Could not load model acme (Name or service not known)",
            ),
            // The output of a child program, and the report of its parent.
            (
                "{\"level\":\"fatal\",\"message\":\"ACME_TOKEN must be provided\",\"stacktrace\":\"main\"}\nnode:child_process:930\n    throw err;\n    ^\nError: Command failed: /opt/acme --stdio\n    at f (node:net:1)\n\nNode.js v20.20.2\n",
                "error: ACME_TOKEN must be provided",
            ),
            // The issues of a validation, and the list of causes of uv.
            (
                "Server error: [\n  {\n    \"code\": \"too_small\",\n    \"message\": \"the URL cannot be empty\",\n    \"path\": [\n      \"url\"\n    ]\n  }\n]\n",
                "Server error: url: the URL cannot be empty",
            ),
            (
                "ZodError: [\n  {\n    \"code\": \"invalid_type\",\n    \"path\": [\n      \"NOTION_TOKEN\",\n      0\n    ],\n    \"message\": \"Required\"\n  }\n]\n    at get error (file:///x/index.mjs:587:31)\n",
                "ZodError: NOTION_TOKEN.0: Required",
            ),
            (
                "ZodError: [\n  {\n    \"message\": \"Required\",\n    \"pat\n…\n",
                "ZodError: Required",
            ),
            (
                "The index is locked\nhttps://acme.example/locked\n",
                "The index is locked",
            ),
            // The lines after these are notices, or the cause.
            (
                "You must install or update .NET to run this application.\n\nApp: /x/acme\n.NET location: /usr/share/dotnet\n\nThe following frameworks were found:\n  8.0.1 at [/usr/share/dotnet/shared]\n\nTo install missing framework, download:\nhttps://aka.ms/dotnet\n\nLearn more:\nhttps://aka.ms/dotnet/app-launch-failed\n",
                "You must install or update .NET to run this application.",
            ),
            (
                "/usr/bin/env: ‘python3\\r’: No such file or directory\n/usr/bin/env: use -[v]S to pass options in shebang lines\n",
                "/usr/bin/env: ‘python3\\r’: No such file or directory",
            ),
            (
                "Debugger listening on ws://127.0.0.1:1/a\nFor help, see: https://nodejs.org/en/docs/inspector\n",
                "Debugger listening on ws://127.0.0.1:1/a",
            ),
            (
                "Error: LinkageError occurred while loading main class acme.Main\n    java.lang.UnsupportedClassVersionError: acme/Main has been compiled by a more recent version\n",
                "java.lang.UnsupportedClassVersionError: acme/Main has been compiled by a more recent version",
            ),
            (
                "error: No solution found\n  cause: Because the current Python version (3.11.7) does not satisfy Python>=3.12, acme cannot be used.\n",
                "Because the current Python version (3.11.7) does not satisfy Python>=3.12, acme cannot be used.",
            ),
            // A line that only points to the usage or the help is not the reason, unless the usage is all there is.
            (
                "unknown option --stdio\nusage: python3 [option] ... [arg] ...\nTry `python -h' for more information.\n",
                "unknown option --stdio",
            ),
            (
                "docker: open .env: no such file or directory\n\nRun 'docker run --help' for more information\n",
                "docker: open .env: no such file or directory",
            ),
            (
                "Error: unknown command \"studio\" for \"acme\"\nRun 'acme --help' for usage.\n",
                "Error: unknown command \"studio\" for \"acme\"",
            ),
            (
                "flag provided but not defined: -stdio\nUsage of acme:\n  -addr string\n    \taddress (default \":8080\")\n",
                "flag provided but not defined: -stdio",
            ),
            (
                "Options:\n  --key  the key  [required]\n\nMissing argument: key\n",
                "Missing argument: key",
            ),
            (
                "Usage: acme [options] <folder>\n\nOptions:\n  -h, --help  show help\n",
                "Usage: acme [options] <folder>",
            ),
            (
                "Usage:\n  acme stdio [flags]\n\nFlags:\n  -h, --help  help\n",
                "Usage: acme stdio [flags]",
            ),
            (
                "Usage of the index failed\n  last\n",
                "Usage of the index failed",
            ),
            (
                "Usage: acme [options]\n\n  Error: no token\n",
                "Error: no token",
            ),
            // The text in a frame.
            (
                "Usage: acme COMMAND\nTry 'acme --help' for help.\n╭─ Error ──────╮\n│ No such      │\n│ command 'x'. │\n╰──────────────╯\n",
                "Error: No such command 'x'.",
            ),
            (
                "╭─── Traceback (most recent call last) ───╮\n│ /x/acme.py:7 in main                    │\n│ Error: a = 1                            │\n╰─────────────────────────────────────────╯\nValueError: no index\n",
                "ValueError: no index",
            ),
            // A summary follows the cause.
            (
                " WARN  x\n ERR_PNPM_FETCH_404  GET https://npm.example/x: Not Found - 404\n\nThis error happened while installing a direct dependency of /x\n\nNo authorization header was set for the request.\n",
                "ERR_PNPM_FETCH_404  GET https://npm.example/x: Not Found - 404",
            ),
            (
                " ERR_PNPM_UNSUPPORTED_ENGINE  Unsupported environment\n\nYour Node version is incompatible with \"x@1.0.0\".\n\nExpected version: >=22\nGot: v18.0.0\n",
                "ERR_PNPM_UNSUPPORTED_ENGINE  Unsupported environment Your Node version is incompatible with \"x@1.0.0\". Expected version: >=22 Got: v18.0.0",
            ),
            (
                "Error: ACME_KEY is not set\n ERR_PNPM_RECURSIVE_RUN_FIRST_FAIL  acme@1.0.0 start: `node .`\n",
                "Error: ACME_KEY is not set",
            ),
            (
                "Fatal error from pip prevented installation.\n\nSome errors from pip install:\n    ERROR: No matching distribution found for x\n\nError installing x.\n",
                "ERROR: No matching distribution found for x",
            ),
            (
                "/x/P.cs(3,7): error CS0246: The type 'Acme' could not be found\n\nThe build failed. Fix the build errors and run again.\n",
                "/x/P.cs(3,7): error CS0246: The type 'Acme' could not be found",
            ),
            // The rest of the sentence is on the next lines.
            (
                "Error: The module '/x/node_modules/acme/build/Release/acme.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 115. This version of Node.js requires\nNODE_MODULE_VERSION 127.\n    at f (node:net:1)\n",
                "Error: The module '/x/node_modules/acme/build/Release/acme.node' was compiled against a different Node.js version using NODE_MODULE_VERSION 115.",
            ),
            (
                "Error: no database\nexit status 2 of acme\n",
                "Error: no database",
            ),
            (
                "Error: it can't connect to the database at localhost, port 5432\nthe server is shut down\n",
                "Error: it can't connect to the database at localhost, port 5432",
            ),
            (
                "npm error code EACCES\nnpm error Your cache folder contains root-owned files, due to a bug in\nnpm error previous versions of npm which has since been addressed.\nnpm error\nnpm error To fix this, please run:\n",
                "Your cache folder contains root-owned files, due to a bug in previous versions of npm which has since been addressed.",
            ),
            (
                "npm error network request to https://npm.example/@acme%2fx failed, reason: x\nnpm error network This is a problem related to network connectivity.\n",
                "network request to https://npm.example/@acme%2fx failed, reason: x",
            ),
            (
                "npm error code EBADENGINE\nnpm error engine Unsupported engine\nnpm error engine Not compatible with your version of node/npm: x@2.0.0\nnpm error notsup Required: {\"node\":\">=22\"}\nnpm error notsup Actual:   {\"node\":\"v18.1.0\"}\n",
                "engine Not compatible with your version of node/npm: x@2.0.0 Required: {\"node\":\">=22\"} Actual:   {\"node\":\"v18.1.0\"}",
            ),
            (
                "npm error code 1\nnpm error command sh -c node-gyp rebuild\nnpm error gyp info ok\nnpm error gyp ERR! find Python\nnpm error gyp ERR! stack Error: Could not find any Python installation to use\nnpm error gyp ERR! not ok\n",
                "Error: Could not find any Python installation to use",
            ),
            // The output of a build has the reason, and so does the innermost cause.
            (
                "  × Failed to build `x==1`\n  ├─▶ The build backend returned an error\n  ╰─▶ Call to `build_wheel` failed (exit status: 1)\n\n      [stdout]\n      Building x.\n\n      [stderr]\n      Error: the libxml2 packages are not installed.\n\n      hint: This usually indicates a problem with the package.\n",
                "Error: the libxml2 packages are not installed.",
            ),
            (
                "error: Failed to spawn: `acme`\n  Caused by: the first\n  Caused by: TOML parse error at line 3\n  |\n3 | foo\n",
                "error: Failed to spawn: `acme`: TOML parse error at line 3",
            ),
            (
                "Error: no index\n\nCaused by:\n    0: it can't be read\n    1: Permission denied (os error 13)\n\nStack backtrace:\n   0: main\n",
                "Error: no index: Permission denied (os error 13)",
            ),
            // The possible values.
            (
                "An executable named `x` is not provided by package `x`.\nThe following executables are available:\n- x-mcp\n- x-server\n",
                "An executable named `x` is not provided by package `x`. The following executables are available: x-mcp, x-server",
            ),
            // The program has written the line breaks of its record.
            (
                "t=2026-01-02 lvl=eror msg=\"failed to start\" err=\"authentication failed: The token is invalid.\\nYour token: x\\r\\n\\r\\nERR_ACME_107\\r\\n\"\n",
                "t=2026-01-02 lvl=eror msg=\"failed to start\" err=\"authentication failed: The token is invalid.",
            ),
            (
                "ERROR:\\n  no key in C:\\new\\keys\\n\n",
                "ERROR: no key in C:\\new\\keys",
            ),
            (
                "log: Traceback (most recent call last):\\n  File \"x.py\", line 1, in <module>\\nValueError: no index\\n\n",
                "ValueError: no index",
            ),
            // The invalid field of a validation is on the next lines.
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1\npydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\napi_key\n  Field required [type=missing]\n    For further information visit https://errors.pydantic.dev\n",
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings api_key Field required [type=missing]",
            ),
            (
                "Error: 2 validation errors for Settings\napi_key\n  Field required [type=missing]\nbase_url\n  Field required [type=missing]\n",
                "Error: 2 validation errors for Settings api_key Field required [type=missing]",
            ),
            (
                "1 validation error for Settings\napi_key\n  field required (type=value_error.missing)\n",
                "1 validation error for Settings api_key field required (type=value_error.missing)",
            ),
            // A warning of Node is not the reason.
            (
                "    TypeError: x is undefined\n(node:7) [DEP0151] DeprecationWarning: a missing suffix\n(Use `node --trace-deprecation ...` to show where the warning was created)\n",
                "TypeError: x is undefined",
            ),
        ];
        for (output, expected) in rows {
            assert_eq!(reason(output, false).as_deref(), Some(expected), "{output}");
        }
    }

    #[test]
    fn paths_of_packages_are_shortened() {
        let rows = [
            (
                "Cannot find module '/home/u/.npm/_npx/1/node_modules/@acme/sdk/mcp' imported from /home/u/.npm/_npx/1/node_modules/acme/index.js",
                "Cannot find module '…/@acme/sdk/mcp' imported from …/acme/index.js",
            ),
            (
                "in (C:\\Users\\u\\node_modules\\acme\\index.js)",
                "in (…/acme\\index.js)",
            ),
            ("open /etc/acme.json", "open /etc/acme.json"),
            (
                "see https://x.example/node_modules/acme",
                "see https://x.example/node_modules/acme",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(shorten_paths(text), expected);
        }
    }

    #[test]
    fn a_request_to_the_user_has_its_address_and_its_code() {
        let rows = [
            (
                "Open https://login.example/device and enter the code F7K2\n",
                "Open https://login.example/device and enter the code F7K2",
            ),
            (
                "To sign in, visit:\n\n    https://login.example/device\n\nand enter the code:\n\n    F7K2\n\n⠙ Waiting...\n",
                "To sign in, visit: https://login.example/device and enter the code: F7K2",
            ),
            ("Listening on http://localhost:1\nlast\n", "last"),
        ];
        for (output, expected) in rows {
            assert_eq!(reason(output, true).as_deref(), Some(expected), "{output}");
        }
    }
}
