//! The JSON Schemas (draft-07) of the types.

use std::collections::BTreeMap;
use std::error::Error;

use mcp_startup_core::{Evidence, McpServerStatusUpdatedNotification, StartupFailure};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::documentation;

/// The closed schema of the notification's params, which other implementations share: no descriptions, and each enum as
/// the list of its values.
pub fn notification() -> Result<Value, Box<dyn Error>> {
    let mut schema = derived::<McpServerStatusUpdatedNotification>();
    everywhere(&mut schema, &|object| {
        object.remove("description");
        if let Some(values) = enum_values(object) {
            object.remove("oneOf");
            object.insert("enum".to_owned(), values.into());
            object.insert("type".to_owned(), "string".into());
        }
    });
    Ok(schema)
}

/// The same for reading: a newer server may send a state or a reason that is not in the list.
pub fn lenient_notification() -> Result<Value, Box<dyn Error>> {
    let mut schema = notification()?;
    everywhere(&mut schema, &|object| {
        if let (Some(values), Some(kind)) = (object.remove("enum"), object.get("type").cloned()) {
            object.remove("type");
            let known = json!({ "enum": values, "type": kind });
            let unknown = json!({ "type": kind });
            object.insert("anyOf".to_owned(), json!([known, unknown]));
        }
    });
    schema
        .as_object_mut()
        .ok_or("the schema is not an object")?
        .insert(
            "description".to_owned(),
            "The lenient form, for reading: a state or a reason from a newer server may be any text, and fields that are not \
             named here are let pass. For writing there is the closed form without `.lenient` in its name."
                .into(),
        );
    Ok(schema)
}

/// The evidence of a failed start.
pub fn evidence() -> Result<Value, Box<dyn Error>> {
    documented::<Evidence>()
}

/// The verdict on a failed start.
pub fn startup_failure() -> Result<Value, Box<dyn Error>> {
    let mut schema = documented::<StartupFailure>()?;
    let accessors =
        documentation::of_accessors(include_str!("../../core/src/verdict.rs"), "StartupFailure")?;
    describe_properties(&mut schema, &accessors)?;
    Ok(schema)
}

/// The notification with all documentation, for the page and TypeScript: the committed schema has none.
pub fn documented_notification() -> Result<Value, Box<dyn Error>> {
    let mut schema = documented::<McpServerStatusUpdatedNotification>()?;
    let accessors = documentation::of_accessors(
        include_str!("../../core/src/notification.rs"),
        "McpServerStatusUpdatedNotification",
    )?;
    describe_properties(&mut schema, &accessors)?;
    Ok(schema)
}

/// The schema of a type with its documentation as descriptions, in the words of the wire.
pub fn documented<T: JsonSchema>() -> Result<Value, Box<dyn Error>> {
    let mut schema = derived::<T>();
    everywhere(&mut schema, &|object| {
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = documentation::in_wire_words(description);
        }
    });
    Ok(schema)
}

/// The texts of an enum, where the schema is one.
fn enum_values(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    let variants = schema.get("oneOf")?.as_array()?;
    variants
        .iter()
        .map(|variant| {
            variant
                .get("const")
                .filter(|value| value.is_string())
                .cloned()
        })
        .collect()
}

/// A schema as a file, its keys sorted: whether `serde_json` keeps their order depends on what else is being built.
pub fn to_text(schema: &Value) -> Result<String, Box<dyn Error>> {
    let mut schema = schema.clone();
    schema.sort_all_objects();
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// The values of an enum and what they mean.
pub fn variants(schema: &Value) -> Result<Vec<(&str, &str)>, Box<dyn Error>> {
    let variants = schema["oneOf"]
        .as_array()
        .ok_or_else(|| format!("no documented enum: {schema}"))?;
    variants
        .iter()
        .map(|variant| Ok((text(&variant["const"])?, description(variant)?)))
        .collect()
}

/// What a schema says of its type, field or value.
pub fn description(schema: &Value) -> Result<&str, Box<dyn Error>> {
    schema["description"]
        .as_str()
        .ok_or_else(|| format!("no documentation: {schema}").into())
}

/// A value that is a text.
pub fn text(value: &Value) -> Result<&str, Box<dyn Error>> {
    value
        .as_str()
        .ok_or_else(|| format!("not a text: {value}").into())
}

fn derived<T: JsonSchema>() -> Value {
    SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Gives each property without a description the one of its name.
fn describe_properties(
    schema: &mut Value,
    descriptions: &BTreeMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    let properties = schema["properties"]
        .as_object_mut()
        .ok_or("the schema has no properties")?;
    for (name, property) in properties {
        let property = property.as_object_mut().ok_or("a property is no object")?;
        if property.contains_key("description") {
            continue;
        }
        let description = descriptions
            .get(name)
            .ok_or_else(|| format!("the accessor of `{name}` has no documentation"))?;
        // In draft-07 nothing beside a `$ref` counts.
        if let Some(reference) = property.remove("$ref") {
            property.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
        }
        property.insert("description".to_owned(), description.as_str().into());
    }
    Ok(())
}

/// Calls `change` with every object in a schema, the inner ones first. A map of names (`properties`, `definitions`) is no
/// schema: a property may be called `description`.
fn everywhere(schema: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| everywhere(item, change)),
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::Object(named)
                        if matches!(key.as_str(), "properties" | "definitions") =>
                    {
                        named
                            .values_mut()
                            .for_each(|value| everywhere(value, change));
                    }
                    _ => everywhere(value, change),
                }
            }
            change(object);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notification_has_the_schema_that_is_shared() {
        let shared =
            include_str!("../../../tests/fixtures/McpServerStatusUpdatedNotification.json");
        let shared: Value = serde_json::from_str(shared).unwrap();
        assert_eq!(notification().unwrap(), shared);
    }

    #[test]
    fn the_lenient_form_lets_any_text_pass_and_still_names_the_known_ones() {
        let closed = notification().unwrap();
        let mut lenient = lenient_notification().unwrap();
        assert_eq!(
            lenient["definitions"]["McpServerStartupFailureReason"],
            json!({ "anyOf": [
                { "enum": ["reauthenticationRequired"], "type": "string" },
                { "type": "string" },
            ] })
        );
        assert_eq!(
            lenient["definitions"]["McpServerStartupState"],
            json!({ "anyOf": [
                { "enum": ["starting", "ready", "failed", "cancelled"], "type": "string" },
                { "type": "string" },
            ] })
        );
        // Nothing else differs: two fields are required, and others are let pass.
        lenient.as_object_mut().unwrap().remove("description");
        lenient["definitions"] = closed["definitions"].clone();
        assert_eq!(lenient, closed);
        assert_eq!(lenient["required"], json!(["name", "status"]));
        assert_eq!(lenient.get("additionalProperties"), None);
    }

    #[test]
    fn everything_in_the_documented_schemas_is_described() {
        fn assert_described(place: &str, schema: &Value) {
            assert!(
                schema["description"].is_string(),
                "{place} has no description"
            );
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{place}.{name}");
            }
            for variant in schema["oneOf"].as_array().into_iter().flatten() {
                assert!(variant["description"].is_string(), "{place}: {variant}");
            }
        }
        for schema in [
            evidence().unwrap(),
            startup_failure().unwrap(),
            documented_notification().unwrap(),
        ] {
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
            assert_described("the root", &schema);
            for (name, definition) in schema["definitions"].as_object().unwrap() {
                assert_described(name, definition);
            }
        }
    }

    #[test]
    fn a_property_called_description_stays() {
        let mut schema =
            json!({ "description": "…", "properties": { "description": { "type": "string" } } });
        everywhere(&mut schema, &|object| {
            object.remove("description");
        });
        assert_eq!(
            schema,
            json!({ "properties": { "description": { "type": "string" } } })
        );
    }
}
