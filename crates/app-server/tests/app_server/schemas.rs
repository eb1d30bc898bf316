//! The JSON Schemas of the messages, and the check of a message against them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// The method of a request or notification, the value in its result or parameters, and the schema of this value in `schema/`.
const TABLE: [(&str, &str, &str); 11] = [
    ("initialize", "", "codex-0.171.0/InitializeResponse"),
    (
        "mcpServerStatus/list",
        "",
        "codex-0.171.0/ListMcpServerStatusResponse",
    ),
    (
        "config/mcpServer/reload",
        "",
        "codex-0.171.0/McpServerRefreshResponse",
    ),
    (
        "mcpServer/oauth/login",
        "",
        "codex-0.171.0/McpServerOauthLoginResponse",
    ),
    (
        "mcpServer/tool/call",
        "",
        "codex-0.171.0/McpServerToolCallResponse",
    ),
    (
        "mcpServer/resource/read",
        "",
        "codex-0.171.0/McpResourceReadResponse",
    ),
    (
        "mcpServer/startupStatus/updated",
        "",
        "codex-0.171.0/McpServerStatusUpdatedNotification",
    ),
    (
        "mcpServer/startupStatus/updated",
        "",
        "McpServerStatusUpdatedNotification",
    ),
    (
        "mcpServer/oauthLogin/completed",
        "",
        "codex-0.171.0/McpServerOauthLoginCompletedNotification",
    ),
    ("mcpStartup/failure/read", "/failure", "StartupFailure"),
    ("mcpStartup/failure/updated", "/failure", "StartupFailure"),
];

struct Table {
    schemas: Schemas,
    indexes: Vec<SchemaIndex>,
}

static COMPILED: LazyLock<Table> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema");
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    let mut indexes = Vec::new();
    for (_, _, name) in TABLE {
        let text = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        // The name is not the one of a file: nothing else is read.
        let url = format!("schema:///{name}");
        compiler
            .add_resource(&url, serde_json::from_slice(&text).unwrap())
            .unwrap();
        indexes.push(compiler.compile(&url, &mut schemas).unwrap());
    }
    Table { schemas, indexes }
});

/// All schemas.
pub fn all() -> BTreeSet<&'static str> {
    TABLE.iter().map(|(_, _, schema)| *schema).collect()
}

/// Checks a message. `method` is its own, or the one of the request that it answers. Returns the schemas that were used.
pub fn check(method: Option<&str>, message: &Value) -> Vec<&'static str> {
    let fields = message.as_object().unwrap();
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let has = |expected: &[&str]| {
        expected.len() == names.len() && expected.iter().all(|name| names.contains(name))
    };
    let value = if has(&["method", "params", "emittedAtMs"]) {
        assert!(message["emittedAtMs"].is_u64(), "{message}");
        &message["params"]
    } else if has(&["id", "result"]) {
        &message["result"]
    } else {
        assert!(has(&["id", "error"]), "{message}");
        let error = &message["error"];
        assert!(error["code"].is_i64(), "{message}");
        assert!(error["message"].is_string(), "{message}");
        return Vec::new();
    };
    let mut used = Vec::new();
    for ((of_method, pointer, name), index) in TABLE.iter().zip(&COMPILED.indexes) {
        if method != Some(*of_method) {
            continue;
        }
        let value = value.pointer(pointer);
        // A server that has not failed has no failure.
        let Some(value) = value.filter(|value| pointer.is_empty() || !value.is_null()) else {
            continue;
        };
        if let Err(error) = COMPILED.schemas.validate(value, *index) {
            panic!("{method:?} does not conform to {name}: {error:#}\n{message}");
        }
        used.push(*name);
    }
    used
}

#[test]
fn a_message_that_does_not_conform_is_found() {
    let notification = |params: Value| json!({ "method": "mcpServer/startupStatus/updated", "params": params, "emittedAtMs": 1 });
    let is_found = |message: Value| {
        let method = message["method"].as_str().map(str::to_owned);
        std::panic::catch_unwind(move || check(method.as_deref(), &message)).is_err()
    };
    let valid = json!({ "threadId": null, "name": "a", "status": "ready", "error": null, "failureReason": null });
    assert!(!is_found(notification(valid.clone())));
    for (field, value) in [
        ("status", json!("done")),
        ("name", json!(1)),
        ("error", json!({})),
    ] {
        let mut invalid = valid.clone();
        invalid[field] = value;
        assert!(is_found(notification(invalid)), "{field}");
    }
}
