//! The types of the contract and of the verdict, independent of a language: enums of strings, and structs. They are read from
//! the documented schemas, so that the types of `crates/core` are the only definition.

use std::error::Error;

use mcp_startup_core::{
    AccessTokenWorth, CredentialFacts, CredentialWorth, DecodeErrorKind, FirstRequest,
    McpAuthRequiredReason, McpAuthStatus, McpServerConnectionStatus, StartupWarning,
    StartupWarningKind,
};
use serde_json::Value;

use crate::generate::{field_order, schemas};

/// The enums of the contract. A newer server may send values that this version does not know.
const OPEN_ENUMS: [&str; 2] = ["McpServerStartupState", "McpServerStartupFailureReason"];

/// A type that a language declares.
///
/// The notification is not one of them. Each language has a handwritten class for it that cannot hold an invalid
/// combination.
pub struct TypeDeclaration {
    pub name: String,
    /// The documentation, in paragraphs.
    pub documentation: String,
    pub shape: Shape,
}

pub enum Shape {
    Enum {
        /// The values on the wire and their documentation.
        values: Vec<(String, String)>,
        /// Whether a newer server may send other values.
        is_open: bool,
    },
    /// The fields in the order of their declaration.
    Struct(Vec<Field>),
}

pub struct Field {
    /// The name on the wire.
    pub name: String,
    pub documentation: String,
    pub field_type: FieldType,
    /// The value if the field is absent. `None` if it is never absent.
    pub default: Option<DefaultValue>,
}

pub enum FieldType {
    String,
    Integer,
    Boolean,
    Named(String),
    List(Box<FieldType>),
}

pub enum DefaultValue {
    Null,
    False,
    EmptyList,
    /// A value of an enum, as on the wire.
    EnumValue(String),
}

/// Returns every type except the notification. Enums come before structs, which use their values as defaults.
pub fn type_declarations() -> Result<Vec<TypeDeclaration>, Box<dyn Error>> {
    let mut all: Vec<(String, Value)> = Vec::new();
    let notification = schemas::documented_notification()?;
    for name in OPEN_ENUMS {
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
        ("StartupWarning", schemas::documented::<StartupWarning>()?),
        (
            "StartupWarningKind",
            schemas::documented::<StartupWarningKind>()?,
        ),
        ("FirstRequest", schemas::documented::<FirstRequest>()?),
        ("McpAuthStatus", schemas::documented::<McpAuthStatus>()?),
        (
            "McpServerConnectionStatus",
            schemas::documented::<McpServerConnectionStatus>()?,
        ),
        (
            "McpAuthRequiredReason",
            schemas::documented::<McpAuthRequiredReason>()?,
        ),
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
                    values: schemas::enum_variants(schema)?
                        .into_iter()
                        .map(|(value, meaning)| (value.to_owned(), meaning.to_owned()))
                        .collect(),
                    is_open: OPEN_ENUMS.contains(&name.as_str()),
                },
            };
            Ok(TypeDeclaration {
                name: name.clone(),
                documentation: schemas::description(schema)?.to_owned(),
                shape,
            })
        })
        .collect()
}

fn fields(name: &str, schema: &Value) -> Result<Vec<Field>, Box<dyn Error>> {
    let required = schema["required"].as_array();
    let names = field_order::field_names(name)?;
    let properties = schema["properties"].as_object();
    let unordered = properties
        .into_iter()
        .flat_map(|properties| properties.keys())
        .find(|property| !names.contains(property));
    if let Some(property) = unordered {
        return Err(format!("{name}.{property} is not in the order of its fields").into());
    }
    names
        .into_iter()
        .map(|field| {
            let property = &schema["properties"][&field];
            let (field_type, is_nullable) = field_type(property)?;
            let is_required = required.is_some_and(|names| names.contains(&field.as_str().into()));
            let default = match (&property["default"], &field_type) {
                _ if is_nullable => Some(DefaultValue::Null),
                (Value::Null, _) if is_required => None,
                (Value::Null, FieldType::List(_)) => Some(DefaultValue::EmptyList),
                (Value::Bool(false), _) => Some(DefaultValue::False),
                (Value::String(value), FieldType::Named(_)) => {
                    Some(DefaultValue::EnumValue(value.clone()))
                }
                (other, _) => return Err(format!("{name}.{field}: default {other}").into()),
            };
            Ok(Field {
                documentation: schemas::description(property)?.to_owned(),
                name: field,
                field_type,
                default,
            })
        })
        .collect()
}

/// Returns the type of a property, and whether it may be null.
fn field_type(property: &Value) -> Result<(FieldType, bool), Box<dyn Error>> {
    let unknown = || format!("unknown type: {property}");
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.rsplit('/').next().ok_or_else(unknown)?;
        return Ok((FieldType::Named(name.to_owned()), false));
    }
    for (key, is_nullable) in [("allOf", false), ("anyOf", true)] {
        if let Some(alternatives) = property[key].as_array() {
            let (inner, _) = field_type(&alternatives[0])?;
            return Ok((inner, is_nullable));
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
    let found = match name {
        "string" => FieldType::String,
        "integer" => FieldType::Integer,
        "boolean" => FieldType::Boolean,
        "array" => FieldType::List(Box::new(field_type(&property["items"])?.0)),
        _ => return Err(unknown().into()),
    };
    Ok((found, is_nullable))
}

/// Converts a camelCase name to snake_case, for example `storedIssuer` to `stored_issuer`. `oAuth` becomes `oauth`.
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
