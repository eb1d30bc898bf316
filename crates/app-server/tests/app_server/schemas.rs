//! The JSON Schemas of the messages, and the check of a message against them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

/// The part of a message that has a schema.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// The parameters of a request.
    Request,
    /// The result of a request, or the parameters of a notification.
    Content,
}
use Part::{Content, Request};

/// A method, the part of its messages, and the schema of this part in `schema/`.
const TABLE: &[(&str, Part, &str)] = &[
    ("initialize", Content, "codex-0.171.0/InitializeResponse"),
    (
        "mcpServerStatus/list",
        Content,
        "codex-0.171.0/ListMcpServerStatusResponse",
    ),
    (
        "config/mcpServer/reload",
        Content,
        "codex-0.171.0/McpServerRefreshResponse",
    ),
    (
        "mcpServer/oauth/login",
        Content,
        "codex-0.171.0/McpServerOauthLoginResponse",
    ),
    (
        "mcpServer/tool/call",
        Content,
        "codex-0.171.0/McpServerToolCallResponse",
    ),
    (
        "mcpServer/resource/read",
        Content,
        "codex-0.171.0/McpResourceReadResponse",
    ),
    (
        "mcpServer/startupStatus/updated",
        Content,
        "codex-0.171.0/McpServerStatusUpdatedNotification",
    ),
    (
        "mcpServer/startupStatus/updated",
        Content,
        "McpServerStatusUpdatedNotification",
    ),
    (
        "mcpServer/oauthLogin/completed",
        Content,
        "codex-0.171.0/McpServerOauthLoginCompletedNotification",
    ),
    (
        "mcpStartup/authenticate",
        Request,
        "app-server/AuthenticateParams",
    ),
    (
        "mcpStartup/authenticate",
        Content,
        "app-server/EmptyResponse",
    ),
    (
        "mcpStartup/clients/list",
        Content,
        "app-server/ClientsListResponse",
    ),
    (
        "mcpStartup/failure/read",
        Request,
        "app-server/ServerParams",
    ),
    (
        "mcpStartup/failure/read",
        Content,
        "app-server/FailureReadResponse",
    ),
    (
        "mcpStartup/failure/updated",
        Content,
        "app-server/FailureUpdatedNotification",
    ),
    (
        "mcpStartup/servers/updated",
        Content,
        "app-server/ServersUpdatedNotification",
    ),
    (
        "mcpStartup/login/cancel",
        Request,
        "app-server/LoginCancelParams",
    ),
    (
        "mcpStartup/login/cancel",
        Content,
        "app-server/CancelResponse",
    ),
    (
        "mcpStartup/request/cancel",
        Request,
        "app-server/RequestCancelParams",
    ),
    (
        "mcpStartup/request/cancel",
        Content,
        "app-server/CancelResponse",
    ),
    ("mcpStartup/retry", Request, "app-server/ServerParams"),
    ("mcpStartup/retry", Content, "app-server/EmptyResponse"),
    (
        "mcpStartup/servers/list",
        Content,
        "app-server/ServersListResponse",
    ),
    (
        "mcpStartup/toolCall/progress",
        Content,
        "app-server/ToolCallProgressNotification",
    ),
    ("mcpStartup/signOut", Request, "app-server/ServerParams"),
    ("mcpStartup/signOut", Content, "app-server/SignedOut"),
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

/// Checks a message, and the request that it answers if it is a result. Returns the schemas that were used.
pub fn check(request: Option<&Value>, message: &Value) -> Vec<&'static str> {
    let fields = message.as_object().unwrap();
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let has = |expected: &[&str]| {
        expected.len() == names.len() && expected.iter().all(|name| names.contains(name))
    };
    if has(&["method", "params", "emittedAtMs"]) {
        assert!(message["emittedAtMs"].is_u64(), "{message}");
        validate(message, Content, &message["params"])
    } else if has(&["id", "result"]) {
        let Some(request) = request else {
            return Vec::new();
        };
        let mut used = validate(request, Request, &request["params"]);
        used.extend(validate(request, Content, &message["result"]));
        used
    } else {
        assert!(has(&["id", "error"]), "{message}");
        let error = &message["error"];
        assert!(error["code"].is_i64(), "{message}");
        assert!(error["message"].is_string(), "{message}");
        Vec::new()
    }
}

/// Checks a part of a message with the method of `named`.
fn validate(named: &Value, part: Part, value: &Value) -> Vec<&'static str> {
    let mut used = Vec::new();
    for ((method, of_part, schema), index) in TABLE.iter().zip(&COMPILED.indexes) {
        if named["method"] != *method || part != *of_part {
            continue;
        }
        if let Err(error) = COMPILED.schemas.validate(value, *index) {
            panic!("{method} does not conform to {schema}: {error:#}\n{value}");
        }
        used.push(*schema);
    }
    used
}

#[test]
fn every_schema_of_the_app_server_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/app-server");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let names = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let used = all().into_iter().filter_map(|schema| {
        let name = schema.strip_prefix("app-server/")?;
        Some(name.to_owned())
    });
    assert_eq!(names.collect::<BTreeSet<_>>(), used.collect());
}

#[test]
fn a_message_that_does_not_conform_is_found() {
    let notification = |params: Value| json!({ "method": "mcpServer/startupStatus/updated", "params": params, "emittedAtMs": 1 });
    let is_found =
        |message: Value| std::panic::catch_unwind(move || check(None, &message)).is_err();
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
