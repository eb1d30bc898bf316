//! HTTP servers that send too much, too little or invalid data: scenarios of the lab, and handwritten responses.

use std::io;

use serde_json::{Value, json};

use crate::bad_server::{BadServer, bad, check_each_with_a_working_server};
use crate::harness::configuration::url;
use crate::harness::http_server::{Request, Responder, Server};
use crate::harness::lab::lab_with;
use crate::memory::{GB, MB};

/// The time limit of a start in seconds, and how a message gives it. Under Wine, everything takes longer.
const LIMIT: (u32, &str) = if cfg!(windows) {
    (12, "12 s")
} else {
    (2, "2 s")
};

/// Responses that a lab scenario can describe.
#[test]
fn server_with_endless_or_invalid_responses_does_not_affect_others() {
    let challenge = "x".repeat(100_000);
    let page = |body: Value| json!({ "body": body });
    let wants_token = json!({ "serves": { "tokens": ["good-token"] } });
    let discovery =
        |document: Value| json!({ "protectedResource": document, "authorizationServer": document });
    let every = |reply: Value| json!({ "respond": [{ "reply": reply }] });
    let at = |method: &str, reply: Value| json!({ "respond": [{ "when": { "method": method }, "reply": reply }] });
    let lab = lab_with(json!([
        { "name": "huge", "mcp": at("initialize", page(json!({ "bytes": GB }))) },
        { "name": "huge-error", "mcp": at("initialize", json!({ "status": 500, "body": { "bytes": GB } })) },
        { "name": "huge-refusal", "mcp": every(json!({ "status": 400, "body": { "bytes": GB } })) },
        { "name": "endless", "mcp": every(page(json!("endless"))) },
        { "name": "endless-events", "mcp": every(json!({ "contentType": "text/event-stream", "body": "endless" })) },
        { "name": "redirect-loop", "mcp": every(json!({ "redirect": "{resource}" })) },
        { "name": "redirect-loop-308", "mcp": every(json!({ "status": 308, "redirect": "{resource}/" })) },
        { "name": "elsewhere", "mcp": every(json!({ "redirect": "{elsewhere}/elsewhere/mcp" })) },
        { "name": "long-challenge", "mcp": { "serves": { "tokens": [] }, "unauthorized": { "status": 401, "headers": { "WWW-Authenticate": challenge } } } },
        { "name": "closes", "mcp": every(json!({ "close": true })) },
        { "name": "empty", "mcp": every(json!({ "status": 200 })) },
        { "name": "empty-json", "mcp": every(json!({ "status": 200, "contentType": "application/json" })) },
        { "name": "empty-events", "mcp": every(json!({ "status": 200, "contentType": "text/event-stream" })) },
        { "name": "accepted", "mcp": every(json!({ "status": 202 })) },
        { "name": "no-content", "mcp": every(json!({ "status": 204 })) },
        { "name": "another-id", "mcp": every(page(json!({ "json": { "jsonrpc": "2.0", "id": 4711, "result": {} } }))) },
        { "name": "discovery-huge", "mcp": wants_token, "discovery": discovery(page(json!({ "bytes": GB }))) },
        { "name": "discovery-endless", "mcp": wants_token, "discovery": discovery(page(json!("endless"))) },
        { "name": "discovery-page", "mcp": wants_token, "discovery": discovery(page(json!({ "text": "<html>" }))) },
        { "name": "discovery-redirect-loop", "mcp": wants_token, "discovery": discovery(json!({ "redirect": "{prm}" })) },
        { "name": "discovery-closes", "mcp": wants_token, "discovery": discovery(json!({ "close": true })) },
        { "name": "tools-hang", "mcp": at("tools/list", json!({ "hang": true })) },
        { "name": "tools-500", "mcp": at("tools/list", json!({ "status": 500 })) },
        { "name": "tools-401", "mcp": at("tools/list", json!({ "status": 401 })) },
        { "name": "tools-huge", "mcp": at("tools/list", page(json!({ "bytes": GB }))) },
        { "name": "tools-endless", "mcp": at("tools/list", page(json!("endless"))) },
        { "name": "version-huge", "mcp": { "protocolVersion": "9".repeat(100_000) } },
        { "name": "version-hostile", "mcp": { "protocolVersion": "\u{1b}[31m\u{202e}9" } },
    ]));
    let servers: Vec<BadServer> = [
        ("huge", "notMcp", "too large"),
        ("huge-error", "serverError", "500"),
        ("huge-refusal", "serverError", "400"),
        ("endless", "timedOut", LIMIT.1),
        ("endless-events", "timedOut", LIMIT.1),
        ("redirect-loop", "serverError", "307"),
        ("redirect-loop-308", "serverError", "308"),
        ("elsewhere", "serverError", "307"),
        ("long-challenge", "signInRequired", ""),
        ("closes", "unreachable", ""),
        ("empty", "notMcp", ""),
        ("empty-json", "notMcp", ""),
        ("empty-events", "notMcp", ""),
        ("accepted", "notMcp", ""),
        ("no-content", "notMcp", ""),
        ("another-id", "notMcp", ""),
        ("discovery-huge", "authorizationUnavailable", ""),
        ("discovery-endless", "timedOut", LIMIT.1),
        ("discovery-page", "authorizationUnavailable", ""),
        ("discovery-redirect-loop", "authorizationMisconfigured", ""),
        ("discovery-closes", "authorizationUnavailable", ""),
        ("tools-hang", "", ""),
        ("tools-500", "", ""),
        ("tools-401", "signInRequired", ""),
        ("tools-huge", "", ""),
        ("tools-endless", "", ""),
        ("version-huge", "unsupportedProtocol", "999"),
        ("version-hostile", "unsupportedProtocol", "\\u{1b}[31m"),
    ]
    .into_iter()
    .map(|(name, kind, message)| {
        let body = format!("{}\nstartup_timeout_sec = {}", url(&lab.url(name)), LIMIT.0);
        bad(name, body, kind, message)
    })
    .collect();
    assert_eq!(servers.len(), lab.scenarios().len());
    check_each_with_a_working_server(&servers);
}

#[test]
fn server_that_violates_http_or_mcp_does_not_affect_others() {
    let servers: Vec<Server> = RESPONSES
        .iter()
        .map(|(_, _, _, respond)| Server::start(*respond))
        .collect();
    let bad_servers: Vec<BadServer> = RESPONSES
        .iter()
        .zip(&servers)
        .map(|((name, kind, message, _), server)| {
            let body = format!("{}\nstartup_timeout_sec = {}", url(&server.url()), LIMIT.0);
            bad(name, body, kind, message)
        })
        .collect();
    check_each_with_a_working_server(&bad_servers);
}

type Respond = fn(&Request, &mut Responder<'_>) -> io::Result<()>;

/// Responses that no lab scenario can describe: name, kind of failure, part of the message, and the response.
const RESPONSES: [(&str, &str, &str, Respond); 19] = [
    ("huge-event", "notMcp", "too large", |_, responder| {
        responder.head(200, "text/event-stream", "")?;
        responder.raw(b"data: \"")?;
        responder.repeat(&[b'a'; 65_536], GB)
    }),
    (
        "huge-event-of-lines",
        "notMcp",
        "too large",
        |_, responder| {
            responder.head(200, "text/event-stream", "")?;
            responder.repeat(&b"data: a\n".repeat(8192), GB)
        },
    ),
    (
        "many-events",
        "limitExceeded",
        "1,000 messages",
        |_, responder| {
            responder.head(200, "text/event-stream", "")?;
            let event = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"x\"}}\n\n";
            responder.repeat(&event.repeat(500), 100 * GB)
        },
    ),
    ("slow-head", "timedOut", LIMIT.1, |_, responder| {
        responder.raw(b"HTTP/1.1 200")?;
        responder.hang()
    }),
    ("cut-head", "unreachable", "", |_, responder| {
        responder.raw(b"HTTP/1.1 200")
    }),
    ("cut-body", "unreachable", "", |_, responder| {
        responder.head(200, "application/json", "Content-Length: 1000\r\n")?;
        responder.raw(b"{\"jsonrpc\"")
    }),
    ("garbage", "notMcp", "", |_, responder| {
        responder.raw(b"\x00\x01\x02 SSH-2.0-OpenSSH_9.9\r\n\r\n")
    }),
    ("huge-headers", "notMcp", "", |_, responder| {
        responder.raw(b"HTTP/1.1 200 OK\r\n")?;
        responder.repeat(format!("X-A: {}\r\n", "a".repeat(1000)).as_bytes(), MB)?;
        responder.raw(b"\r\n")
    }),
    ("huge-header", "notMcp", "", |_, responder| {
        let header = format!("X-A: {}\r\n", "a".repeat(MB));
        responder.head(200, "application/json", &header)
    }),
    ("huge-challenge", "notMcp", "", |_, responder| {
        let header = format!("WWW-Authenticate: Bearer realm=\"{}\"\r\n", "a".repeat(MB));
        responder.head(401, "application/json", &header)
    }),
    ("deep-response", "notMcp", "", |_, responder| {
        responder.head(200, "application/json", "")?;
        responder.raw(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":")?;
        responder.repeat(&[b'['; 1000], 100_000)?;
        responder.repeat(&[b']'; 1000], 100_000)?;
        responder.raw(b"}")
    }),
    ("deep-event", "notMcp", "", |_, responder| {
        responder.head(200, "text/event-stream", "")?;
        responder.raw(b"data: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":")?;
        responder.repeat(&[b'['; 1000], 100_000)?;
        responder.repeat(&[b']'; 1000], 100_000)?;
        responder.raw(b"}\n\n")
    }),
    ("wide-response", "notMcp", "", |_, responder| {
        responder.head(200, "application/json", "")?;
        responder.raw(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"a\":[0")?;
        responder.repeat(&b",0".repeat(1000), 4 * MB - 10_000)?;
        responder.raw(b"]}}")
    }),
    ("error-of-4-mb", "other|notMcp", "", |request, responder| {
        let message = "e".repeat(4 * MB);
        responder.json(&json!({ "jsonrpc": "2.0", "id": request.body["id"], "error": { "code": -32000, "message": message } }))
    }),
    ("null-id-error", "other", "", |_, responder| {
        responder.json(
            &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": "no" } }),
        )
    }),
    ("endless-pages", "", "", |request, responder| {
        let mut response = request.successful_response();
        if request.rpc_method() == "tools/list" {
            response["result"]["nextCursor"] = json!("again");
            return responder.json(&response);
        }
        responder.successful(request)
    }),
    (
        "tools-garbage",
        "",
        "",
        |request, responder| match request.rpc_method() {
            "tools/list" => responder.raw(b"garbage\r\n\r\n"),
            _ => responder.successful(request),
        },
    ),
    (
        "tools-endless-events",
        "limitExceeded",
        "1,000 messages",
        |request, responder| {
            if request.rpc_method() != "tools/list" {
                return responder.successful(request);
            }
            responder.head(200, "text/event-stream", "")?;
            let event = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"x\"}}\n\n";
            responder.repeat(&event.repeat(500), 100 * GB)
        },
    ),
    (
        "notification-refused",
        "serverError",
        "500",
        |request, responder| match request.body.get("id") {
            None => responder.text(500, "text/plain", "no"),
            Some(_) => responder.successful(request),
        },
    ),
];
