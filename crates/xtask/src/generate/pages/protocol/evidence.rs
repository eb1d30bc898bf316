//! The evidence of a failed start, with the types of its fields.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Result;
use super::type_sections::{reference, type_section};
use crate::generate::{field_order, schemas};

/// Returns the section as Markdown.
pub fn section() -> Result<String> {
    let schema = schemas::evidence()?;
    let mut page = String::new();
    type_section(&mut page, "##", "Evidence", &schema, "Value")?;
    let mut seen = BTreeSet::new();
    nested_types(
        &mut page,
        "Evidence",
        &schema,
        &schema["definitions"],
        &mut seen,
    )?;
    Ok(page)
}

/// Appends the types of the fields of a type, depth first and in the order of the fields. Each type appears once.
fn nested_types(
    page: &mut String,
    name: &str,
    schema: &Value,
    definitions: &Value,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    if !schema["properties"].is_object() {
        return Ok(());
    }
    for field in field_order::field_names(name)? {
        let Some(nested) = reference(&schema["properties"][&field]) else {
            continue;
        };
        if seen.insert(nested.to_owned()) {
            let definition = &definitions[nested];
            page.push('\n');
            type_section(page, "###", nested, definition, "Value")?;
            nested_types(page, nested, definition, definitions, seen)?;
        }
    }
    Ok(())
}
