//! The reports for continuous integration: JUnit XML, and the annotations of GitHub Actions.

use std::path::Path;

use mcp_startup_core::{McpServerStartupState, printable};

use super::timeline::name_of;
use crate::documents::{CheckReport, CheckedServer};

const NAME_CHARS: usize = 200;
const MESSAGE_CHARS: usize = 1000;

/// The report as JUnit XML: a test case for each server, and a skipped one for each that was not started.
///
/// Source: <https://github.com/testmoapp/junitxml>, which describes what the common readers accept.
pub fn junit(report: &CheckReport) -> String {
    let failed = report.servers.iter().filter(|server| !is_ready(server));
    let tests = report.servers.len() + report.not_checked.len();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"mcp-startup\" tests=\"{tests}\" \
         failures=\"{}\" skipped=\"{}\" time=\"{}\">\n",
        failed.count(),
        report.not_checked.len(),
        seconds(report.elapsed_ms)
    );
    for server in &report.servers {
        let client = server
            .owners
            .first()
            .map_or("mcp", |owner| owner.client.id());
        let place = place(report, server);
        let place = attributes(&place);
        text += &format!(
            "    <testcase classname=\"{client}\" name=\"{}\"{place} time=\"{}\"",
            xml(&server.name, NAME_CHARS),
            seconds(server.elapsed_ms)
        );
        if is_ready(server) {
            text += "/>\n";
            continue;
        }
        let failure = server.failure.as_ref();
        let kind = failure.map_or_else(
            || "cancelled".to_owned(),
            |failure| name_of(&failure.kind()),
        );
        text += &format!(
            ">\n      <failure type=\"{kind}\" message=\"{}\"/>\n    </testcase>\n",
            xml(message(server), MESSAGE_CHARS)
        );
    }
    for left in &report.not_checked {
        text += &format!(
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" time=\"0\">\n      <skipped message=\"{}\"/>\n    </testcase>\n",
            left.owner.client.id(),
            xml(&left.owner.name, NAME_CHARS),
            xml(&relative(&left.owner.path), MESSAGE_CHARS),
            xml(&left.why, MESSAGE_CHARS)
        );
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// The annotations of GitHub Actions: an error for each server that is not ready, a warning for each problem of one that is, and a notice
/// for each server that was not started, at its line of the configuration.
///
/// Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.
pub fn github(report: &CheckReport) -> String {
    let mut text = String::new();
    for server in &report.servers {
        let place = place(report, server);
        if !is_ready(server) {
            text += &annotation("error", &place, &server.name, message(server));
        }
        if let Some(warning) = &server.warning {
            text += &annotation("warning", &place, &server.name, &warning.message);
        }
        for warning in &server.configuration_warnings {
            let key = warning.key.as_deref().unwrap_or_default();
            let problem = warning.problem.as_deref().unwrap_or_default();
            let place = Place {
                line: warning.line.or(place.line),
                file: place.file.clone(),
            };
            text += &annotation(
                "warning",
                &place,
                &server.name,
                &format!("{key}: {problem}"),
            );
        }
    }
    for left in &report.not_checked {
        let place = Place {
            file: Some(relative(&left.owner.path)),
            line: None,
        };
        let why = format!("not checked: {}", left.why);
        text += &annotation("notice", &place, &left.owner.name, &why);
    }
    text
}

/// The name of what failed if no server could be started.
const CHECK: &str = "mcp-startup check";

/// The report as JUnit XML if no server could be started. `file` and `line` are where the problem is.
pub fn junit_of_error(message: &str, file: Option<&str>, line: Option<u32>) -> String {
    let place = attributes(&place_in(file, line));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"mcp-startup\" tests=\"1\" failures=\"0\" \
         errors=\"1\" skipped=\"0\" time=\"0\">\n    <testcase classname=\"mcp\" name=\"{CHECK}\"{place} time=\"0\">\n      \
         <error message=\"{}\"/>\n    </testcase>\n  </testsuite>\n</testsuites>\n",
        xml(message, MESSAGE_CHARS)
    )
}

/// The annotation of GitHub Actions if no server could be started. `file` and `line` are where the problem is.
pub fn github_of_error(message: &str, file: Option<&str>, line: Option<u32>) -> String {
    annotation("error", &place_in(file, line), CHECK, message)
}

fn place_in(file: Option<&str>, line: Option<u32>) -> Place {
    let file = file.map(relative);
    Place { file, line }
}

/// A place as attributes of a test case.
fn attributes(place: &Place) -> String {
    let Some(file) = &place.file else {
        return String::new();
    };
    let line = place
        .line
        .map_or_else(String::new, |line| format!(" line=\"{line}\""));
    format!(" file=\"{}\"{line}", xml(file, MESSAGE_CHARS))
}

/// Where the entry of a server is.
struct Place {
    file: Option<String>,
    line: Option<u32>,
}

fn place(report: &CheckReport, server: &CheckedServer) -> Place {
    let owner = server.owners.first().map(|owner| &owner.path);
    let file = owner.or(report.configuration.as_ref());
    let problem = server.failure.as_ref();
    let problem = problem.and_then(|failure| failure.evidence().configuration.as_ref()?.line);
    Place {
        file: file.map(|path| relative(path)),
        line: problem.or(server.line),
    }
}

/// A path below the current folder, relative to it and with slashes, as annotations need it.
fn relative(path: &str) -> String {
    let folder = std::env::current_dir().unwrap_or_default();
    match Path::new(path).strip_prefix(&folder) {
        Ok(below) => {
            let below = below.display().to_string();
            below.replace(std::path::MAIN_SEPARATOR, "/")
        }
        Err(_) => path.to_owned(),
    }
}

fn is_ready(server: &CheckedServer) -> bool {
    server.status == McpServerStartupState::Ready
}

fn message(server: &CheckedServer) -> &str {
    let failure = server.failure.as_ref();
    failure.map_or("the start was cancelled", |failure| failure.message())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A text for an attribute, in which XML 1.0 allows every character.
fn xml(text: &str, max_chars: usize) -> String {
    let mut escaped = String::new();
    for character in printable(text, max_chars).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

fn annotation(level: &str, place: &Place, title: &str, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &place.file {
        properties.push(format!("file={}", property(file)));
        properties.extend(place.line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(title)));
    let message = escaped(message, MESSAGE_CHARS);
    format!("::{level} {}::{message}\n", properties.join(","))
}

fn property(text: &str) -> String {
    let text = escaped(text, MESSAGE_CHARS);
    text.replace(':', "%3A").replace(',', "%2C")
}

fn escaped(text: &str, max_chars: usize) -> String {
    printable(text, max_chars).replace('%', "%25")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_for_their_format() {
        assert_eq!(
            xml("a<b>&\"c\"\u{1b}\u{ffff}", 100),
            "a&lt;b&gt;&amp;&quot;c&quot;\\u{1b}\u{fffd}"
        );
        let place = Place {
            file: Some("a,b:c.json".to_owned()),
            line: Some(3),
        };
        assert_eq!(
            annotation(
                "error",
                &place,
                "50%: x\n::error::",
                "no\n::stop-commands::x"
            ),
            "::error file=a%2Cb%3Ac.json,line=3,title=50%25%3A x\\n%3A%3Aerror%3A%3A::no\\n::stop-commands::x\n"
        );
    }

    #[test]
    fn a_time_has_seconds() {
        assert_eq!(seconds(1_234), "1.234");
        assert_eq!(seconds(5), "0.005");
    }
}
