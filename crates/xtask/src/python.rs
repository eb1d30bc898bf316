//! The types in Python: enums of texts, and frozen dataclasses.

use std::error::Error;
use std::fmt::Write;

use mcp_startup_core::{
    AccessTokenWorth, CredentialFacts, CredentialWorth, DecodeErrorKind, FirstRequest,
    McpAuthStatus,
};
use serde_json::Value;

use crate::{field_order, schemas};

/// The two enums of the contract, which a newer server may send more of.
const OPEN: [&str; 2] = ["McpServerStartupState", "McpServerStartupFailureReason"];

/// One module with every type that is no class of the native module.
pub fn types() -> Result<String, Box<dyn Error>> {
    let mut module = String::from(
        "# Generated from the Rust types by `cargo xtask generate`. Do not edit it by hand.\n\
         \"\"\"The types of the contract and of the verdict.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         import dataclasses\n\n\
         from ._wire import OpenWireEnum, WireEnum\n",
    );
    let mut all = Vec::new();
    let notification = schemas::documented_notification()?;
    for name in OPEN {
        all.push((name.to_owned(), notification["definitions"][name].clone()));
    }
    let failure = schemas::startup_failure()?;
    let mut definitions: Vec<(&String, &Value)> = failure["definitions"]
        .as_object()
        .ok_or("the schema has no definitions")?
        .iter()
        .collect();
    definitions.sort_by_key(|(name, _)| name.as_str());
    all.extend(
        definitions
            .into_iter()
            .map(|(name, schema)| (name.clone(), schema.clone())),
    );
    let others = [
        ("CredentialFacts", schemas::documented::<CredentialFacts>()?),
        ("CredentialWorth", schemas::documented::<CredentialWorth>()?),
        (
            "AccessTokenWorth",
            schemas::documented::<AccessTokenWorth>()?,
        ),
        ("FirstRequest", schemas::documented::<FirstRequest>()?),
        ("McpAuthStatus", schemas::documented::<McpAuthStatus>()?),
        ("DecodeErrorKind", schemas::documented::<DecodeErrorKind>()?),
    ];
    for (name, schema) in others {
        if !all.iter().any(|(known, _)| known == name) {
            all.push((name.to_owned(), schema));
        }
    }
    all.push(("StartupFailure".to_owned(), failure));
    // A default is a value of its type, which must stand above.
    all.sort_by_key(|(_, schema)| schema["properties"].is_object());
    for (name, schema) in &all {
        module.push_str("\n\n");
        module.push_str(&match schema["properties"].is_object() {
            true => dataclass(name, schema)?,
            false => enumeration(name, schema)?,
        });
    }
    Ok(module)
}

fn enumeration(name: &str, schema: &Value) -> Result<String, Box<dyn Error>> {
    let base = match OPEN.contains(&name) {
        true => "OpenWireEnum",
        false => "WireEnum",
    };
    let mut class = format!(
        "class {name}({base}):\n    \"\"\"{}\"\"\"\n",
        paragraphs(schemas::description(schema)?)
    );
    for (value, meaning) in schemas::variants(schema)? {
        let member = match value {
            // Its own way to be written.
            "oAuth" => "OAUTH".to_owned(),
            value => snake_case(value).to_ascii_uppercase(),
        };
        write!(
            class,
            "\n    {member} = \"{value}\"\n    \"\"\"{}\"\"\"\n",
            paragraphs(meaning)
        )?;
    }
    Ok(class)
}

fn dataclass(name: &str, schema: &Value) -> Result<String, Box<dyn Error>> {
    let mut class = format!(
        "@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)\nclass {name}:\n    \"\"\"{}\"\"\"\n",
        paragraphs(schemas::description(schema)?)
    );
    for field in field_order::of(name)? {
        let property = &schema["properties"][&field];
        let (annotation, is_optional) = annotation(property)?;
        let required = schema["required"].as_array();
        let is_required = required.is_some_and(|names| names.contains(&field.as_str().into()));
        let default = match (&property["default"], is_optional) {
            (_, true) => " = None".to_owned(),
            (Value::Null, false) if is_required => String::new(),
            (Value::Null, false) if property["type"] == "array" => " = ()".to_owned(),
            (Value::Bool(false), false) => " = False".to_owned(),
            (Value::String(text), false) => {
                format!(" = {annotation}.{}", snake_case(text).to_ascii_uppercase())
            }
            (other, false) => return Err(format!("{name}.{field}: default {other}").into()),
        };
        write!(
            class,
            "\n    {}: {annotation}{}{default}\n    \"\"\"{}\"\"\"\n",
            snake_case(&field),
            if is_optional { " | None" } else { "" },
            paragraphs(schemas::description(property)?)
        )?;
    }
    Ok(class)
}

/// The annotation of a field, and whether it may be absent.
fn annotation(property: &Value) -> Result<(String, bool), Box<dyn Error>> {
    let unknown = || format!("no Python type for {property}");
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.rsplit('/').next().ok_or_else(unknown)?;
        return Ok((name.to_owned(), false));
    }
    for (key, optional) in [("allOf", false), ("anyOf", true)] {
        if let Some(alternatives) = property[key].as_array() {
            let (annotation, _) = annotation(&alternatives[0])?;
            return Ok((annotation, optional));
        }
    }
    let (kind, optional) = match &property["type"] {
        Value::String(kind) => (kind.as_str(), false),
        Value::Array(kinds) => (
            kinds.first().and_then(Value::as_str).ok_or_else(unknown)?,
            kinds.iter().any(|kind| kind == "null"),
        ),
        _ => return Err(unknown().into()),
    };
    let annotation = match kind {
        "string" => "str".to_owned(),
        "integer" => "int".to_owned(),
        "boolean" => "bool".to_owned(),
        "array" => format!("tuple[{}, ...]", annotation(&property["items"])?.0),
        _ => return Err(unknown().into()),
    };
    Ok((annotation, optional))
}

/// A docstring's text: its paragraphs, without what would end it.
fn paragraphs(text: &str) -> String {
    let text = text.replace("`null`", "`None`");
    let text = text.replace('\\', "\\\\").replace("\"\"\"", "'''");
    let text = match text.ends_with('"') {
        true => text + " ",
        false => text,
    };
    text.replace("\n\n", "\n\n    ")
}

/// `storedIssuer` as `stored_issuer`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_schemas_is_a_class() {
        let module = types().unwrap();
        let failure = schemas::startup_failure().unwrap();
        for name in failure["definitions"].as_object().unwrap().keys() {
            assert!(module.contains(&format!("\nclass {name}")), "{name}");
        }
        for line in [
            "class McpServerStartupState(OpenWireEnum):",
            "    REAUTHENTICATION_REQUIRED = \"reauthenticationRequired\"",
            "    OAUTH = \"oAuth\"",
            "    stored_issuer: str | None = None",
            "    requests: tuple[RequestEvidence, ...] = ()",
            "    access_token: AccessTokenWorth = AccessTokenWorth.ABSENT",
            "    kind: StartupFailureKind",
        ] {
            assert!(
                module.lines().any(|found| found == line),
                "{line}\n{module}"
            );
        }
    }
}
