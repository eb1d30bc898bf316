//! Runs the test vectors in `tests/vectors`, which every language runs.
//!
//! The expected values are in the files, written by hand from the design or an RFC. For each file, the runner prints the number of
//! cases, and the actual and expected values of each case that failed.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test helper fails the test"
)]

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use mcp_startup_core::{
    AppliedLines, CredentialFacts, CredentialWorth, DecodeError, Evidence, FirstRequest, LineError,
    McpServerStatusUpdatedNotification as Notification, ServerKey, StartupTracker, assess,
    auth_status, decode, decode_lines, encode, judge,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Runs every case of a file.
///
/// Parses each case separately and rejects unknown fields, so that a mistake in one case is reported and hides no other failure.
fn run<Case: DeserializeOwned>(file: &str, check: impl Fn(&Case) -> Result<(), String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Value> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));

    let mut ran = 0;
    let mut names = HashSet::new();
    let mut failures = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap_or_default();
        let source = case["source"].as_str().unwrap_or_default();
        assert!(!name.is_empty(), "{file}: a case has no name: {case}");
        assert!(!source.is_empty(), "{file}: {name}: no source");
        assert!(names.insert(name), "{file}: {name}: the name occurs twice");
        let mut input = case.clone();
        if let Value::Object(fields) = &mut input {
            fields.remove("name");
            fields.remove("source");
        }
        let outcome = serde_json::from_value::<Case>(input)
            .map_err(|error| format!("invalid case: {error}"))
            .and_then(|case| check(&case));
        ran += 1;
        if let Err(failure) = outcome {
            failures.push(format!("{file}: {name} ({source})\n{failure}"));
        }
    }

    // Bypasses the output capture of the test harness, so that every run shows the number of cases.
    let count = format!("vectors: {file} {ran} cases\n");
    std::io::stdout().write_all(count.as_bytes()).unwrap();
    assert_eq!(ran, cases.len(), "{file}: not every case was run");
    assert!(ran > 0, "{file}: no cases");
    assert!(
        failures.is_empty(),
        "{} of {ran} cases failed\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
}

fn equal(what: &str, got: &Value, expected: &Value) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("  {what}\n       got {got}\n  expected {expected}"))
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "odd number of digits: {hex}");
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn input_bytes(text: &Option<String>, hex: &Option<String>) -> Result<Vec<u8>, String> {
    match (text, hex) {
        (Some(text), None) => Ok(text.clone().into_bytes()),
        (None, Some(hex)) => Ok(bytes_of_hex(hex)),
        _ => Err("invalid case: either text or hex".to_owned()),
    }
}

/// Distinguishes a field that is null from a field that is absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn value(serializable: &impl serde::Serialize) -> Value {
    serde_json::to_value(serializable).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    /// Absent if the design does not specify which of two kinds it is.
    kind: Option<String>,
    field: Option<String>,
}

fn error_is(got: &DecodeError, expected: &ExpectedError) -> Result<(), String> {
    equal("field", &json!(got.field), &json!(expected.field))?;
    if let Some(kind) = &expected.kind {
        equal("kind", &value(&got.kind), &json!(kind))?;
    }
    if let Some(field) = &expected.field
        && !got.message.contains(field)
    {
        return Err(format!("  message does not name {field}: {}", got.message));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecodeCase {
    line: Option<String>,
    hex: Option<String>,
    #[serde(default, deserialize_with = "present")]
    notification: Option<Value>,
    /// The line that it is encoded as.
    encoded: Option<String>,
    error: Option<ExpectedError>,
}

#[test]
fn decode_json() {
    run("decode.json", |case: &DecodeCase| {
        let line = input_bytes(&case.line, &case.hex)?;
        match (decode(&line), &case.notification, &case.error) {
            (Ok(got), Some(expected), None) => {
                equal("notification", &value(&got), expected)?;
                if let Some(encoded) = &case.encoded {
                    equal("encoded", &json!(got.as_ref().map(encode)), &json!(encoded))?;
                }
                Ok(())
            }
            (Err(got), None, Some(expected)) => error_is(&got, expected),
            (got, None, Some(expected)) => Err(format!(
                "       got {got:?}\n  expected an error of kind {:?}, field {:?}",
                expected.kind, expected.field
            )),
            (got, Some(expected), None) => {
                Err(format!("       got {got:?}\n  expected {expected}"))
            }
            _ => Err("invalid case: either a notification or an error".to_owned()),
        }
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodeCase {
    constructor: String,
    server: String,
    #[serde(rename = "threadId")]
    thread_id: Option<String>,
    error: Option<String>,
    line: String,
}

#[test]
fn encode_json() {
    run("encode.json", |case: &EncodeCase| {
        let server = case.server.as_str();
        let built = match (case.constructor.as_str(), case.error.as_deref()) {
            ("starting", None) => Notification::starting(server),
            ("ready", None) => Notification::ready(server),
            ("cancelled", None) => Notification::cancelled(server),
            ("failed", Some(error)) => Notification::failed(server, error),
            ("reauthenticationRequired", Some(error)) => {
                Notification::reauthentication_required(server, error)
            }
            (other, error) => {
                return Err(format!("invalid case: {other} with {error:?}"));
            }
        };
        let built = match &case.thread_id {
            Some(thread_id) => built.with_thread_id(thread_id),
            None => built,
        };
        equal("line", &json!(encode(&built)), &json!(case.line))?;
        match decode(case.line.as_bytes()) {
            Ok(Some(read)) if read == built => Ok(()),
            read => Err(format!(
                "  decoded again\n       got {read:?}\n  expected {built:?}"
            )),
        }
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinesCase {
    text: Option<String>,
    hex: Option<String>,
    notifications: Vec<Value>,
    errors: Vec<ExpectedLineError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedLineError {
    line: u64,
    kind: Option<String>,
    field: Option<String>,
}

#[test]
fn lines_json() {
    run("lines.json", |case: &LinesCase| {
        let bytes = input_bytes(&case.text, &case.hex)?;
        let got = decode_lines(&bytes);
        equal(
            "notifications",
            &value(&got.notifications),
            &json!(case.notifications),
        )?;
        errors_are(&got.errors, &case.errors)?;
        let applied = StartupTracker::default().apply_lines(&bytes);
        errors_are(&applied.errors, &case.errors).map_err(|error| format!("tracker: {error}"))?;
        equal(
            "notifications that the tracker counted",
            &json!(applied.notifications),
            &json!(case.notifications.len()),
        )
    });
}

fn errors_are(got: &[LineError], expected: &[ExpectedLineError]) -> Result<(), String> {
    let numbers = |all: Vec<u64>| json!(all);
    equal(
        "numbers of the bad lines",
        &numbers(got.iter().map(|error| error.line).collect()),
        &numbers(expected.iter().map(|error| error.line).collect()),
    )?;
    for (got, expected) in got.iter().zip(expected) {
        let error = ExpectedError {
            kind: expected.kind.clone(),
            field: expected.field.clone(),
        };
        error_is(&got.error, &error).map_err(|failure| format!("  line {}{failure}", got.line))?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackerCase {
    limit: Option<usize>,
    steps: Vec<TrackerStep>,
}

/// A batch of lines or the removal of a thread, with its effect and the state after it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TrackerStep {
    lines: Option<Vec<String>>,
    notifications: Option<u64>,
    changed: Option<Value>,
    prompts: Option<Value>,
    /// The numbers of the bad lines.
    errors: Option<Value>,
    remove: Option<String>,
    removed: Option<usize>,
    servers: Option<Value>,
    reauthentication_required: Option<Value>,
}

#[test]
fn tracker_json() {
    run("tracker.json", |case: &TrackerCase| {
        let mut tracker = match case.limit {
            Some(limit) => StartupTracker::with_limit(limit),
            None => StartupTracker::default(),
        };
        for (number, step) in case.steps.iter().enumerate() {
            take_step(&mut tracker, step)
                .map_err(|failure| format!("  step {}\n{failure}", number + 1))?;
        }
        Ok(())
    });
}

/// Each key as an array of the thread, the environment and the name.
fn keys<'a>(keys: impl IntoIterator<Item = &'a ServerKey>) -> Value {
    let keys = keys.into_iter();
    keys.map(|key| json!([key.thread_id, key.environment_id, key.name]))
        .collect()
}

fn take_step(tracker: &mut StartupTracker, step: &TrackerStep) -> Result<(), String> {
    match step {
        TrackerStep {
            lines: Some(lines),
            notifications: Some(notifications),
            changed: Some(changed),
            prompts: Some(prompts),
            errors: Some(errors),
            remove: None,
            removed: None,
            ..
        } => {
            let AppliedLines {
                notifications: got_notifications,
                changed: got_changed,
                prompts: got_prompts,
                errors: got_errors,
            } = tracker.apply_lines(lines.join("\n").as_bytes());
            equal(
                "notifications",
                &json!(got_notifications),
                &json!(notifications),
            )?;
            equal("changed", &keys(&got_changed), changed)?;
            equal("prompts", &keys(&got_prompts), prompts)?;
            let numbers: Vec<u64> = got_errors.iter().map(|error| error.line).collect();
            equal("errors", &json!(numbers), errors)?;
        }
        TrackerStep {
            lines: None,
            remove: Some(thread),
            removed: Some(removed),
            ..
        } => equal("removed", &json!(tracker.remove(thread)), &json!(removed))?,
        _ => return Err("invalid case: lines or remove".to_owned()),
    }
    if let Some(servers) = &step.servers {
        equal("servers", &value(&tracker.servers()), servers)?;
        for server in tracker.servers() {
            let (thread_id, environment_id) = (&server.thread_id, &server.environment_id);
            let found = tracker.server(
                thread_id.as_deref(),
                environment_id.as_deref(),
                &server.name,
            );
            equal("server", &value(&found), &value(server))?;
        }
    }
    if let Some(expected) = &step.reauthentication_required {
        equal(
            "reauthenticationRequired",
            &keys(tracker.reauthentication_required()),
            expected,
        )?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AssessCase {
    /// Null if nothing is stored.
    #[serde(deserialize_with = "present")]
    facts: Option<Value>,
    now_ms: i64,
    configured: bool,
    #[serde(deserialize_with = "required")]
    oauth_published: Option<bool>,
    #[serde(deserialize_with = "present")]
    worth: Option<Value>,
    /// Null if the configuration contains the credential, and the stored one is not assessed.
    #[serde(deserialize_with = "required")]
    first_request: Option<String>,
    #[serde(deserialize_with = "present")]
    auth_status: Option<Value>,
}

/// Accepts null or a value, but not an absent field.
fn required<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

#[test]
fn assess_json() {
    run("assess.json", |case: &AssessCase| {
        let input = case.facts.clone().unwrap_or_default();
        let facts: Option<CredentialFacts> =
            serde_json::from_value(input.clone()).map_err(|error| error.to_string())?;
        equal("the case, parsed and written again", &value(&facts), &input)?;
        let worth = facts.map(|facts| assess(&facts, case.now_ms));
        equal(
            "worth",
            &value(&worth),
            &case.worth.clone().unwrap_or_default(),
        )?;
        if let Some(expected) = &case.first_request {
            let first = worth.map_or(FirstRequest::WithoutToken, CredentialWorth::first_request);
            equal("firstRequest", &value(&first), &json!(expected))?;
        }
        equal(
            "authStatus",
            &value(&auth_status(case.configured, worth, case.oauth_published)),
            &case.auth_status.clone().unwrap_or_default(),
        )
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JudgeCase {
    evidence: Value,
    /// Absent, like the recovery, if the design specifies only the reason.
    kind: Option<String>,
    recovery: Option<String>,
    /// Absent if there is none.
    fallback: Option<String>,
    #[serde(deserialize_with = "required")]
    failure_reason: Option<String>,
    /// Absent in most cases, because it depends only on the recovery.
    #[serde(default, deserialize_with = "present")]
    auth_required_reason: Option<Value>,
    message_contains: Vec<String>,
}

#[test]
fn judge_json() {
    run("judge.json", |case: &JudgeCase| {
        let evidence: Evidence = serde_json::from_value(case.evidence.clone())
            .map_err(|error| format!("invalid case: {error}"))?;
        // Evidence is parsed leniently, so a misspelled field would be ignored without an error.
        equal(
            "the case, parsed and written again",
            &value(&evidence),
            &case.evidence,
        )?;
        let failure = judge(evidence);
        let message = failure.message();
        let explained = |error: String| format!("{error}\n  message {message:?}");
        if case.kind.is_some() {
            equal("kind", &value(&failure.kind()), &json!(case.kind)).map_err(explained)?;
            equal(
                "recovery",
                &value(&failure.recovery()),
                &json!(case.recovery),
            )
            .map_err(explained)?;
            equal(
                "fallback",
                &value(&failure.fallback()),
                &json!(case.fallback),
            )
            .map_err(explained)?;
        }
        equal(
            "failureReason",
            &value(&failure.reason()),
            &json!(case.failure_reason),
        )
        .map_err(explained)?;
        if let Some(expected) = &case.auth_required_reason {
            equal(
                "authRequiredReason",
                &value(&failure.auth_required_reason()),
                expected,
            )
            .map_err(explained)?;
        }
        equal("evidence", &value(failure.evidence()), &case.evidence)?;
        if message.is_empty() || message.chars().count() > 300 {
            let length = message.chars().count();
            return Err(format!("  message of {length} characters: {message:?}"));
        }
        if message.chars().any(char::is_control) {
            return Err(format!("  control characters in the message: {message:?}"));
        }
        for part in &case.message_contains {
            if !message.contains(part.as_str()) {
                return Err(format!("  message without {part:?}: {message:?}"));
            }
        }
        Ok(())
    });
}
