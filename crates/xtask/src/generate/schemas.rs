//! The JSON Schemas (draft-07) of the types of `crates/core`, the messages of `crates/app-server` and the documents of `crates/cli`, and
//! access to their parts.

use std::collections::BTreeMap;
use std::error::Error;

use mcp_startup_app_server::protocol::startup::{
    AuthenticateParams, CancelResponse, ClientsListResponse, EmptyResponse, FailureReadResponse,
    FailureUpdatedNotification, LoginCancelParams, RequestCancelParams, ServerParams,
    ServersListResponse, ServersUpdatedNotification, SignedOut, ToolCallProgressNotification,
};
use mcp_startup_cli::documents::{
    CheckReport, DryRunReport, Explanation, FileReport, FollowReport, StatusReport, StoreReport,
};
use mcp_startup_core::{Evidence, McpServerStatusUpdatedNotification, StartupFailure};
use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::generate::{core_sources, documentation};

/// Returns the strict schema of the notification's params, for writing. Other implementations use the same schema: it has no
/// descriptions, and each enum is a list of its values.
pub fn notification() -> Result<Value, Box<dyn Error>> {
    let mut schema = derive_schema::<McpServerStatusUpdatedNotification>();
    for_each_object(&mut schema, &|object| {
        object.remove("description");
        if let Some(values) = enum_values(object) {
            object.remove("oneOf");
            object.insert("enum".to_owned(), values.into());
            object.insert("type".to_owned(), "string".into());
        }
    });
    Ok(schema)
}

/// Returns the lenient schema of the notification's params, for reading. It accepts the states and reasons of newer servers, and
/// has the field that only a decoded notification has.
pub fn lenient_notification() -> Result<Value, Box<dyn Error>> {
    let mut schema = notification()?;
    for_each_object(&mut schema, &|object| {
        if let (Some(values), Some(kind)) = (object.remove("enum"), object.get("type").cloned()) {
            object.remove("type");
            let known = json!({ "enum": values, "type": kind });
            let unknown = json!({ "type": kind });
            object.insert("anyOf".to_owned(), json!([known, unknown]));
        }
    });
    schema["properties"]["environmentId"] = json!({ "type": ["string", "null"] });
    schema
        .as_object_mut()
        .ok_or("the schema is not an object")?
        .insert(
            "description".to_owned(),
            "The lenient schema, for reading. It accepts any string as a state or reason, because newer servers may send new \
             values, and it accepts additional fields. `environmentId` is read, and written again if it was read. The schema for writing is the strict one without `.lenient` in its name."
                .into(),
        );
    Ok(schema)
}

/// Returns the schema of the evidence of a failed start.
pub fn evidence() -> Result<Value, Box<dyn Error>> {
    documented::<Evidence>()
}

/// Returns the schema of the verdict on a failed start.
pub fn startup_failure() -> Result<Value, Box<dyn Error>> {
    let mut schema = documented::<StartupFailure>()?;
    accept_newer(&mut schema);
    describe_failure(&mut schema)?;
    Ok(schema)
}

/// Hosts pass evidence of the known fields only, but a message that they read may come from a newer version.
fn accept_newer(schema: &mut Value) {
    for_each_object(schema, &|object| {
        object.remove("additionalProperties");
    });
}

fn describe_failure(schema: &mut Value) -> Result<(), Box<dyn Error>> {
    let accessors = documentation::accessors(core_sources::VERDICT, "StartupFailure")?;
    describe_properties(schema, &accessors)
}

/// Returns the path and the schema of each message of the app-server that Codex lacks: the parameters and the results of requests, and
/// the parameters of notifications.
pub fn app_server() -> Result<Vec<(&'static str, Value)>, Box<dyn Error>> {
    let (read, written) = (Contract::Deserialize, Contract::Serialize);
    Ok(vec![
        (
            "schema/app-server/AuthenticateParams.json",
            message::<AuthenticateParams>(&read)?,
        ),
        (
            "schema/app-server/CancelResponse.json",
            message::<CancelResponse>(&written)?,
        ),
        (
            "schema/app-server/ClientsListResponse.json",
            message::<ClientsListResponse>(&written)?,
        ),
        (
            "schema/app-server/EmptyResponse.json",
            message::<EmptyResponse>(&written)?,
        ),
        (
            "schema/app-server/FailureReadResponse.json",
            message::<FailureReadResponse>(&written)?,
        ),
        (
            "schema/app-server/FailureUpdatedNotification.json",
            message::<FailureUpdatedNotification>(&written)?,
        ),
        (
            "schema/app-server/LoginCancelParams.json",
            message::<LoginCancelParams>(&read)?,
        ),
        (
            "schema/app-server/RequestCancelParams.json",
            message::<RequestCancelParams>(&read)?,
        ),
        (
            "schema/app-server/ServerParams.json",
            message::<ServerParams>(&read)?,
        ),
        (
            "schema/app-server/ServersListResponse.json",
            message::<ServersListResponse>(&written)?,
        ),
        (
            "schema/app-server/ServersUpdatedNotification.json",
            message::<ServersUpdatedNotification>(&written)?,
        ),
        (
            "schema/app-server/SignedOut.json",
            message::<SignedOut>(&written)?,
        ),
        (
            "schema/app-server/ToolCallProgressNotification.json",
            message::<ToolCallProgressNotification>(&written)?,
        ),
    ])
}

/// Returns the path and the schema of each document that the program prints with `--format json`.
pub fn program() -> Result<Vec<(&'static str, Value)>, Box<dyn Error>> {
    let printed = Contract::Serialize;
    let mut clients = message::<Vec<FileReport>>(&printed)?;
    clients["title"] = "ClientsReport".into();
    clients["description"] =
        "The result of `clients`: the configuration files of the MCP clients on the machine."
            .into();
    let mut followed = message::<FollowReport<'_>>(&printed)?;
    // These come from any app-server.
    for name in ["McpServerStartupState", "McpServerStartupFailureReason"] {
        let of_notification = &mut followed["definitions"][name];
        let known = of_notification["oneOf"].take();
        let unknown = json!({ "description": "A value of a newer version.", "type": "string" });
        *of_notification = json!({
            "anyOf": [{ "description": "The known values.", "oneOf": known }, unknown],
            "description": of_notification["description"],
        });
    }
    Ok(vec![
        (
            "schema/program/check.json",
            message::<CheckReport>(&printed)?,
        ),
        (
            "schema/program/check-dry-run.json",
            message::<DryRunReport>(&printed)?,
        ),
        ("schema/program/clients.json", clients),
        (
            "schema/program/explain.json",
            message::<Explanation>(&printed)?,
        ),
        ("schema/program/follow.json", followed),
        (
            "schema/program/status.json",
            message::<StatusReport>(&printed)?,
        ),
        (
            "schema/program/store-stats.json",
            message::<StoreReport>(&printed)?,
        ),
    ])
}

fn message<T: JsonSchema>(contract: &Contract) -> Result<Value, Box<dyn Error>> {
    let mut schema = derive_schema_for::<T>(contract.clone());
    document(&mut schema);
    accept_newer(&mut schema);
    if let Some(failure) = schema.pointer_mut("/definitions/StartupFailure") {
        describe_failure(failure)?;
    }
    Ok(schema)
}

/// Returns the schema of the notification with documentation, for the pages and the languages. The committed schema has no
/// documentation.
pub fn documented_notification() -> Result<Value, Box<dyn Error>> {
    let mut schema = documented::<McpServerStatusUpdatedNotification>()?;
    let accessors = documentation::accessors(
        core_sources::NOTIFICATION,
        "McpServerStatusUpdatedNotification",
    )?;
    describe_properties(&mut schema, &accessors)?;
    Ok(schema)
}

/// Returns the schema of a type with its documentation as descriptions, for readers of any language.
pub fn documented<T: JsonSchema>() -> Result<Value, Box<dyn Error>> {
    let mut schema = derive_schema::<T>();
    document(&mut schema);
    Ok(schema)
}

fn document(schema: &mut Value) {
    for_each_object(schema, &|object| {
        if let Some(Value::String(description)) = object.get_mut("description") {
            *description = documentation::language_neutral(description);
        }
    });
}

/// Returns the values of an enum, or `None` if the schema is not an enum.
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

/// Formats a schema as a file. Its keys are sorted, because whether `serde_json` keeps their order depends on the features
/// that other crates in the same build enable.
pub fn to_text(schema: &Value) -> Result<String, Box<dyn Error>> {
    let mut schema = schema.clone();
    schema.sort_all_objects();
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Returns the values of an enum and their descriptions.
///
/// # Errors
/// Fails if the schema is not an enum or has a value without a description.
pub fn enum_variants(schema: &Value) -> Result<Vec<(&str, &str)>, Box<dyn Error>> {
    let variants = schema["oneOf"]
        .as_array()
        .ok_or_else(|| format!("not an enum with documentation: {schema}"))?;
    variants
        .iter()
        .map(|variant| Ok((string(&variant["const"])?, description(variant)?)))
        .collect()
}

/// Returns the description of a schema.
///
/// # Errors
/// Fails if it has none.
pub fn description(schema: &Value) -> Result<&str, Box<dyn Error>> {
    schema["description"]
        .as_str()
        .ok_or_else(|| format!("no documentation: {schema}").into())
}

/// Returns the string in a JSON value.
///
/// # Errors
/// Fails if the value is not a string.
pub fn string(value: &Value) -> Result<&str, Box<dyn Error>> {
    value
        .as_str()
        .ok_or_else(|| format!("not a string: {value}").into())
}

fn derive_schema<T: JsonSchema>() -> Value {
    derive_schema_for::<T>(Contract::Deserialize)
}

fn derive_schema_for<T: JsonSchema>(contract: Contract) -> Value {
    SchemaSettings::draft07()
        .with(|settings| settings.contract = contract)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Adds the descriptions to the properties with the same names. A property that has a description keeps it.
fn describe_properties(
    schema: &mut Value,
    descriptions: &BTreeMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    let properties = schema["properties"]
        .as_object_mut()
        .ok_or("the schema has no properties")?;
    for (name, property) in properties {
        let property = property
            .as_object_mut()
            .ok_or("a property is not an object")?;
        if property.contains_key("description") {
            continue;
        }
        let description = descriptions
            .get(name)
            .ok_or_else(|| format!("the accessor of `{name}` has no documentation"))?;
        // In draft-07, keywords next to `$ref` are ignored.
        if let Some(reference) = property.remove("$ref") {
            property.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
        }
        property.insert("description".to_owned(), description.as_str().into());
    }
    Ok(())
}

/// Calls `change` for every object in a schema, inner objects first. The maps `properties` and `definitions` are skipped,
/// but not their values: their keys are names, and a property may have the name `description`.
fn for_each_object(schema: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| for_each_object(item, change)),
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::Object(named)
                        if matches!(key.as_str(), "properties" | "definitions") =>
                    {
                        named
                            .values_mut()
                            .for_each(|value| for_each_object(value, change));
                    }
                    _ => for_each_object(value, change),
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
    fn the_strict_schema_equals_the_shared_one() {
        let shared = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/McpServerStatusUpdatedNotification.json"
        ));
        let shared: Value = serde_json::from_str(shared).unwrap();
        assert_eq!(notification().unwrap(), shared);
    }

    #[test]
    fn the_lenient_schema_accepts_any_string_and_lists_the_known_values() {
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
        assert_eq!(
            lenient["properties"]
                .as_object_mut()
                .unwrap()
                .remove("environmentId"),
            Some(json!({ "type": ["string", "null"] }))
        );
        // Nothing else differs: two fields are required, and additional fields are accepted.
        lenient.as_object_mut().unwrap().remove("description");
        lenient["definitions"] = closed["definitions"].clone();
        assert_eq!(lenient, closed);
        assert_eq!(lenient["required"], json!(["name", "status"]));
        assert_eq!(lenient.get("additionalProperties"), None);
    }

    #[test]
    fn everything_in_the_documented_schemas_has_a_description() {
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
        ]
        .into_iter()
        .chain(
            [app_server().unwrap(), program().unwrap()]
                .concat()
                .into_iter()
                .map(|(_, schema)| schema),
        ) {
            assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
            assert_described("the root", &schema);
            for (name, definition) in schema["definitions"].as_object().into_iter().flatten() {
                assert_described(name, definition);
            }
        }
    }

    #[test]
    fn a_property_with_the_name_description_is_kept() {
        let mut schema =
            json!({ "description": "…", "properties": { "description": { "type": "string" } } });
        for_each_object(&mut schema, &|object| {
            object.remove("description");
        });
        assert_eq!(
            schema,
            json!({ "properties": { "description": { "type": "string" } } })
        );
    }
}
