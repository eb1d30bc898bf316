//! A section for a type: its documentation, and a table of its fields or values.

use std::fmt::Write;

use serde_json::Value;

use super::Result;
use crate::generate::field_order;
use crate::generate::pages::markdown::{code, table_row};
use crate::generate::schemas::{description, enum_variants};

/// Appends a section of level 3 for an enum. `column` is the title of the column with its values.
pub fn enum_section(page: &mut String, name: &str, schema: &Value, column: &str) -> Result<()> {
    page.push('\n');
    type_section(page, "###", name, schema, column)
}

/// Appends a section for a type. `heading` is the prefix of the heading, for example `###`. `column` is the title of the
/// column with the values of an enum.
pub fn type_section(
    page: &mut String,
    heading: &str,
    name: &str,
    schema: &Value,
    column: &str,
) -> Result<()> {
    write!(page, "{heading} {name}\n\n{}\n\n", description(schema)?)?;
    if schema["properties"].is_object() {
        page.push_str("| Field | Type | Meaning |\n| --- | --- | --- |\n");
        for field in field_order::field_names(name)? {
            let property = &schema["properties"][&field];
            table_row(
                page,
                &[
                    &code(&field),
                    &property_type(property)?,
                    description(property)?,
                ],
            )?;
        }
    } else {
        writeln!(page, "| {column} | Meaning |\n| --- | --- |")?;
        for (value, meaning) in enum_variants(schema)? {
            table_row(page, &[&code(value), meaning])?;
        }
    }
    Ok(())
}

/// Returns the type of a property and its default. Does not show whether it may be null, see [`is_nullable`].
pub fn property_type(property: &Value) -> Result<String> {
    let type_ = match &property["type"] {
        Value::Array(types) => types.iter().find(|type_| *type_ != "null"),
        type_ => Some(type_),
    };
    let type_ = match (type_.and_then(Value::as_str), reference(property)) {
        (Some("array"), _) => format!("list of {}", property_type(&property["items"])?),
        (_, Some(name)) => format!("[`{name}`](#{})", name.to_lowercase()),
        (Some(type_), None) => type_.to_owned(),
        (None, None) => return Err(format!("no type: {property}").into()),
    };
    Ok(match property.get("default") {
        None => type_,
        Some(Value::String(default)) => format!("{type_}, default `{default}`"),
        Some(default) => format!("{type_}, default `{default}`"),
    })
}

/// Returns whether a property may be null.
pub fn is_nullable(property: &Value) -> bool {
    let contains = |values: &Value, null: &Value| {
        values
            .as_array()
            .is_some_and(|values| values.contains(null))
    };
    contains(&property["type"], &"null".into())
        || contains(&property["anyOf"], &serde_json::json!({ "type": "null" }))
}

/// Returns the name of the type that a property refers to: directly, in `allOf` or `anyOf`, or as the type of its items.
pub fn reference(property: &Value) -> Option<&str> {
    if let Some(path) = property["$ref"].as_str() {
        return path.strip_prefix("#/definitions/");
    }
    let alternatives = property["allOf"]
        .as_array()
        .or(property["anyOf"].as_array());
    alternatives
        .into_iter()
        .flatten()
        .chain(property.get("items"))
        .find_map(reference)
}
