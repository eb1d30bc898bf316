//! The ways in which a server that is a program can echo a secret, as shell commands.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::echoes::repeated;

/// One way to echo a secret: the end of a script, which runs after the script has received the secret.
pub struct ProgramEcho {
    pub name: &'static str,
    pub script: fn(&str) -> String,
}

pub const PROGRAM_ECHOES: [ProgramEcho; 14] = [
    program("stderr, before it exits", |secret| {
        format!("{} >&2; exit 7", print(format!("no good: {secret}")))
    }),
    program("stderr, before it is killed", |secret| {
        format!("{} >&2; kill -9 $$", print(secret))
    }),
    program("a long line on stderr", |secret| {
        format!("{} >&2; exit 7", print(repeated(secret)))
    }),
    program("many lines on stderr", |secret| {
        format!(
            "i=0; while [ $i -lt 200 ]; do {} >&2; i=$((i+1)); done; exit 7",
            print(secret)
        )
    }),
    program("stdout, before it exits", |secret| {
        format!("{}; exit 7", print(secret))
    }),
    program("stdout, before it closes stdout", |secret| {
        format!("{}; {CLOSE}", print(secret))
    }),
    program("a long line on stdout", |secret| {
        format!("{}; {CLOSE}", print(repeated(secret)))
    }),
    program("JSON that is not a JSON-RPC message", |secret| {
        format!("{}; {CLOSE}", print(json!({ "given": secret })))
    }),
    program("a JSON string", |secret| {
        format!("{}; {CLOSE}", print(json!(secret)))
    }),
    program("a result with fields of the wrong type", |secret| {
        let result = json!({ "protocolVersion": [secret], "capabilities": secret });
        format!("{}; {CLOSE}", reply(json!({ "result": result })))
    }),
    program("the message and data of an error", |secret| {
        let error = json!({ "code": -32000, "message": secret, "data": { "a": secret } });
        format!("{}; cat >/dev/null", reply(json!({ "error": error })))
    }),
    program("an error that lists versions", |secret| {
        let error = json!({ "code": -32004, "message": secret, "data": { "supported": [secret] } });
        format!("{}; cat >/dev/null", reply(json!({ "error": error })))
    }),
    program("an unsupported version", |secret| {
        format!("{}; cat >/dev/null", reply(initialized(secret, secret)))
    }),
    program("the names of a ready server", |secret| {
        let tool =
            json!({ "name": secret, "description": secret, "inputSchema": { "type": "object" } });
        let (ready, tools) = (
            initialized("2025-11-25", secret),
            json!({ "result": { "tools": [tool] } }),
        );
        // The client sends a notification between the two requests.
        format!(
            "{}; read -r line; {}; cat >/dev/null; {} >&2",
            reply(ready),
            reply(tools),
            print(secret)
        )
    }),
];

const CLOSE: &str = "exec >&-; cat >/dev/null";

const fn program(name: &'static str, script: fn(&str) -> String) -> ProgramEcho {
    ProgramEcho { name, script }
}

fn initialized(version: &str, name: &str) -> Value {
    let server = json!({ "name": name, "version": name });
    json!({ "result": { "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": server } })
}

/// A command that prints this text.
fn print(text: impl Display) -> String {
    format!("printf '%s\\n' {}", shell_quoted(&text.to_string()))
}

/// Commands that read a request and respond with this object and the id of the request.
fn reply(response: Value) -> String {
    let response = shell_quoted(response.to_string().strip_prefix('{').unwrap());
    let id = r#"$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')"#;
    format!(r#"read -r line; printf '{{"jsonrpc":"2.0","id":%s,%s\n' "{id}" {response}"#)
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
