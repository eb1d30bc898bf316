//! Arguments for the tools of the suite.

use mcp_startup::rmcp::model::JsonObject;
use serde_json::{Value, json};

/// A value for each required property of a tool's input schema.
pub fn for_schema(schema: &JsonObject) -> JsonObject {
    let required = schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    let properties = schema.get("properties");
    names
        .map(|name| {
            let property = properties.and_then(|all| all.get(name));
            (name.to_owned(), value_of(property.unwrap_or(&Value::Null)))
        })
        .collect()
}

fn value_of(property: &Value) -> Value {
    match property["type"].as_str() {
        Some("integer" | "number") => json!(3),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        Some("null") => Value::Null,
        _ => json!("text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_properties_get_a_value_of_their_type() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": { "type": "number" },
                "b": { "type": "string" },
                "c": { "type": "boolean" },
                "optional": { "type": "string" }
            },
            "required": ["a", "b", "c", "undeclared"]
        });
        let arguments = for_schema(schema.as_object().expect("an object"));
        let expected = json!({ "a": 3, "b": "text", "c": true, "undeclared": "text" });
        assert_eq!(Value::from(arguments), expected);
    }
}
