//! The reports of programs about another one that they have started: runners of scripts, build tools and wrappers.
//!
//! The output of the other program has the reason, so a report is used only if nothing else is useful.

use super::line_kinds::{is_labeled, is_noise, names_error};
use super::npm::{is_npm_detail, npm_error};

/// Returns the lines without the reports of parents and the commands that these show before they run them, if there is a report. The number
/// of lines does not change.
pub(super) fn without_reports<'a>(lines: &[&'a str]) -> Option<Vec<&'a str>> {
    let is_script_of_npm = lines.iter().any(|line| is_failed_script(line));
    let is_part = |line: &str| {
        is_of_parent(line)
            || npm_error(line).is_some_and(|text| {
                // The code of an error of npm itself is not about a script.
                is_script_of_npm || (is_npm_detail(text) && !text.starts_with("code E"))
            })
    };
    if !lines.iter().any(|line| is_part(line)) {
        return None;
    }
    let mut own: Vec<&str> = lines
        .iter()
        .map(|line| if is_part(line) { "" } else { line })
        .collect();
    without_tracebacks(lines, &mut own);
    if lines.iter().any(|line| is_of_parent(line)) {
        without_commands(lines, &mut own);
    }
    Some(own)
}

/// Whether a line is the report of a program about another one that it has started.
pub(super) fn is_of_parent(line: &str) -> bool {
    const BEGINNINGS: [&str; 9] = [
        // Yarn 1 and pnpm.
        "error Command failed with exit code ",
        "error Command failed with signal ",
        "ELIFECYCLE ",
        "[ELIFECYCLE]",
        "ERR_PNPM_RECURSIVE_",
        "task: Failed to run task ",
        "Task failed with exit code ",
        "error: process didn't exit successfully: ",
        "[nodemon] app crashed",
    ];
    const WORDS: [&str; 7] = [
        "Error: Command failed",
        // Swift.
        " command failed with exit code ",
        "(See above for error)",
        "] Child exited: code=",
        "CalledProcessError: Command ",
        // Turborepo.
        " run failed: command ",
        " event returned with error code ",
    ];
    let text = line.trim();
    // `go run`.
    let is_status = text.strip_prefix("exit status ").is_some_and(is_number)
        || text
            .strip_prefix("signal: ")
            .is_some_and(|name| !name.contains(' '));
    // Bun and just.
    let is_recipe = (text.starts_with("error: script \"") || text.starts_with("error: Recipe `"))
        && [" with exit code ", " exited with code ", " by signal "]
            .iter()
            .any(|words| text.contains(words));
    let is_task = text.contains(": command (") && text.contains(" exited (");
    is_status
        || is_recipe
        || is_task
        || is_target(text)
        || BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning))
        || WORDS.iter().any(|words| text.contains(words))
}

/// Whether a line is the report of make about a target whose command has failed: `make: *** [Makefile:3: mcp] Error 1`.
fn is_target(text: &str) -> bool {
    let report = text.split_once(": *** [");
    report.is_some_and(|(make, rest)| {
        let status = rest
            .rsplit_once("] Error ")
            .map(|(_, status)| status.trim_end_matches(" (ignored)"));
        !make.contains(' ') && make.contains("make") && status.is_some_and(is_number)
    })
}

/// Whether a line of npm reports that a script has failed. The other lines of npm describe the script.
fn is_failed_script(line: &str) -> bool {
    npm_error(line).is_some_and(|text| {
        text.trim_end() == "code ELIFECYCLE" || text.starts_with("Lifecycle script `")
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Removes the tracebacks of Python that end with the report about another program.
fn without_tracebacks(lines: &[&str], own: &mut [&str]) {
    let mut header = None;
    for (at, line) in lines.iter().enumerate() {
        if line.contains("Traceback (most recent call last)") {
            header = Some(at);
        } else if !line.starts_with([' ', '\t']) && !is_noise(line) {
            if let Some(header) = header.filter(|_| is_of_parent(line)) {
                own[header..at].fill("");
            }
            header = None;
        }
    }
}

/// Removes the commands that a parent shows before it runs them.
fn without_commands(lines: &[&str], own: &mut [&str]) {
    let is_of_just = lines
        .iter()
        .any(|line| line.trim().starts_with("error: Recipe `"));
    // just shows its commands without a sign.
    let first = lines.iter().position(|line| !is_noise(line));
    if let Some(first) = first.filter(|_| is_of_just) {
        let is_error = is_labeled(lines[first]) || names_error(lines[first]);
        own[first] = if is_error { own[first] } else { "" };
    }
    for (at, line) in lines.iter().enumerate() {
        // npm and pnpm show the script, and then its command.
        let is_script = line
            .strip_prefix("> ")
            .is_some_and(|rest| rest.contains('@'));
        if is_script {
            let end = lines.len().min(at + 2);
            own[at..end].fill("");
        } else if line.starts_with("$ ") || line.starts_with("task: [") {
            own[at] = "";
        }
    }
}
