//! Where a server can speak, and how it can say what it was given there.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::harness::{Asked, quoted};

/// One way of a server over HTTP, or of the authorization server that it names, to say something.
pub struct Echo {
    pub name: &'static str,
    pub at: Where,
    /// The answer as it goes over the connection, which is closed after it.
    pub answer: fn(&Asked, &Said<'_>) -> String,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
pub enum Where {
    /// The MCP endpoint.
    Mcp,
    /// The protected-resource metadata (RFC 9728).
    Resource,
    /// The metadata of the authorization server (RFC 8414).
    Metadata,
    /// The token endpoint, which grants nothing.
    Refusal,
    /// The token endpoint, which has granted tokens.
    Grant,
}

/// What there is to say.
pub struct Said<'a> {
    /// The secret, in one of the forms.
    pub said: &'a str,
    /// The URL of the server's folder.
    pub base: &'a str,
    /// What the token endpoint grants.
    pub tokens: Value,
}

pub const ECHOES: [Echo; 54] = [
    mcp("the body of a 401", |_, it| {
        text(401, "text/plain", it.said)
    }),
    mcp("the body of a 403", |_, it| {
        json(403, json!({ "error": it.said }))
    }),
    mcp("the body of a 404", |_, it| {
        json(404, json!({ "error": it.said }))
    }),
    mcp("the body of a 500", |_, it| text(500, "text/html", it.said)),
    mcp("the reason of a status", |_, it| {
        format!("HTTP/1.1 503 {}\r\nContent-Length: 0\r\n\r\n", it.said)
    }),
    mcp("headers", |_, it| {
        let headers = ["Retry-After", "Server", "Set-Cookie"].map(|name| (name, it.said));
        answer(429, &format!("text/{}", it.said), &headers, "")
    }),
    mcp("no HTTP", |_, it| format!("{0}: {0}\r\n\r\n", it.said)),
    mcp("the realm of a challenge", |_, it| {
        challenge(401, &format!("realm=\"{}\"", it.said))
    }),
    mcp("the description in a challenge", |_, it| {
        let description = format!("error_description=\"no token: {}\"", it.said);
        challenge(401, &format!("error=\"invalid_token\", {description}"))
    }),
    mcp("the scope in a challenge", |_, it| {
        let scope = format!("scope=\"{0} {0}\"", it.said);
        challenge(403, &format!("error=\"insufficient_scope\", {scope}"))
    }),
    mcp("the metadata in a challenge", |_, it| {
        let metadata = format!("{}/metadata/{}", it.base, it.said);
        challenge(401, &format!("resource_metadata=\"{metadata}\""))
    }),
    mcp("metadata in a challenge that is no URL", |_, it| {
        challenge(401, &format!("resource_metadata=\"{0}://{0}\"", it.said))
    }),
    mcp("a redirect to itself", |_, it| {
        redirect(307, &format!("{}/mcp/{}", it.base, it.said))
    }),
    mcp("a redirect to elsewhere", |_, it| {
        redirect(308, &format!("http://{0}.localhost/{0}?{0}", it.said))
    }),
    mcp("a page", |_, it| {
        text(200, "text/html", &format!("<p>{}", it.said))
    }),
    mcp("a page that is cut", |_, it| {
        text(200, "text/html", &again_and_again(it.said))
    }),
    mcp("another JSON", |_, it| {
        json(200, json!({ "given": it.said }))
    }),
    mcp("a JSON string", |_, it| json(200, json!(it.said))),
    mcp("a JSON that is cut", |_, it| {
        text(
            200,
            "application/json",
            &format!("{{\"{0}\": \"{0}", it.said),
        )
    }),
    mcp("an answer of other types", |asked, it| {
        let result = json!({ "protocolVersion": [it.said], "capabilities": it.said });
        json(
            200,
            json!({ "jsonrpc": it.said, "id": asked.body["id"], "result": result }),
        )
    }),
    mcp("an answer to another request", |_, it| {
        json(
            200,
            json!({ "jsonrpc": "2.0", "id": it.said, "result": { "a": it.said } }),
        )
    }),
    mcp("an error, its message and data", |asked, it| {
        json(
            200,
            error(asked, -32000, it.said, json!({ it.said: [it.said] })),
        )
    }),
    mcp("an error with a status that says the same", |asked, it| {
        json(400, error(asked, -32600, it.said, json!(it.said)))
    }),
    mcp("an error that names versions", |asked, it| {
        let versions = json!({ "supported": [it.said, it.said], "requested": it.said });
        json(200, error(asked, -32004, it.said, versions))
    }),
    mcp("another version", |asked, it| {
        let mut answer = asked.good_result();
        answer["result"]["protocolVersion"] = json!(it.said);
        json(200, answer)
    }),
    mcp("a comment in a stream of events", |_, it| {
        events(&format!(": {}", it.said))
    }),
    mcp("a stream of events of a JSON string", |_, it| {
        let data = quoted(it.said);
        events(&format!(
            "event: {0}\nid: {0}\nretry: 1\ndata: {data}",
            it.said
        ))
    }),
    mcp("a stream of events of no JSON", |_, it| {
        events(&format!("data: {}", it.said))
    }),
    mcp("a stream of events that is none", |_, it| events(it.said)),
    mcp("a stream of events of an error", |asked, it| {
        let error = error(asked, -32000, it.said, json!(it.said));
        events(&format!("data: {error}"))
    }),
    mcp("the names of a server that is ready", |asked, it| {
        let mut answer = asked.good_result();
        let result = &mut answer["result"];
        match asked.rpc() {
            "initialize" => {
                result["serverInfo"] = json!({ "name": it.said, "version": it.said });
                result["instructions"] = json!(it.said);
                json(200, answer)
            }
            "tools/list" => {
                result["tools"][0]["name"] = json!(it.said);
                result["tools"][0]["description"] = json!(it.said);
                json(200, answer)
            }
            _ => good(asked),
        }
    }),
    mcp(
        "an error of a server that is ready",
        |asked, it| match asked.rpc() {
            "tools/list" => json(200, error(asked, -32000, it.said, json!(it.said))),
            _ => good(asked),
        },
    ),
    mcp("a session that ends", |asked, it| {
        in_a_session(asked, it, || text(400, "text/plain", it.said))
    }),
    mcp("a session whose end is not answered", |asked, it| {
        in_a_session(asked, it, String::new)
    }),
    resource("the name of a resource", |_, it| {
        let named = format!("{}/{}", it.base, it.said);
        json(
            200,
            json!({ "resource": named, "authorization_servers": [it.base] }),
        )
    }),
    resource("the name of an authorization server", |_, it| {
        let servers = json!([format!("{}/{}", it.base, it.said)]);
        let resource = format!("{}/mcp", it.base);
        json(
            200,
            json!({ "resource": resource, "authorization_servers": servers, "scopes_supported": [it.said] }),
        )
    }),
    resource("a resource of other types", |_, it| {
        json(
            200,
            json!({ "resource": [it.said], "authorization_servers": it.said }),
        )
    }),
    resource("the body of a 500 for a resource", |_, it| {
        text(500, "text/html", it.said)
    }),
    resource("a resource that is no JSON", |_, it| {
        text(200, "application/json", it.said)
    }),
    resource("a resource that has moved", |_, it| {
        redirect(302, &format!("{}/metadata/{}", it.base, it.said))
    }),
    metadata("the name of another issuer", |_, it| {
        let mut metadata = metadata_of(it.base, it.base);
        metadata["issuer"] = json!(format!("{}/{}", it.base, it.said));
        json(200, metadata)
    }),
    metadata("endpoints that are no URLs", |_, it| {
        let mut metadata = metadata_of(it.base, it.base);
        for endpoint in ["authorization_endpoint", "token_endpoint"] {
            metadata[endpoint] = json!(format!("{0}://{0}", it.said));
        }
        json(200, metadata)
    }),
    metadata("a token endpoint elsewhere", |_, it| {
        let mut metadata = metadata_of(it.base, it.base);
        metadata["token_endpoint"] = json!(format!("{}/elsewhere/{}", it.base, it.said));
        json(200, metadata)
    }),
    metadata("metadata of other types", |_, it| {
        json(
            200,
            json!({ "issuer": it.base, "token_endpoint": [it.said] }),
        )
    }),
    metadata("metadata that is no JSON", |_, it| {
        text(200, "application/json", it.said)
    }),
    refusal("the code of a refusal", |_, it| {
        json(400, json!({ "error": it.said }))
    }),
    refusal("all but the code of a refusal", |_, it| {
        let uri = format!("{}/{}", it.base, it.said);
        json(
            400,
            json!({ "error": "invalid_grant", "error_description": it.said, "error_uri": uri, it.said: it.said }),
        )
    }),
    refusal("a refusal as a form", |_, it| {
        let form = format!("error={0}&error_description={0}", it.said);
        text(400, "application/x-www-form-urlencoded", &form)
    }),
    refusal("a refusal inside a 200", |_, it| {
        json(
            200,
            json!({ "ok": false, "error": it.said, "given": it.said }),
        )
    }),
    refusal("a page for tokens", |_, it| text(200, "text/html", it.said)),
    refusal("the headers of a refusal", |_, it| {
        answer(
            429,
            "text/plain",
            &[("Retry-After", it.said), ("WWW-Authenticate", it.said)],
            it.said,
        )
    }),
    refusal("a redirect for tokens", |_, it| {
        redirect(302, &format!("{}/{}", it.base, it.said))
    }),
    grant("an error beside tokens", |_, it| {
        let mut tokens = it.tokens.clone();
        tokens["error"] = json!(it.said);
        tokens["scope"] = json!(it.said);
        json(200, tokens)
    }),
    grant("an error in place of an access token", |_, it| {
        let mut tokens = it.tokens.clone();
        let access_token = tokens["access_token"].take();
        // What was not granted is no secret.
        if access_token == ACCESS_TOKEN {
            tokens["error"] = json!(it.said);
        }
        json(200, tokens)
    }),
];

/// The access token that is granted where it is not the secret.
pub const ACCESS_TOKEN: &str = "a-new-access-token";

const fn mcp(name: &'static str, answer: fn(&Asked, &Said<'_>) -> String) -> Echo {
    Echo {
        name,
        at: Where::Mcp,
        answer,
    }
}

const fn resource(name: &'static str, answer: fn(&Asked, &Said<'_>) -> String) -> Echo {
    Echo {
        name,
        at: Where::Resource,
        answer,
    }
}

const fn metadata(name: &'static str, answer: fn(&Asked, &Said<'_>) -> String) -> Echo {
    Echo {
        name,
        at: Where::Metadata,
        answer,
    }
}

const fn refusal(name: &'static str, answer: fn(&Asked, &Said<'_>) -> String) -> Echo {
    Echo {
        name,
        at: Where::Refusal,
        answer,
    }
}

const fn grant(name: &'static str, answer: fn(&Asked, &Said<'_>) -> String) -> Echo {
    Echo {
        name,
        at: Where::Grant,
        answer,
    }
}

/// The metadata of an authorization server whose endpoints are in this folder.
pub fn metadata_of(issuer: &str, base: &str) -> Value {
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
    })
}

fn answer(status: u16, content_type: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers: String = headers.collect();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

pub fn text(status: u16, content_type: &str, body: &str) -> String {
    answer(status, content_type, &[], body)
}

pub fn json(status: u16, body: Value) -> String {
    text(status, "application/json", &body.to_string())
}

pub fn challenge(status: u16, parameters: &str) -> String {
    let challenge = format!("Bearer {parameters}");
    answer(
        status,
        "text/plain",
        &[("WWW-Authenticate", &challenge)],
        "",
    )
}

fn redirect(status: u16, location: &str) -> String {
    answer(status, "text/html", &[("Location", location)], location)
}

fn events(event: &str) -> String {
    text(200, "text/event-stream", &format!("{event}\n\n"))
}

fn error(asked: &Asked, code: i32, message: &str, data: Value) -> Value {
    let error = json!({ "code": code, "message": message, "data": data });
    json!({ "jsonrpc": "2.0", "id": asked.body["id"], "error": error })
}

/// What a good server answers.
fn good(asked: &Asked) -> String {
    match (asked.method.as_str(), asked.body.get("id").is_some()) {
        ("POST", true) => json(200, asked.good_result()),
        ("POST", false) => text(202, "text/plain", ""),
        _ => text(405, "text/plain", ""),
    }
}

/// A good server with a session of this name, and how it answers when that is ended.
fn in_a_session(asked: &Asked, it: &Said<'_>, end: impl Fn() -> String) -> String {
    match (asked.method.as_str(), asked.rpc()) {
        ("DELETE", _) => end(),
        (_, "initialize") => {
            let body = asked.good_result().to_string();
            answer(
                200,
                "application/json",
                &[("Mcp-Session-Id", it.said)],
                &body,
            )
        }
        _ => good(asked),
    }
}

/// So often that it is cut wherever no more than a beginning or an end is kept, and where so many bytes are kept, within a
/// character.
fn again_and_again(said: &str) -> String {
    let many = format!("{said} ").repeat(60);
    let padded = |dashes: usize| format!("{}{many}", "-".repeat(dashes));
    let cut_in_a_character =
        |text: &String| [800, 1024].iter().any(|at| !text.is_char_boundary(*at));
    let mut padded = (0..50).map(padded);
    padded.find(cut_in_a_character).unwrap_or(many)
}

/// One way of a program to say something: the rest of a script that knows its secret.
pub struct ProgramEcho {
    pub name: &'static str,
    pub script: fn(&str) -> String,
}

pub const PROGRAM_ECHOES: [ProgramEcho; 14] = [
    program("stderr, and it exits", |it| {
        format!("{} >&2; exit 7", print(format!("no good: {it}")))
    }),
    program("stderr, and it is killed", |it| {
        format!("{} >&2; kill -9 $$", print(it))
    }),
    program("a long line on stderr", |it| {
        format!("{} >&2; exit 7", print(again_and_again(it)))
    }),
    program("many lines on stderr", |it| {
        format!(
            "i=0; while [ $i -lt 200 ]; do {} >&2; i=$((i+1)); done; exit 7",
            print(it)
        )
    }),
    program("stdout, and it exits", |it| {
        format!("{}; exit 7", print(it))
    }),
    program("stdout, which it closes", |it| {
        format!("{}; {CLOSE}", print(it))
    }),
    program("a long line on stdout", |it| {
        format!("{}; {CLOSE}", print(again_and_again(it)))
    }),
    program("another JSON", |it| {
        format!("{}; {CLOSE}", print(json!({ "given": it })))
    }),
    program("a JSON string", |it| {
        format!("{}; {CLOSE}", print(json!(it)))
    }),
    program("an answer of other types", |it| {
        let result = json!({ "protocolVersion": [it], "capabilities": it });
        format!("{}; {CLOSE}", reply(json!({ "result": result })))
    }),
    program("an error, its message and data", |it| {
        let error = json!({ "code": -32000, "message": it, "data": { "a": it } });
        format!("{}; cat >/dev/null", reply(json!({ "error": error })))
    }),
    program("an error that names versions", |it| {
        let error = json!({ "code": -32004, "message": it, "data": { "supported": [it] } });
        format!("{}; cat >/dev/null", reply(json!({ "error": error })))
    }),
    program("another version", |it| {
        format!("{}; cat >/dev/null", reply(initialized(it, it)))
    }),
    program("the names of a server that is ready", |it| {
        let tool = json!({ "name": it, "description": it, "inputSchema": { "type": "object" } });
        let (ready, tools) = (
            initialized("2025-11-25", it),
            json!({ "result": { "tools": [tool] } }),
        );
        // Between the two requests comes a notification.
        format!(
            "{}; read -r line; {}; cat >/dev/null; {} >&2",
            reply(ready),
            reply(tools),
            print(it)
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

/// A command that prints this.
fn print(text: impl Display) -> String {
    format!("printf '%s\\n' {}", for_the_shell(&text.to_string()))
}

/// Commands that read a request and answer it with this, under its id.
fn reply(answer: Value) -> String {
    let answer = for_the_shell(answer.to_string().strip_prefix('{').unwrap());
    let id = r#"$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')"#;
    format!(r#"read -r line; printf '{{"jsonrpc":"2.0","id":%s,%s\n' "{id}" {answer}"#)
}

fn for_the_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
