//! The example failures of `crates/core`, grouped by kind and recovery, and the minimal evidence for each group.

use std::error::Error;

use mcp_startup_core::{Evidence, Recovery, StartupFailure, StartupFailureKind, judge};
use serde::Deserialize;
use serde_json::Value;

use crate::generate::core_sources;
use crate::generate::schemas::{description, enum_variants, string};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An entry of `examples.json`.
#[derive(Deserialize)]
struct Row {
    when: String,
    evidence: Evidence,
}

/// An example of a failure.
pub struct Example {
    /// The case that distinguishes the example from others of its kind. Empty if there are no others.
    pub when: String,
    pub failure: StartupFailure,
}

/// A kind of failure with its examples.
pub struct KindExamples {
    /// The name on the wire.
    pub name: String,
    pub kind: StartupFailureKind,
    /// The documentation of the kind.
    pub meaning: String,
    /// The recoveries. There are several if the recovery depends on the evidence.
    pub recoveries: Vec<RecoveryExamples>,
}

/// A recovery of a kind of failure with its examples.
pub struct RecoveryExamples {
    /// The name on the wire.
    pub name: String,
    pub recovery: Recovery,
    /// The documentation of the recovery.
    pub meaning: String,
    pub examples: Vec<Example>,
    /// The evidence of the first example without everything that does not change its kind and recovery.
    pub minimal_evidence: Evidence,
}

/// Returns every kind in the order in which `judge` tries them. `definitions` are those of the schema of a failure.
///
/// # Errors
/// Fails if a kind has no example.
pub fn examples_by_kind(definitions: &Value) -> Result<Vec<KindExamples>> {
    let rows: Vec<Row> = serde_json::from_str(core_sources::FAILURE_EXAMPLES)?;
    let mut rows: Vec<Option<Example>> = rows
        .into_iter()
        .map(|row| {
            Some(Example {
                when: row.when,
                failure: judge(row.evidence),
            })
        })
        .collect();
    enum_variants(&definitions["StartupFailureKind"])?
        .into_iter()
        .map(|(name, meaning)| {
            let kind: StartupFailureKind = serde_json::from_value(name.into())?;
            let mut recoveries: Vec<RecoveryExamples> = Vec::new();
            for row in &mut rows {
                if let Some(example) = row.take_if(|example| example.failure.kind() == kind) {
                    let recovery = example.failure.recovery();
                    match recoveries
                        .iter_mut()
                        .find(|known| known.recovery == recovery)
                    {
                        Some(known) => known.examples.push(example),
                        None => recoveries.push(recovery_examples(definitions, example)?),
                    }
                }
            }
            if recoveries.is_empty() {
                return Err(format!("examples.json has no example of {name}").into());
            }
            Ok(KindExamples {
                name: name.to_owned(),
                kind,
                meaning: meaning.to_owned(),
                recoveries,
            })
        })
        .collect()
}

fn recovery_examples(definitions: &Value, first: Example) -> Result<RecoveryExamples> {
    let recovery = first.failure.recovery();
    let name = serde_json::to_value(recovery)?;
    let schemas = definitions["Recovery"]["oneOf"].as_array();
    let schema = schemas
        .into_iter()
        .flatten()
        .find(|schema| schema["const"] == name)
        .ok_or_else(|| format!("{name} has no schema"))?;
    Ok(RecoveryExamples {
        name: string(&name)?.to_owned(),
        recovery,
        meaning: description(schema)?.to_owned(),
        minimal_evidence: minimal_evidence(&first.failure)?,
        examples: vec![first],
    })
}

/// Returns the evidence of a failure without the parts that do not change its kind and recovery. Outer fields are removed
/// first.
fn minimal_evidence(failure: &StartupFailure) -> Result<Evidence> {
    let mut minimal = serde_json::to_value(failure.evidence())?;
    let is_sufficient = |value: &Value| {
        serde_json::from_value::<Evidence>(value.clone()).is_ok_and(|evidence| {
            // A field that is serialized even if it is absent cannot be removed.
            let is_removed = serde_json::to_value(&evidence).is_ok_and(|again| again == *value);
            let judged = judge(evidence);
            is_removed && judged.kind() == failure.kind() && judged.recovery() == failure.recovery()
        })
    };
    let mut path = Vec::new();
    minimize(&mut minimal, &mut path, &is_sufficient);
    Ok(serde_json::from_value(minimal)?)
}

/// Removes each field and item below `path` without which the whole value is still sufficient.
fn minimize(whole: &mut Value, path: &mut Vec<String>, is_sufficient: &dyn Fn(&Value) -> bool) {
    let pointer =
        |path: &[String]| -> String { path.iter().map(|part| format!("/{part}")).collect() };
    let parts: Vec<String> = match whole.pointer(&pointer(path)) {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        // From the end, so that the remaining indexes stay valid.
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
        if is_sufficient(&without) {
            *whole = without;
        } else {
            path.push(part);
            minimize(whole, path, is_sufficient);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::generate::schemas;

    fn all() -> Vec<KindExamples> {
        examples_by_kind(&schemas::startup_failure().unwrap()["definitions"]).unwrap()
    }

    #[test]
    fn every_example_has_a_kind_and_equals_the_public_one() {
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
    fn examples_of_one_kind_have_different_cases() {
        for kind in all() {
            for recovery in kind.recoveries {
                let cases: HashSet<_> = recovery
                    .examples
                    .iter()
                    .map(|example| &example.when)
                    .collect();
                assert_eq!(cases.len(), recovery.examples.len(), "{}", kind.name);
                let has_unnamed = cases.contains(&String::new());
                assert!(!has_unnamed || cases.len() == 1, "{}", kind.name);
            }
        }
    }

    #[test]
    fn the_minimal_evidence_is_sufficient_and_less_is_not() {
        let kinds = all();
        let minimal_of = |name: &str| {
            let kind = kinds.iter().find(|kind| kind.name == name).unwrap();
            let recoveries = kind.recoveries.iter();
            let evidence = recoveries.map(|recovery| &recovery.minimal_evidence);
            evidence
                .map(|evidence| serde_json::to_value(evidence).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(minimal_of("other"), [json!({})]);
        assert_eq!(
            minimal_of("serverError"),
            [
                json!({ "requests": [{ "to": "mcp", "status": 429 }] }),
                json!({ "requests": [{ "to": "mcp", "status": 307 }] }),
            ]
        );
        assert_eq!(
            minimal_of("reauthenticationRequired"),
            [json!({
                "credential": { "source": "stored", "worth": { "accessToken": "expired", "refreshToken": false } },
                "requests": [{ "to": "mcp", "credentialSent": "stored", "status": 401 }],
            })]
        );
        for kind in &kinds {
            for recovery in &kind.recoveries {
                let judged = judge(recovery.minimal_evidence.clone());
                assert_eq!(judged.kind(), kind.kind);
                assert_eq!(judged.recovery(), recovery.recovery);
                assert_eq!(
                    minimal_evidence(&judged).unwrap(),
                    recovery.minimal_evidence
                );
            }
        }
    }
}
