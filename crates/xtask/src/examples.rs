//! The examples of failures that core has, by kind and recovery, and the least evidence that is enough for each.

use std::error::Error;

use mcp_startup_core::{Evidence, Recovery, StartupFailure, StartupFailureKind, judge};
use serde::Deserialize;
use serde_json::Value;

use crate::schemas::{description, text, variants};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The file that `StartupFailure::examples` is made of, for what core does not read of it.
const EXAMPLES: &str = include_str!("../../core/src/verdict/examples.json");

#[derive(Deserialize)]
struct Row {
    when: String,
    evidence: Evidence,
}

/// A failure, and the case that it is an example of.
pub struct Example {
    /// The case among those of its kind, or nothing where there is no other.
    pub when: String,
    pub failure: StartupFailure,
}

/// A kind of failure.
pub struct Kind {
    /// Its name on the wire.
    pub name: String,
    pub kind: StartupFailureKind,
    /// Its documentation.
    pub meaning: String,
    /// What mends it: one, or several where that depends on the evidence.
    pub recoveries: Vec<KindRecovery>,
}

/// What mends a kind of failure, with the examples of that.
pub struct KindRecovery {
    /// Its name on the wire.
    pub name: String,
    pub recovery: Recovery,
    /// Its documentation.
    pub meaning: String,
    pub examples: Vec<Example>,
    /// Of the first example what is needed: less of it would be judged otherwise.
    pub least_evidence: Evidence,
}

/// Every kind, in the order in which they are tried; `definitions` are those of the schema of a failure.
pub fn kinds(definitions: &Value) -> Result<Vec<Kind>> {
    let rows: Vec<Row> = serde_json::from_str(EXAMPLES)?;
    let mut rows: Vec<Option<Example>> = rows
        .into_iter()
        .map(|row| {
            Some(Example {
                when: row.when,
                failure: judge(row.evidence),
            })
        })
        .collect();
    variants(&definitions["StartupFailureKind"])?
        .into_iter()
        .map(|(name, meaning)| {
            let kind: StartupFailureKind = serde_json::from_value(name.into())?;
            let mut recoveries: Vec<KindRecovery> = Vec::new();
            for row in &mut rows {
                if let Some(example) = row.take_if(|example| example.failure.kind() == kind) {
                    let recovery = example.failure.recovery();
                    match recoveries.iter_mut().find(|of| of.recovery == recovery) {
                        Some(known) => known.examples.push(example),
                        None => recoveries.push(kind_recovery(definitions, example)?),
                    }
                }
            }
            if recoveries.is_empty() {
                return Err(format!("examples.json has no example of {name}").into());
            }
            Ok(Kind {
                name: name.to_owned(),
                kind,
                meaning: meaning.to_owned(),
                recoveries,
            })
        })
        .collect()
}

fn kind_recovery(definitions: &Value, first: Example) -> Result<KindRecovery> {
    let recovery = first.failure.recovery();
    let name = serde_json::to_value(recovery)?;
    let schemas = definitions["Recovery"]["oneOf"].as_array();
    let schema = schemas
        .into_iter()
        .flatten()
        .find(|schema| schema["const"] == name)
        .ok_or_else(|| format!("{name} has no schema"))?;
    Ok(KindRecovery {
        name: text(&name)?.to_owned(),
        recovery,
        meaning: description(schema)?.to_owned(),
        least_evidence: least_evidence(&first.failure)?,
        examples: vec![first],
    })
}

/// The evidence of a failure without whatever can be left out of it: field for field, the outer ones first.
fn least_evidence(failure: &StartupFailure) -> Result<Evidence> {
    let mut least = serde_json::to_value(failure.evidence())?;
    let is_enough = |value: &Value| {
        serde_json::from_value::<Evidence>(value.clone()).is_ok_and(|evidence| {
            // A field that is written when it is absent too can't be left out.
            let is_left_out = serde_json::to_value(&evidence).is_ok_and(|again| again == *value);
            let judged = judge(evidence);
            is_left_out
                && judged.kind() == failure.kind()
                && judged.recovery() == failure.recovery()
        })
    };
    let mut path = Vec::new();
    shrink(&mut least, &mut path, &is_enough);
    Ok(serde_json::from_value(least)?)
}

/// Takes out, below `path`, each field and item without which the whole is still enough.
fn shrink(whole: &mut Value, path: &mut Vec<String>, is_enough: &dyn Fn(&Value) -> bool) {
    let pointer =
        |path: &[String]| -> String { path.iter().map(|part| format!("/{part}")).collect() };
    let parts: Vec<String> = match whole.pointer(&pointer(path)) {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        // From the end, so that those before it keep their places.
        Some(Value::Array(items)) => (0..items.len()).rev().map(|at| at.to_string()).collect(),
        _ => return,
    };
    for part in parts {
        let mut without = whole.clone();
        match without.pointer_mut(&pointer(path)) {
            Some(Value::Object(fields)) => {
                fields.remove(&part);
            }
            Some(Value::Array(items)) => {
                let at = part.parse().ok().filter(|at| *at < items.len());
                at.map(|at| items.remove(at));
            }
            _ => {}
        }
        if is_enough(&without) {
            *whole = without;
        } else {
            path.push(part);
            shrink(whole, path, is_enough);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::schemas;

    fn all() -> Vec<Kind> {
        kinds(&schemas::startup_failure().unwrap()["definitions"]).unwrap()
    }

    #[test]
    fn every_example_is_of_one_kind_and_is_the_one_that_a_host_is_given() {
        let kinds = all();
        let examples: Vec<_> = kinds
            .iter()
            .flat_map(|kind| &kind.recoveries)
            .flat_map(|recovery| &recovery.examples)
            .map(|example| example.failure.clone())
            .collect();
        assert_eq!(examples, StartupFailure::examples());
    }

    #[test]
    fn several_examples_are_told_from_each_other() {
        for kind in all() {
            for recovery in kind.recoveries {
                let cases: HashSet<_> = recovery.examples.iter().map(|of| &of.when).collect();
                assert_eq!(cases.len(), recovery.examples.len(), "{}", kind.name);
                let has_unnamed = cases.contains(&String::new());
                assert!(!has_unnamed || cases.len() == 1, "{}", kind.name);
            }
        }
    }

    #[test]
    fn the_least_evidence_is_enough_and_less_is_not() {
        let kinds = all();
        let least_of = |name: &str| {
            let kind = kinds.iter().find(|kind| kind.name == name).unwrap();
            let of = kind.recoveries.iter().map(|of| &of.least_evidence);
            of.map(|evidence| serde_json::to_value(evidence).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(least_of("other"), [json!({})]);
        assert_eq!(
            least_of("serverError"),
            [
                json!({ "requests": [{ "to": "mcp", "status": 429 }] }),
                json!({ "requests": [{ "to": "mcp", "status": 307 }] }),
            ]
        );
        assert_eq!(
            least_of("reauthenticationRequired"),
            [json!({
                "credential": { "source": "stored", "worth": { "accessToken": "expired", "refreshToken": false } },
                "requests": [{ "to": "mcp", "credentialSent": "stored", "status": 401 }],
            })]
        );
        for kind in &kinds {
            for recovery in &kind.recoveries {
                let judged = judge(recovery.least_evidence.clone());
                assert_eq!(judged.kind(), kind.kind);
                assert_eq!(judged.recovery(), recovery.recovery);
                assert_eq!(least_evidence(&judged).unwrap(), recovery.least_evidence);
            }
        }
    }
}
