//! The hostile MCP server over HTTP, with its hostile authorization server at the same address.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::attack::{Answer, Attack};
use crate::content::{Placeholders, Text};
use crate::harness::http_server::{Request, Responder, Server};

/// The token that the MCP endpoint accepts.
const GOOD_TOKEN: &str = "good-token";
/// How many bytes of a flood are written at a time.
const CHUNK: usize = 64 * 1024;
const BETWEEN_DRIPS: Duration = Duration::from_millis(10);

pub struct HostileServer {
    pub server: Server,
    requests: Arc<AtomicUsize>,
}

impl HostileServer {
    pub fn start(attack: &Attack) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let (attack, counted) = (attack.clone(), requests.clone());
        let server = Server::start(move |request, responder| {
            let count = counted.fetch_add(1, Ordering::Relaxed);
            respond(&attack, count, request, responder)
        });
        Self { server, requests }
    }

    /// How many requests it has received.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn respond(
    attack: &Attack,
    count: usize,
    request: &Request,
    responder: &mut Responder<'_>,
) -> io::Result<()> {
    let address = responder.connection.local_addr()?;
    let placeholders = Placeholders {
        base: format!("http://{address}"),
        id: request.body["id"].clone(),
        count,
    };
    let step = step(attack, request);
    let is_mcp = request.path.starts_with("/mcp");
    let any = attack.sends.get("any").filter(|_| is_mcp);
    let answer = attack.sends.get(step).or(any);
    let usual = usual(attack, step, request, &placeholders);
    let Some(answer) = answer else {
        let (status, headers, body) = usual;
        return match body {
            Some(body) => {
                responder.head(status, "application/json", &headers)?;
                responder.raw(body.to_string().as_bytes())
            }
            None => responder.head(status, "text/plain", &headers),
        };
    };
    send(answer, usual, &placeholders, responder)
}

/// The key of the request in the `sends` of a row.
fn step<'a>(attack: &Attack, request: &'a Request) -> &'a str {
    let path = request.path.as_str();
    if path.starts_with("/.well-known/oauth-protected-resource") {
        return "protectedResource";
    }
    if path.contains("/.well-known/") {
        return "authorizationServer";
    }
    match path {
        "/token" => return "token",
        "/register" => return "registration",
        path if !path.starts_with("/mcp") => return "elsewhere",
        _ => {}
    }
    let sent = request.header("authorization").strip_prefix("Bearer ");
    if attack.requires_token && sent != Some(GOOD_TOKEN) {
        return "unauthorized";
    }
    match (request.method.as_str(), request.rpc_method()) {
        ("POST", "") => "reply",
        ("POST", method) => method,
        (method, _) => method,
    }
}

type Usual = (u16, String, Option<Value>);

/// The answer of a working server: the status, header lines and the body.
fn usual(attack: &Attack, step: &str, request: &Request, placeholders: &Placeholders) -> Usual {
    let base = &placeholders.base;
    let document = |body: Value| (200, String::new(), Some(body));
    match step {
        "unauthorized" => {
            let document = format!("{base}/.well-known/oauth-protected-resource/mcp");
            let challenge =
                format!("WWW-Authenticate: Bearer resource_metadata=\"{document}\"\r\n");
            (401, challenge, None)
        }
        "protectedResource" | "authorizationServer" | "token" | "registration"
            if !attack.requires_token =>
        {
            (404, String::new(), None)
        }
        "protectedResource" => document(json!({
            "resource": format!("{base}/mcp"),
            "authorization_servers": [base],
        })),
        "authorizationServer" => document(json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "registration_endpoint": format!("{base}/register"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        })),
        "token" => document(json!({
            "access_token": GOOD_TOKEN, "token_type": "Bearer", "expires_in": 3600, "refresh_token": "next-refresh",
        })),
        "registration" => document(json!({ "client_id": "client-1" })),
        "elsewhere" => (404, String::new(), None),
        _ if request.method == "POST" && request.body.get("id").is_some() => {
            match request.rpc_method() {
                "" => (202, String::new(), None),
                _ => document(request.successful_response()),
            }
        }
        _ if request.method == "POST" => (202, String::new(), None),
        _ => (405, String::new(), None),
    }
}

fn send(
    answer: &Answer,
    (status, mut headers, body): Usual,
    placeholders: &Placeholders,
    responder: &mut Responder<'_>,
) -> io::Result<()> {
    let mut status = answer.status.unwrap_or(status);
    if let Some(target) = &answer.redirect {
        status = answer.status.unwrap_or(307);
        headers = format!("Location: {}\r\n", placeholders.fill(target));
    }
    if let Some(more) = &answer.headers {
        headers = placeholders.text(more);
    }
    let is_stream = !answer.messages.is_empty() || answer.flood.is_some();
    let content_type = match &answer.content_type {
        Some(content_type) => content_type.as_str(),
        None if is_stream => "text/event-stream",
        None => "application/json",
    };
    match &answer.raw {
        Some(raw) => responder.raw(placeholders.text(raw).as_bytes())?,
        None => responder.head(status, content_type, &headers)?,
    }
    let connection = &mut *responder.connection;
    let own_body = answer.json.is_some() || answer.text.is_some();
    let is_silent = is_stream
        || own_body
        || answer.stream.is_some()
        || answer.drip.is_some()
        || answer.hang
        || answer.raw.is_some()
        || answer.redirect.is_some();
    if let Some(body) = body.filter(|_| !is_silent) {
        connection.write_all(body.to_string().as_bytes())?;
    }
    write_body(answer, placeholders, connection)?;
    let event = |message: &str| format!("data: {message}\n\n");
    write_messages(answer, placeholders, event, connection)?;
    if answer.hang {
        responder.hang()?;
    }
    Ok(())
}

/// Writes the parts of an answer that are the same over every transport.
pub fn write_body(
    answer: &Answer,
    placeholders: &Placeholders,
    to: &mut impl Write,
) -> io::Result<()> {
    if let Some(json) = &answer.json {
        to.write_all(placeholders.json(json).to_string().as_bytes())?;
    }
    if let Some(text) = &answer.text {
        to.write_all(placeholders.text(text).as_bytes())?;
    }
    Ok(())
}

/// Writes the messages, and then the flood or other endless text. `frame` turns a message into an event or a line.
pub fn write_messages(
    answer: &Answer,
    placeholders: &Placeholders,
    frame: impl Fn(&str) -> String,
    to: &mut impl Write,
) -> io::Result<()> {
    for message in &answer.messages {
        to.write_all(frame(&placeholders.text(message)).as_bytes())?;
    }
    to.flush()?;
    if let Some(message) = &answer.flood {
        flood(&placeholders.text(message), frame, to)?;
    }
    if let Some(text) = &answer.stream {
        let text = placeholders.text(text);
        let chunk = text.repeat(CHUNK.div_ceil(text.len()));
        loop {
            to.write_all(chunk.as_bytes())?;
        }
    }
    if let Some(text) = &answer.drip {
        for byte in text.bytes().cycle() {
            to.write_all(&[byte])?;
            to.flush()?;
            thread::sleep(BETWEEN_DRIPS);
        }
    }
    Ok(())
}

fn flood(message: &str, frame: impl Fn(&str) -> String, to: &mut impl Write) -> io::Result<()> {
    if !message.contains("{n}") {
        let framed = frame(message);
        let chunk = framed.repeat(CHUNK.div_ceil(framed.len()));
        loop {
            to.write_all(chunk.as_bytes())?;
        }
    }
    let mut chunk = String::new();
    for number in 0_u64.. {
        chunk.push_str(&frame(&message.replace("{n}", &number.to_string())));
        if chunk.len() >= CHUNK {
            to.write_all(chunk.as_bytes())?;
            chunk.clear();
        }
    }
    Ok(())
}

/// Text as header lines or a URL.
pub fn filled(text: &Text, base: &str) -> String {
    let placeholders = Placeholders {
        base: base.to_owned(),
        ..Placeholders::default()
    };
    placeholders.text(text)
}
