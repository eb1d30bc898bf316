//! The types as any language declares them: enums of texts, and structs. Read from the documented schemas, so that the types of
//! `crates/core` stay the only definition.

use std::error::Error;

use mcp_startup_core::{
    AccessTokenWorth, CredentialFacts, CredentialWorth, DecodeErrorKind, FirstRequest,
    McpAuthStatus,
};
use serde_json::Value;

use crate::{field_order, schemas};

/// The two enums of the contract, which a newer server may send more of.
const OPEN: [&str; 2] = ["McpServerStartupState", "McpServerStartupFailureReason"];

/// A type that a language declares. (The notification is none of them: each language has a class for it that can't be built wrong.)
pub struct Declared {
    pub name: String,
    /// What it means, in paragraphs.
    pub documentation: String,
    pub shape: Shape,
}

pub enum Shape {
    /// Texts of the wire, each with what it means; an open one has others too.
    Enum {
        values: Vec<(String, String)>,
        is_open: bool,
    },
    /// In the order of their declaration.
    Struct(Vec<Field>),
}

pub struct Field {
    /// Its name on the wire.
    pub name: String,
    pub documentation: String,
    pub kind: Kind,
    /// What it is where it is absent; `None`: it is never absent.
    pub absent: Option<Absent>,
}

pub enum Kind {
    Text,
    Integer,
    Boolean,
    Named(String),
    List(Box<Kind>),
}

pub enum Absent {
    Nothing,
    False,
    EmptyList,
    /// A value of its enum, as the wire has it.
    Value(String),
}

/// Every type but the notification. One that another mentions as a default stands before it.
pub fn declared() -> Result<Vec<Declared>, Box<dyn Error>> {
    let mut all: Vec<(String, Value)> = Vec::new();
    let notification = schemas::documented_notification()?;
    for name in OPEN {
        all.push((name.to_owned(), notification["definitions"][name].clone()));
    }
    let failure = schemas::startup_failure()?;
    let definitions = failure["definitions"].as_object();
    let mut definitions: Vec<_> = definitions.ok_or("no definitions")?.iter().collect();
    definitions.sort_by_key(|(name, _)| name.as_str());
    for (name, schema) in definitions {
        all.push((name.clone(), schema.clone()));
    }
    for (name, schema) in [
        ("CredentialFacts", schemas::documented::<CredentialFacts>()?),
        ("CredentialWorth", schemas::documented::<CredentialWorth>()?),
        (
            "AccessTokenWorth",
            schemas::documented::<AccessTokenWorth>()?,
        ),
        ("FirstRequest", schemas::documented::<FirstRequest>()?),
        ("McpAuthStatus", schemas::documented::<McpAuthStatus>()?),
        ("DecodeErrorKind", schemas::documented::<DecodeErrorKind>()?),
    ] {
        if !all.iter().any(|(known, _)| known == name) {
            all.push((name.to_owned(), schema));
        }
    }
    all.push(("StartupFailure".to_owned(), failure));
    all.sort_by_key(|(_, schema)| schema["properties"].is_object());
    all.iter()
        .map(|(name, schema)| {
            let shape = match schema["properties"].is_object() {
                true => Shape::Struct(fields(name, schema)?),
                false => Shape::Enum {
                    values: schemas::variants(schema)?
                        .into_iter()
                        .map(|(value, meaning)| (value.to_owned(), meaning.to_owned()))
                        .collect(),
                    is_open: OPEN.contains(&name.as_str()),
                },
            };
            Ok(Declared {
                name: name.clone(),
                documentation: schemas::description(schema)?.to_owned(),
                shape,
            })
        })
        .collect()
}

fn fields(name: &str, schema: &Value) -> Result<Vec<Field>, Box<dyn Error>> {
    let required = schema["required"].as_array();
    let names = field_order::of(name)?.into_iter();
    names
        .map(|field| {
            let property = &schema["properties"][&field];
            let (kind, is_nullable) = kind(property)?;
            let is_required = required.is_some_and(|names| names.contains(&field.as_str().into()));
            let absent = match (&property["default"], &kind) {
                _ if is_nullable => Some(Absent::Nothing),
                (Value::Null, _) if is_required => None,
                (Value::Null, Kind::List(_)) => Some(Absent::EmptyList),
                (Value::Bool(false), _) => Some(Absent::False),
                (Value::String(value), Kind::Named(_)) => Some(Absent::Value(value.clone())),
                (other, _) => return Err(format!("{name}.{field}: default {other}").into()),
            };
            Ok(Field {
                documentation: schemas::description(property)?.to_owned(),
                name: field,
                kind,
                absent,
            })
        })
        .collect()
}

/// The kind of a field, and whether null may stand there.
fn kind(property: &Value) -> Result<(Kind, bool), Box<dyn Error>> {
    let unknown = || format!("no type for {property}");
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.rsplit('/').next().ok_or_else(unknown)?;
        return Ok((Kind::Named(name.to_owned()), false));
    }
    for (key, is_nullable) in [("allOf", false), ("anyOf", true)] {
        if let Some(alternatives) = property[key].as_array() {
            let (kind, _) = kind(&alternatives[0])?;
            return Ok((kind, is_nullable));
        }
    }
    let (name, is_nullable) = match &property["type"] {
        Value::String(name) => (name.as_str(), false),
        Value::Array(names) => (
            names.first().and_then(Value::as_str).ok_or_else(unknown)?,
            names.iter().any(|name| name == "null"),
        ),
        _ => return Err(unknown().into()),
    };
    let kind = match name {
        "string" => Kind::Text,
        "integer" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "array" => Kind::List(Box::new(kind(&property["items"])?.0)),
        _ => return Err(unknown().into()),
    };
    Ok((kind, is_nullable))
}

/// `storedIssuer` as `stored_issuer`; `oAuth`, which is written in its own way, as `oauth`.
pub fn snake_case(name: &str) -> String {
    if name == "oAuth" {
        return "oauth".to_owned();
    }
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
