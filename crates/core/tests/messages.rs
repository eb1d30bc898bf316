//! Tests of the messages: each names the server and recommends a next step, for any evidence.
//!
//! The cases are in `src/verdict/examples.json`: evidence for each kind and each form of its message, with the expected next
//! step, written by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test helper fails the test"
)]

mod actions;

use mcp_startup_core::{Evidence, StartupFailure, StartupFailureKind, judge};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use actions::says_what_to_do;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    when: String,
    todo: String,
    evidence: Value,
}

impl Example {
    fn kind(&self) -> StartupFailureKind {
        judged(&self.evidence).kind()
    }

    /// Returns the part of the next step that does not depend on names and texts in the evidence.
    fn fixed_todo(&self) -> &str {
        match self.kind() {
            // The rest is the configuration key.
            StartupFailureKind::InvalidConfiguration => "Fix ",
            // The rest names the client.
            StartupFailureKind::SignInHeldByClient => ": open ",
            _ => match self.evidence["process"]["package"].as_str() {
                Some(package) => self.todo.split(package).next().unwrap(),
                None => &self.todo,
            },
        }
    }
}

fn examples() -> Vec<Example> {
    serde_json::from_str(include_str!("../src/verdict/examples.json")).unwrap()
}

fn judged(evidence: &Value) -> StartupFailure {
    judge(serde_json::from_value(evidence.clone()).unwrap())
}

const KINDS: [StartupFailureKind; 21] = [
    StartupFailureKind::InvalidConfiguration,
    StartupFailureKind::ProgramNotFound,
    StartupFailureKind::CredentialStoreUnavailable,
    StartupFailureKind::CredentialRejected,
    StartupFailureKind::InsufficientScope,
    StartupFailureKind::AccessDenied,
    StartupFailureKind::LimitExceeded,
    StartupFailureKind::ReauthenticationRequired,
    StartupFailureKind::SignInHeldByClient,
    StartupFailureKind::AuthorizationUnavailable,
    StartupFailureKind::AuthorizationMisconfigured,
    StartupFailureKind::ClientRequired,
    StartupFailureKind::SignInRequired,
    StartupFailureKind::CredentialRequired,
    StartupFailureKind::Unreachable,
    StartupFailureKind::TimedOut,
    StartupFailureKind::Exited,
    StartupFailureKind::ServerError,
    StartupFailureKind::UnsupportedProtocol,
    StartupFailureKind::NotMcp,
    StartupFailureKind::Other,
];

/// Asserts that a message is one line of at most 300 characters without control characters.
fn assert_printable(message: &str) {
    let length = message.chars().count();
    assert!(length <= 300, "{length} characters: {message}");
    assert!(
        !message.chars().any(|c| c.is_control() || c == '\u{2028}'),
        "{message:?}"
    );
    assert_eq!(message.trim(), message, "{message:?}");
}

#[test]
fn examples_cover_every_kind_in_order() {
    let mut kinds: Vec<_> = examples().iter().map(Example::kind).collect();
    kinds.dedup();
    assert_eq!(kinds, KINDS);
}

#[test]
fn examples_are_distinct_and_have_no_unknown_fields() {
    let mut seen = std::collections::HashSet::new();
    for example in examples() {
        let read: Evidence = serde_json::from_value(example.evidence.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), example.evidence);
        assert!(
            seen.insert(example.evidence.to_string()),
            "{}",
            example.when
        );
        assert!(seen.insert(format!("{:?}: {}", example.kind(), example.when)));
    }
}

#[test]
fn the_public_examples_are_complete() {
    let expected: Vec<_> = examples()
        .iter()
        .map(|example| judged(&example.evidence))
        .collect();
    assert_eq!(StartupFailure::examples(), expected);
}

#[test]
fn messages_name_the_server_and_the_next_step() {
    for example in examples() {
        let failure = judged(&example.evidence);
        let message = failure.message();
        assert_printable(message);
        assert!(message.contains(example.evidence["server"].as_str().unwrap()));
        assert!(message.contains(&example.todo), "{message}");
        // The texts in the examples are short enough to be shown completely.
        assert!(!message.contains('…'), "{message}");
        assert!(says_what_to_do(message, failure.recovery()), "{message}");
    }
}

#[test]
fn an_unnamed_server_is_called_the_mcp_server() {
    for example in examples() {
        for name in [json!(null), json!(""), json!(" ")] {
            let mut evidence = example.evidence.clone();
            evidence["server"] = name;
            let message = judged(&evidence).message().to_owned();
            let named =
                message.starts_with("The MCP server") || message.contains(" the MCP server ");
            assert!(named, "{message}");
            assert!(message.contains(&example.todo), "{message}");
            assert_printable(&message);
        }
    }
}

#[test]
fn a_long_server_name_shortens_nothing_else() {
    let name = "n".repeat(60);
    for example in examples() {
        let mut evidence = example.evidence.clone();
        evidence["server"] = json!(name);
        let message = judged(&evidence).message().to_owned();
        assert_printable(&message);
        assert!(message.contains(&name), "{message}");
        assert!(message.contains(&example.todo), "{message}");
        assert!(!message.contains('…'), "{message}");
    }
}

/// Fields with foreign text that does not affect the kind.
const FREE: [&str; 15] = [
    "server",
    "program",
    "package",
    "path",
    "stderr",
    "key",
    "problem",
    "name",
    "url",
    "retryAfter",
    "notMcp",
    "error",
    "cause",
    "serverVersions",
    "client",
];

/// Words in the output of a program, or in the error of a store, on which the next step depends.
const DECISIVE: [&str; 23] = [
    "Cannot find module",
    "ImportError",
    "environment variable",
    "current Python version",
    "ECONNREFUSED",
    "ENOTFOUND",
    "Connection refused",
    "self-signed certificate",
    "Unable to access jarfile",
    "Read-only file system",
    "Could not read package.json",
    "codec can't encode",
    "not a TTY",
    "number of arguments",
    "is required",
    "Please run",
    "TypeError",
    "is empty",
    "byte order mark",
    "UTF-16",
    "a damaged record",
    "[y/N]",
    "To sign in",
];

/// Returns the evidence with every foreign text replaced by `text`, and with the longest numbers.
fn filled(evidence: &Value, text: &str) -> Value {
    let mut filled = evidence.clone();
    each_object(&mut filled, &mut |object| {
        let is_discovery = object.contains_key("outcome");
        let has_package = object.contains_key("package");
        for (field, value) in object.iter_mut() {
            let fills = match (field.as_str(), &*value) {
                // The message for a number of seconds differs from that for a date.
                ("retryAfter", Value::String(found)) => found.parse::<u32>().is_err(),
                // Known codes and names affect the message.
                ("oauthError", found) => found == "invalid_request",
                ("kind", found) => found == "vault",
                ("problem", _) => !is_discovery,
                ("program", found) => !has_package && found != "docker",
                ("stderr" | "detail", Value::String(found)) => {
                    let decides = |words: &&str| found.contains(words);
                    !DECISIVE.iter().any(decides)
                }
                (field, _) => FREE.contains(&field),
            };
            match (field.as_str(), &mut *value) {
                // The name of this machine affects the message.
                ("url", Value::String(found)) if found.contains("127.0.0.1") => {}
                ("url", _) => *value = json!(format!("https://{text}")),
                (_, Value::Array(items)) if fills => *items = vec![json!(text); 3],
                (_, Value::String(_)) if fills => *value = json!(text),
                ("line", _) => *value = json!(u32::MAX),
                // A program that exits with 0 has reported no error.
                ("exit", found) if *found == 0 => {}
                ("exit", _) => *value = json!(i32::MIN),
                // The number of a signal decides the next step.
                ("signal", _) => {}
                ("limitMs" | "elapsedMs" | "expiresAtMs", _) => *value = json!(u64::MAX),
                _ => {}
            }
        }
    });
    filled
}

fn each_object(value: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object
                .values_mut()
                .for_each(|value| each_object(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        _ => {}
    }
}

#[test]
fn long_texts_never_shorten_the_next_step() {
    let lengths = [1, 40, 60, 61, 100, 101, 160, 161, 300, 10_000];
    for example in examples() {
        for length in lengths {
            // Plain text, characters that are escaped to several characters, and characters of several bytes.
            for letter in ["x", "\u{1b}", "a\n", "é", "🚀", "a/b\\c", "\u{202e}"] {
                let text = letter.repeat(length);
                let failure = judged(&filled(&example.evidence, &text));
                let message = failure.message();
                assert_eq!(failure.kind(), example.kind(), "{}", example.when);
                assert_printable(message);
                assert!(
                    message.contains(example.fixed_todo()),
                    "{letter:?} x {length}: {message}"
                );
            }
        }
    }
}

#[test]
fn a_blank_text_counts_as_absent() {
    for example in examples() {
        for blank in ["", " ", "\n\n"] {
            let failure = judged(&filled(&example.evidence, blank));
            let message = failure.message();
            assert_printable(message);
            assert!(says_what_to_do(message, failure.recovery()), "{message}");
            for nothing in ["``", "` `", "\"\"", "()", "( )", "\\n", ": :", ":;"] {
                assert!(!message.contains(nothing), "{message}");
            }
            assert!(!message.ends_with([':', '(']), "{message}");
        }
    }
}

#[test]
fn messages_contain_no_text_that_may_be_secret() {
    const CANARY: &str = "hunter2";
    for example in examples() {
        let mut evidence = example.evidence.clone();
        each_object(&mut evidence, &mut |object| {
            let names_issuers = object.contains_key("expectedIssuer");
            for (field, value) in object.iter_mut() {
                let Value::String(text) = value else { continue };
                match field.as_str() {
                    // A message names issuers that differ, without their query.
                    "issuer" | "expectedIssuer" if names_issuers => {
                        text.push_str(&format!("?{CANARY}"));
                    }
                    // Texts of stores, servers and proxies, which only the evidence has.
                    "detail" | "storedIssuer" | "issuer" => text.push_str(CANARY),
                    "challenge" => text.push_str(&format!(", realm=\"{CANARY}\"")),
                    "contentType" => text.push_str(&format!("; charset={CANARY}")),
                    // A URL in evidence has no user name, query or fragment, but a host may pass one. The path may be secret too.
                    "url" => {
                        let host = text.split('/').nth(2).unwrap().to_owned();
                        *text =
                            format!("https://{CANARY}:{CANARY}@{host}/{CANARY}?{CANARY}#{CANARY}");
                    }
                    _ => {}
                }
            }
        });
        let (failure, before) = (judged(&evidence), judged(&example.evidence));
        assert_eq!(failure.kind(), before.kind());
        let message = failure.message();
        assert!(!message.contains(CANARY), "{message}");
        assert!(message.contains(&example.todo), "{message}");
    }
}

#[test]
fn examples_contain_no_secrets() {
    for mut example in examples() {
        each_object(&mut example.evidence, &mut |object| {
            for (field, value) in object.iter() {
                let field = field.to_lowercase();
                let looks_secret = ["token", "secret", "password", "cookie", "authorization"]
                    .iter()
                    .any(|word| field.contains(word));
                // A problem with a token, and its worth, are not its value.
                let is_problem = field == "unusabletoken";
                let is_worth = ["absent", "good", "expiryUnknown", "expired"]
                    .iter()
                    .any(|worth| value == worth);
                assert!(
                    !looks_secret || is_problem || is_worth || value.is_boolean(),
                    "{field}: {value}"
                );
            }
        });
    }
}

#[test]
fn messages_of_all_vectors_have_a_next_step() {
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        evidence: Value,
    }
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../../tests/vectors/judge.json")).unwrap();
    assert!(vectors.len() > 200);
    for vector in vectors {
        let failure = judged(&vector.evidence);
        let message = failure.message();
        assert_printable(message);
        assert!(
            says_what_to_do(message, failure.recovery()),
            "{}: {message}",
            vector.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_texts_never_shorten_the_next_step(characters in vec(any::<char>(), 0..400)) {
        let text = String::from_iter(characters);
        // A blank text counts as absent.
        prop_assume!(!text.trim().is_empty());
        // A number as `Retry-After` is a number of seconds.
        prop_assume!(text.trim().parse::<u32>().is_err());
        for example in examples() {
            let failure = judged(&filled(&example.evidence, &text));
            let message = failure.message();
            prop_assert_eq!(failure.kind(), example.kind());
            prop_assert!(message.chars().count() <= 300, "{}", message);
            prop_assert!(!message.chars().any(char::is_control), "{:?}", message);
            // Text that reads like a stack frame, such as `/:0`, gives no reason, so the next step is how to see more.
            let gives_no_reason = example.evidence["process"]["stderr"].is_string()
                && message.contains("reported no reason: run its command in a terminal");
            prop_assert!(gives_no_reason || message.contains(example.fixed_todo()), "{}", message);
        }
    }
}
