//! The messages: each says to a person what happened and what to do next, whatever the evidence holds.
//!
//! The table is `src/verdict/examples.json`: evidence for each kind and each shape of its message, and the words of what to do,
//! written by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
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

    /// What the message has to say whatever the names and texts in the evidence are.
    fn todo_of_any(&self) -> &str {
        match self.kind() {
            // What is to be mended has a name of its own.
            StartupFailureKind::InvalidConfiguration => "Mend ",
            _ => &self.todo,
        }
    }
}

fn examples() -> Vec<Example> {
    serde_json::from_str(include_str!("../src/verdict/examples.json")).unwrap()
}

fn judged(evidence: &Value) -> StartupFailure {
    judge(serde_json::from_value(evidence.clone()).unwrap())
}

const KINDS: [StartupFailureKind; 18] = [
    StartupFailureKind::InvalidConfiguration,
    StartupFailureKind::ProgramNotFound,
    StartupFailureKind::CredentialStoreUnavailable,
    StartupFailureKind::CredentialRejected,
    StartupFailureKind::InsufficientScope,
    StartupFailureKind::AccessDenied,
    StartupFailureKind::ReauthenticationRequired,
    StartupFailureKind::AuthorizationUnavailable,
    StartupFailureKind::AuthorizationMisconfigured,
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

/// What a message that is fit to be shown is: one line that is not too long, for each kind and whatever is in it.
fn is_fit_to_be_shown(message: &str) {
    let length = message.chars().count();
    assert!(length <= 300, "{length} characters: {message}");
    assert!(
        !message.chars().any(|c| c.is_control() || c == '\u{2028}'),
        "{message:?}"
    );
    assert_eq!(message.trim(), message, "{message:?}");
}

#[test]
fn there_is_an_example_of_each_kind_in_their_order() {
    let mut kinds: Vec<_> = examples().iter().map(Example::kind).collect();
    kinds.dedup();
    assert_eq!(kinds, KINDS);
}

#[test]
fn an_example_has_no_field_that_is_not_read_and_none_like_another() {
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
fn a_host_is_given_all_of_them() {
    let wanted: Vec<_> = examples()
        .iter()
        .map(|example| judged(&example.evidence))
        .collect();
    assert_eq!(StartupFailure::examples(), wanted);
}

#[test]
fn each_says_what_to_do_and_names_its_server() {
    for example in examples() {
        let failure = judged(&example.evidence);
        let message = failure.message();
        is_fit_to_be_shown(message);
        assert!(message.contains(example.evidence["server"].as_str().unwrap()));
        assert!(message.contains(&example.todo), "{message}");
        // Nothing of an example is so long that it would be cut.
        assert!(!message.contains('…'), "{message}");
        assert!(says_what_to_do(message, failure.recovery()), "{message}");
    }
}

#[test]
fn a_server_without_a_name_is_the_server() {
    for example in examples() {
        for name in [json!(null), json!(""), json!(" ")] {
            let mut evidence = example.evidence.clone();
            evidence["server"] = name;
            let message = judged(&evidence).message().to_owned();
            let named =
                message.starts_with("The MCP server") || message.contains(" the MCP server ");
            assert!(named, "{message}");
            assert!(message.contains(&example.todo), "{message}");
            is_fit_to_be_shown(&message);
        }
    }
}

#[test]
fn a_long_name_costs_nothing_else() {
    let name = "n".repeat(60);
    for example in examples() {
        let mut evidence = example.evidence.clone();
        evidence["server"] = json!(name);
        let message = judged(&evidence).message().to_owned();
        is_fit_to_be_shown(&message);
        assert!(message.contains(&name), "{message}");
        assert!(message.contains(&example.todo), "{message}");
        assert!(!message.contains('…'), "{message}");
    }
}

/// Fields whose text comes from elsewhere and decides nothing.
const FREE: [&str; 14] = [
    "server",
    "program",
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
    "detail",
    "serverVersions",
];

/// The evidence with `text` wherever a text comes from elsewhere, and the longest numbers.
fn filled(evidence: &Value, text: &str) -> Value {
    let mut filled = evidence.clone();
    each_object(&mut filled, &mut |object| {
        let is_discovery = object.contains_key("outcome");
        for (field, value) in object.iter_mut() {
            let fills = match (field.as_str(), &*value) {
                // A number of seconds is said otherwise than a date is.
                ("retryAfter", Value::String(found)) => found.parse::<u32>().is_err(),
                // Codes and names that mean something are none of others' choice.
                ("oauthError", found) => found == "invalid_request",
                ("kind", found) => found == "vault",
                ("problem", _) => !is_discovery,
                (field, _) => FREE.contains(&field),
            };
            match (field.as_str(), &mut *value) {
                ("url", _) => *value = json!(format!("https://{text}")),
                (_, Value::Array(items)) if fills => *items = vec![json!(text); 3],
                (_, Value::String(_)) if fills => *value = json!(text),
                ("line", _) => *value = json!(u32::MAX),
                ("exit" | "signal", _) => *value = json!(i32::MIN),
                ("limitMs" | "elapsedMs", _) => *value = json!(u64::MAX),
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
fn what_to_do_is_never_cut_off() {
    let lengths = [1, 40, 60, 61, 100, 101, 160, 161, 300, 10_000];
    for example in examples() {
        for length in lengths {
            // An ordinary text; one of which each character is shown as many; one of many bytes for each character.
            for letter in ["x", "\u{1b}", "a\n", "é", "🚀", "a/b\\c", "\u{202e}"] {
                let text = letter.repeat(length);
                let failure = judged(&filled(&example.evidence, &text));
                let message = failure.message();
                assert_eq!(failure.kind(), example.kind(), "{}", example.when);
                is_fit_to_be_shown(message);
                assert!(
                    message.contains(example.todo_of_any()),
                    "{letter:?} x {length}: {message}"
                );
            }
        }
    }
}

#[test]
fn a_blank_text_is_none() {
    for example in examples() {
        for blank in ["", " ", "\n\n"] {
            let failure = judged(&filled(&example.evidence, blank));
            let message = failure.message();
            is_fit_to_be_shown(message);
            assert!(says_what_to_do(message, failure.recovery()), "{message}");
            for nothing in ["``", "` `", "\"\"", "()", "( )", "\\n", ": :", ":;"] {
                assert!(!message.contains(nothing), "{message}");
            }
            assert!(!message.ends_with([':', '(']), "{message}");
        }
    }
}

#[test]
fn nothing_that_may_be_secret_is_shown() {
    const CANARY: &str = "hunter2";
    for example in examples() {
        let mut evidence = example.evidence.clone();
        each_object(&mut evidence, &mut |object| {
            for (field, value) in object.iter_mut() {
                let Value::String(text) = value else { continue };
                match field.as_str() {
                    // What stores, servers and proxies say, for who looks into the evidence.
                    "detail" | "storedIssuer" | "issuer" => text.push_str(CANARY),
                    "challenge" => text.push_str(&format!(", realm=\"{CANARY}\"")),
                    "contentType" => text.push_str(&format!("; charset={CANARY}")),
                    // It should have neither of these, and a path may be secret by itself.
                    "url" => {
                        *text = format!(
                            "https://{CANARY}:{CANARY}@linear.example/{CANARY}?{CANARY}#{CANARY}"
                        );
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
fn the_examples_themselves_have_no_secret() {
    for mut example in examples() {
        each_object(&mut example.evidence, &mut |object| {
            for (field, value) in object.iter() {
                let field = field.to_lowercase();
                let looks_secret = ["token", "secret", "password", "cookie", "authorization"]
                    .iter()
                    .any(|word| field.contains(word));
                // What a token is worth is not what it is.
                let is_worth = ["absent", "good", "expiryUnknown", "expired"]
                    .iter()
                    .any(|worth| value == worth);
                assert!(
                    !looks_secret || is_worth || value.is_boolean(),
                    "{field}: {value}"
                );
            }
        });
    }
}

#[test]
fn every_vector_says_what_to_do() {
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
        is_fit_to_be_shown(message);
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
    fn what_to_do_is_said_whatever_others_say(characters in vec(any::<char>(), 0..400)) {
        let text = String::from_iter(characters);
        // What is blank is not there.
        prop_assume!(!text.trim().is_empty());
        for example in examples() {
            let failure = judged(&filled(&example.evidence, &text));
            let message = failure.message();
            prop_assert_eq!(failure.kind(), example.kind());
            prop_assert!(message.chars().count() <= 300, "{}", message);
            prop_assert!(!message.chars().any(char::is_control), "{:?}", message);
            prop_assert!(message.contains(example.todo_of_any()), "{}", message);
        }
    }
}
