//! The ways in which a server that is a program can echo a secret, as steps of the test program.

use serde_json::{Value, json};

use crate::echoes::repeated;

/// One way to echo a secret: the last steps of a program, which has received the secret.
pub struct ProgramEcho {
    pub name: &'static str,
    pub steps: fn(&str) -> Vec<String>,
}

pub const PROGRAM_ECHOES: [ProgramEcho; 14] = [
    program("stderr, before it exits", |secret| {
        [print("err", &format!("no good: {secret}")), EXIT.owned()].concat()
    }),
    program("stderr, before it is killed", |secret| {
        [print("err", secret), ["abort"].owned()].concat()
    }),
    program("a long line on stderr", |secret| {
        [print("err", &repeated(secret)), EXIT.owned()].concat()
    }),
    program("many lines on stderr", |secret| {
        let lines = (0..200).flat_map(|_| print("err", secret));
        lines.chain(EXIT.owned()).collect()
    }),
    program("stdout, before it exits", |secret| {
        [print("out", secret), EXIT.owned()].concat()
    }),
    program("stdout, before it closes stdout", |secret| {
        [print("out", secret), CLOSE.owned()].concat()
    }),
    program("a long line on stdout", |secret| {
        [print("out", &repeated(secret)), CLOSE.owned()].concat()
    }),
    program("JSON that is not a JSON-RPC message", |secret| {
        let json = json!({ "given": secret }).to_string();
        [print("out", &json), CLOSE.owned()].concat()
    }),
    program("a JSON string", |secret| {
        [print("out", &json!(secret).to_string()), CLOSE.owned()].concat()
    }),
    program("a result with fields of the wrong type", |secret| {
        let result = json!({ "protocolVersion": [secret], "capabilities": secret });
        [reply(&json!({ "result": result })), CLOSE.owned()].concat()
    }),
    program("the message and data of an error", |secret| {
        let error = json!({ "code": -32000, "message": secret, "data": { "a": secret } });
        [reply(&json!({ "error": error })), WAIT.owned()].concat()
    }),
    program("an error that lists versions", |secret| {
        let error = json!({ "code": -32004, "message": secret, "data": { "supported": [secret] } });
        [reply(&json!({ "error": error })), WAIT.owned()].concat()
    }),
    program("an unsupported version", |secret| {
        [reply(&initialized(secret, secret)), WAIT.owned()].concat()
    }),
    program("the names of a ready server", |secret| {
        let tool =
            json!({ "name": secret, "description": secret, "inputSchema": { "type": "object" } });
        let (ready, tools) = (
            initialized("2025-11-25", secret),
            json!({ "result": { "tools": [tool] } }),
        );
        // The client sends a notification between the two requests.
        [
            reply(&ready),
            ["read"].owned(),
            reply(&tools),
            WAIT.owned(),
            print("err", secret),
        ]
        .concat()
    }),
];

const EXIT: [&str; 2] = ["exit", "7"];
const WAIT: [&str; 1] = ["wait"];
const CLOSE: [&str; 3] = ["close", "out", "wait"];

trait Owned {
    fn owned(&self) -> Vec<String>;
}

impl<const N: usize> Owned for [&str; N] {
    fn owned(&self) -> Vec<String> {
        self.map(str::to_owned).into()
    }
}

const fn program(name: &'static str, steps: fn(&str) -> Vec<String>) -> ProgramEcho {
    ProgramEcho { name, steps }
}

fn initialized(version: &str, name: &str) -> Value {
    let server = json!({ "name": name, "version": name });
    json!({ "result": { "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": server } })
}

/// Prints this text as a line.
fn print(to: &str, text: &str) -> Vec<String> {
    [to, &format!("{text}\n")].owned()
}

/// Reads a request, and responds with this object and the id of the request.
fn reply(response: &Value) -> Vec<String> {
    let response = response.to_string();
    let response = response.strip_prefix('{').unwrap();
    let response = format!("{{\"jsonrpc\":\"2.0\",\"id\":{{id}},{response}\n");
    ["read", "out", &response].owned()
}
