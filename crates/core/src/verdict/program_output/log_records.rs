//! Finds the message and the error in a log record, in JSON or logfmt.
//!
//! Each function takes linear time.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::line_kinds::is_labeled;
use super::python::{exception_of_traceback, with_invalid_field};
use super::{has_words, with_list};
use crate::error_message;
use crate::verdict::line_breaks;

/// Ends a log record, so that it is not joined with the line before it. `last_version` leaves no such character in any other line.
const RECORD_END: char = '\r';

/// The names of the members of a log record. The case does not matter.
const LEVELS: [&str; 9] = [
    "level",
    "severity",
    "lvl",
    "levelname",
    "loglevel",
    "level_name",
    "log.level",
    "severity_text",
    "@l",
];
const MESSAGES: [&str; 6] = ["message", "msg", "event", "@m", "@mt", "short_message"];
const ERRORS: [&str; 9] = [
    "error",
    "err",
    "exception",
    "exc_info",
    "thrown",
    "@x",
    "error.message",
    "exception.message",
    "cause",
];
const STACKS: [&str; 6] = [
    "stack",
    "stack_trace",
    "stacktrace",
    "error.stack_trace",
    "exception.stacktrace",
    "full_message",
];
/// The members that contain the ones above.
const CONTAINERS: [&str; 2] = ["fields", "record"];

/// Returns the message of a log record in JSON or logfmt, with its error, and with its level if that is an error. Returns any other line
/// unchanged.
pub(super) fn log_record(line: &str) -> Cow<'_, str> {
    let text = line.trim();
    let record = match text.starts_with('{') && text.ends_with('}') {
        true => serde_json::from_str(text)
            .ok()
            .and_then(|record| text_of_json(&record)),
        false => text_of_logfmt(text),
    };
    match record {
        Some(text) => format!("{text}{RECORD_END}").into(),
        None => line.into(),
    }
}

/// Whether a line can't continue the sentence of the line before it: it is a record of a log.
pub(super) fn is_record(line: &str) -> bool {
    line.ends_with(RECORD_END) || first_pair(line.trim()).is_some()
}

fn text_of_json(record: &Map<String, Value>) -> Option<String> {
    let containers = CONTAINERS
        .iter()
        .filter_map(|name| member(record, name)?.as_object());
    let objects: Vec<_> = std::iter::once(record).chain(containers).collect();
    let members = |names: &'static [&'static str]| {
        let objects = objects.iter();
        objects.flat_map(move |object| names.iter().filter_map(|name| member(object, name)))
    };
    let level = members(&LEVELS).next()?;
    let is_error = match level {
        // The levels of pino and bunyan.
        Value::Number(number) => number.as_u64().is_some_and(|level| level >= 50),
        Value::String(text) => is_error_level(text),
        Value::Object(level) => member(level, "name")?.as_str().is_some_and(is_error_level),
        _ => false,
    };
    let message = members(&MESSAGES).find_map(Value::as_str);
    let error = members(&ERRORS).find_map(text_of_error);
    let stack = || members(&STACKS).find_map(|stack| error_of_stack(stack.as_str()?));
    record_text(is_error, message, error.or_else(stack))
}

/// Returns the text of a line in logfmt: `level=error msg="it failed" err="no database"`.
fn text_of_logfmt(text: &str) -> Option<String> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, value, after) = first_pair(rest)?;
        pairs.push((name, value));
        rest = after;
    }
    let find = |names: &[&str]| {
        let is_named = |found: &str| names.iter().any(|name| found.eq_ignore_ascii_case(name));
        let mut found = pairs.iter().filter(|(name, _)| is_named(name));
        found.find_map(|(_, value)| has_words(value).then_some(*value))
    };
    let is_error = is_error_level(find(&LEVELS)?);
    let message = unescaped(find(&MESSAGES)?);
    let error = find(&ERRORS).and_then(|error| error_of_lines(&unescaped(error)));
    record_text(is_error, Some(&message), error)
}

/// Returns the name and the value of the first pair in logfmt, and the text after it. The value is without its quotation marks.
fn first_pair(text: &str) -> Option<(&str, &str, &str)> {
    let (name, value) = text.split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let Some(quoted) = value.strip_prefix('"') else {
        let (value, rest) = value.split_once(' ').unwrap_or((value, ""));
        return Some((name, value, rest.trim_start()));
    };
    let mut is_escaped = false;
    let end = quoted.find(|character| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    });
    // The end of the line may be missing.
    let end = end.unwrap_or(quoted.len());
    let rest = quoted[end..].trim_start_matches('"').trim_start();
    Some((name, &quoted[..end], rest))
}

/// Returns a quoted value of logfmt, with its line breaks.
fn unescaped(value: &str) -> String {
    let lines = line_breaks::lines(value).join("\n");
    lines.replace("\\\"", "\"").replace("\\\\", "\\")
}

fn is_error_level(level: &str) -> bool {
    [
        "error",
        "fatal",
        "critical",
        "panic",
        "dpanic",
        "emerg",
        "emergency",
        "alert",
        "eror",
        "err",
        "crit",
        "severe",
        "fail",
    ]
    .iter()
    .any(|name| level.eq_ignore_ascii_case(name))
}

/// Returns a message with the error, unless one of them has the other.
fn record_text(is_error: bool, message: Option<&str>, error: Option<String>) -> Option<String> {
    let message = message.and_then(|message| {
        let lines: Vec<&str> = message.lines().collect();
        let first = lines.iter().position(|line| has_words(line))?;
        Some(with_list(&lines, first))
    });
    let error = error.filter(|error| has_words(error));
    let text = match (message, error) {
        (Some(message), Some(error)) if message.contains(&error) => message,
        (Some(message), Some(error)) if error.contains(&message) => error,
        (Some(message), Some(error)) => {
            format!("{}: {error}", message.trim_end_matches([':', '.', ' ']))
        }
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => return None,
    };
    Some(match is_error && !is_labeled(&text) {
        true => format!("error: {text}"),
        false => text,
    })
}

/// Returns the message of an error in a record: a text, or a member of an object.
fn text_of_error(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return error_of_lines(text);
    }
    let message = error_message::in_json(error).and_then(|text| error_of_lines(&text));
    message.or_else(|| {
        let error = error.as_object()?;
        let text = |name| member(error, name)?.as_str();
        STACKS
            .iter()
            .find_map(|name| error_of_stack(text(name)?))
            .or_else(|| text("value").or_else(|| text("code")).map(str::to_owned))
    })
}

/// Returns the error at the beginning of a stack trace. Go writes only the frames.
fn error_of_stack(stack: &str) -> Option<String> {
    let ends_class = |error: &String| error.ends_with("Error") || error.ends_with("Exception");
    error_of_lines(stack).filter(|error| error.contains(": ") || ends_class(error))
}

/// Returns the line of an error that has its reason: the exception of Python, the last cause of Java, or the first line.
fn error_of_lines(error: &str) -> Option<String> {
    // .NET writes the frames on the same line.
    let lines: Vec<&str> = error
        .lines()
        .map(|line| line.split("    at ").next().unwrap_or_default())
        .collect();
    if let Some(at) = exception_of_traceback(&lines) {
        return Some(with_invalid_field(&lines, at));
    }
    let cause = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("Caused by: "));
    let text = cause.or_else(|| lines.iter().copied().find(|line| has_words(line)));
    text.map(|text| text.trim().to_owned())
}

fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut members = object.iter();
    members.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::super::reason;
    use super::*;

    #[test]
    fn the_text_of_a_record_has_its_message_and_its_error() {
        #[rustfmt::skip]
        let rows = [
            // pino, zap, zerolog, slog, winston, tracing, structlog, .NET, Logback, loguru, Serilog and ECS.
            (r#"{"level":50,"time":1,"err":{"type":"Error","message":"listen EADDRINUSE: address already in use","stack":"Error: x\n    at y (node:net:1)"},"msg":"Server error"}"#, "Server error: listen EADDRINUSE: address already in use"),
            (r#"{"level":50,"err":{"type":"Error","message":"no key","stack":"Error: no key"},"msg":"no key"}"#, "error: no key"),
            (r#"{"level":50,"err":{"type":"AggregateError","message":"","code":"ECONNREFUSED"},"msg":"it failed"}"#, "error: it failed: ECONNREFUSED"),
            (r#"{"level":"fatal","ts":1.1,"msg":"failed to start","error":"dial tcp 127.0.0.1:5432: connect: connection refused","stacktrace":"main.main\n\t/src/main.go:41"}"#, "error: failed to start: dial tcp 127.0.0.1:5432: connect: connection refused"),
            (r#"{"level":"fatal","error":"ACME_TOKEN is not set","message":"can't load it"}"#, "error: can't load it: ACME_TOKEN is not set"),
            (r#"{"level":"ERROR","msg":"startup failed","err":"open /etc/a.yaml: no such file or directory"}"#, "error: startup failed: open /etc/a.yaml: no such file or directory"),
            (r#"{"level":"error","message":"Startup failed","stack":"Error: no token\n    at main (file:///x.js:9:11)"}"#, "Startup failed: Error: no token"),
            (r#"{"level":"error","message":"no token","stack":"Error: no token\n    at main (file:///x.js:9:11)"}"#, "Error: no token"),
            (r#"{"level":"ERROR","fields":{"message":"can't start","error":"no token"},"target":"acme"}"#, "error: can't start: no token"),
            (r#"{"event": "startup failed", "level": "error", "exception": "Traceback (most recent call last):\n  File \"/x.py\", line 9, in main\nRuntimeError: no token"}"#, "startup failed: RuntimeError: no token"),
            (r#"{"EventId":0,"LogLevel":"Critical","Message":"Host terminated","Exception":"System.InvalidOperationException: no token    at Acme.Main(String[] args)","State":{"Message":"x"}}"#, "Host terminated: System.InvalidOperationException: no token"),
            (r#"{"message":"run failed","level":"ERROR","stack_trace":"java.lang.IllegalStateException: can't start\n\tat com.acme.Main.main(Main.java:17)\nCaused by: java.lang.IllegalArgumentException: no token\n\t... 12 more\n"}"#, "run failed: java.lang.IllegalArgumentException: no token"),
            (r#"{"message":"run failed","level":"ERROR","stack_trace":"java.lang.NullPointerException\n\tat com.acme.Main.main(Main.java:17)\n"}"#, "error: run failed: java.lang.NullPointerException"),
            (r#"{"text":"x","record":{"level":{"name":"ERROR","no":40},"message":"it failed","exception":{"type":"ValueError","value":"no token","traceback":true}}}"#, "error: it failed: no token"),
            (r#"{"@t":"2026-01-01","@mt":"it failed","@l":"Error","@x":"System.Exception: no token\n   at Acme.Main()"}"#, "it failed: System.Exception: no token"),
            (r#"{"log.level":"ERROR","message":"it failed","error.message":"no token"}"#, "error: it failed: no token"),
            // The frames of Go, and a member that is not an error.
            (r#"{"level":"error","msg":"it failed","stack":"goroutine 1 [running]:\nmain.main()"}"#, "error: it failed"),
            (r#"{"level":"info","msg":"ready","error":null,"err":false}"#, "ready"),
            (r#"{"level":"error","error":{"message":"no token"}}"#, "error: no token"),
            (r#"{"level":"error","msg":"invalid settings:\n  ACME_KEY: required"}"#, "error: invalid settings: ACME_KEY: required"),
            // logfmt.
            (r#"time=2026-01-01T00:00:00Z level=ERROR msg="startup failed" err="open C:\\new\\a.yaml: no such file""#, r"error: startup failed: open C:\new\a.yaml: no such file"),
            (r#"time="2026-01-01" level=fatal msg="no \"key\"" error=EOF port=1"#, r#"error: no "key": EOF"#),
            (r#"level=info msg="shut down""#, "shut down"),
        ];
        for (line, expected) in rows {
            assert_eq!(log_record(line).trim_end(), expected, "{line}");
        }
        for line in [
            r#"{"level":"error"}"#,
            r#"{"msg":"no level"}"#,
            "{not JSON}",
            "level=error msg=it failed err=x",
            "ACME_KEY=abc",
            "level=error",
            "",
        ] {
            assert_eq!(log_record(line), line);
        }
    }

    #[test]
    fn a_record_is_not_the_rest_of_a_sentence() {
        let long = "the connection to the database of the index failed";
        let rows = [
            format!("level=ERROR msg=\"{long}\"\nlevel=INFO msg=\"shut down\"\n"),
            format!(
                "{{\"level\":50,\"msg\":\"{long}\"}}\n{{\"level\":30,\"msg\":\"shut down now\"}}\n"
            ),
            format!("error: {long}\ntime=1 the end\n"),
        ];
        for output in rows {
            assert_eq!(
                reason(&output, false),
                Some(format!("error: {long}")),
                "{output}"
            );
        }
    }
}
