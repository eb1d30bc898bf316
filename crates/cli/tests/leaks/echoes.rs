//! The ways in which a server over HTTP, or its authorization server, can echo a secret.

use serde_json::{Value, json};

use crate::harness::configuration::quoted;
use crate::harness::http_server::Request;
use crate::responses::{
    challenge, error, events, in_a_session, json, metadata_of, redirect, response, successful, text,
};

/// One way to echo a secret.
pub struct Echo {
    pub name: &'static str,
    pub endpoint: Endpoint,
    /// The complete HTTP response.
    pub respond: fn(&Request, &Echoed<'_>) -> String,
}

/// The endpoint that echoes the secret.
#[derive(Clone, Copy, PartialEq)]
pub enum Endpoint {
    /// The MCP endpoint.
    Mcp,
    /// The protected-resource metadata (RFC 9728).
    ResourceMetadata,
    /// The authorization server's metadata (RFC 8414).
    ServerMetadata,
    /// The token endpoint, which refuses the request.
    TokenRefusal,
    /// The token endpoint, which has granted tokens.
    TokenGrant,
}

/// The values that a response can contain.
pub struct Echoed<'a> {
    /// The secret, in one of the encodings.
    pub secret: &'a str,
    /// The URL of the server's folder.
    pub base: &'a str,
    /// The tokens that the token endpoint grants.
    pub tokens: Value,
}

pub const ECHOES: [Echo; 54] = [
    mcp("the body of a 401", |_, echoed| {
        text(401, "text/plain", echoed.secret)
    }),
    mcp("the body of a 403", |_, echoed| {
        json(403, json!({ "error": echoed.secret }))
    }),
    mcp("the body of a 404", |_, echoed| {
        json(404, json!({ "error": echoed.secret }))
    }),
    mcp("the body of a 500", |_, echoed| {
        text(500, "text/html", echoed.secret)
    }),
    mcp("the reason phrase of a status", |_, echoed| {
        format!(
            "HTTP/1.1 503 {}\r\nContent-Length: 0\r\n\r\n",
            echoed.secret
        )
    }),
    mcp("response headers", |_, echoed| {
        let headers = ["Retry-After", "Server", "Set-Cookie"].map(|name| (name, echoed.secret));
        response(429, &format!("text/{}", echoed.secret), &headers, "")
    }),
    mcp("a response that is not HTTP", |_, echoed| {
        format!("{0}: {0}\r\n\r\n", echoed.secret)
    }),
    mcp("the realm of a challenge", |_, echoed| {
        challenge(401, &format!("realm=\"{}\"", echoed.secret))
    }),
    mcp("the description in a challenge", |_, echoed| {
        let description = format!("error_description=\"no token: {}\"", echoed.secret);
        challenge(401, &format!("error=\"invalid_token\", {description}"))
    }),
    mcp("the scope in a challenge", |_, echoed| {
        let scope = format!("scope=\"{0} {0}\"", echoed.secret);
        challenge(403, &format!("error=\"insufficient_scope\", {scope}"))
    }),
    mcp("the metadata URL in a challenge", |_, echoed| {
        let metadata = format!("{}/metadata/{}", echoed.base, echoed.secret);
        challenge(401, &format!("resource_metadata=\"{metadata}\""))
    }),
    mcp("an invalid metadata URL in a challenge", |_, echoed| {
        challenge(
            401,
            &format!("resource_metadata=\"{0}://{0}\"", echoed.secret),
        )
    }),
    mcp("a redirect to the same server", |_, echoed| {
        redirect(307, &format!("{}/mcp/{}", echoed.base, echoed.secret))
    }),
    mcp("a redirect to another server", |_, echoed| {
        redirect(308, &format!("http://{0}.localhost/{0}?{0}", echoed.secret))
    }),
    mcp("an HTML page", |_, echoed| {
        text(200, "text/html", &format!("<p>{}", echoed.secret))
    }),
    mcp("an HTML page longer than the limit", |_, echoed| {
        text(200, "text/html", &repeated(echoed.secret))
    }),
    mcp("JSON that is not a JSON-RPC message", |_, echoed| {
        json(200, json!({ "given": echoed.secret }))
    }),
    mcp("a JSON string", |_, echoed| json(200, json!(echoed.secret))),
    mcp("truncated JSON", |_, echoed| {
        text(
            200,
            "application/json",
            &format!("{{\"{0}\": \"{0}", echoed.secret),
        )
    }),
    mcp(
        "a result with fields of the wrong type",
        |request, echoed| {
            let result =
                json!({ "protocolVersion": [echoed.secret], "capabilities": echoed.secret });
            json(
                200,
                json!({ "jsonrpc": echoed.secret, "id": request.body["id"], "result": result }),
            )
        },
    ),
    mcp("a response to another request", |_, echoed| {
        json(
            200,
            json!({ "jsonrpc": "2.0", "id": echoed.secret, "result": { "a": echoed.secret } }),
        )
    }),
    mcp("the message and data of an error", |request, echoed| {
        json(
            200,
            error(
                request,
                -32000,
                echoed.secret,
                json!({ echoed.secret: [echoed.secret] }),
            ),
        )
    }),
    mcp("an error with an HTTP error status", |request, echoed| {
        json(
            400,
            error(request, -32600, echoed.secret, json!(echoed.secret)),
        )
    }),
    mcp("an error that lists versions", |request, echoed| {
        let versions =
            json!({ "supported": [echoed.secret, echoed.secret], "requested": echoed.secret });
        json(200, error(request, -32004, echoed.secret, versions))
    }),
    mcp("an unsupported version", |request, echoed| {
        let mut response = request.successful_response();
        response["result"]["protocolVersion"] = json!(echoed.secret);
        json(200, response)
    }),
    mcp("a comment in an event stream", |_, echoed| {
        events(&format!(": {}", echoed.secret))
    }),
    mcp("a JSON string in an event stream", |_, echoed| {
        let data = quoted(echoed.secret);
        events(&format!(
            "event: {0}\nid: {0}\nretry: 1\ndata: {data}",
            echoed.secret
        ))
    }),
    mcp("an event that is not JSON", |_, echoed| {
        events(&format!("data: {}", echoed.secret))
    }),
    mcp("an event stream without events", |_, echoed| {
        events(echoed.secret)
    }),
    mcp("an error in an event stream", |request, echoed| {
        let error = error(request, -32000, echoed.secret, json!(echoed.secret));
        events(&format!("data: {error}"))
    }),
    mcp("the names of a ready server", |request, echoed| {
        let mut response = request.successful_response();
        let result = &mut response["result"];
        match request.rpc_method() {
            "initialize" => {
                result["serverInfo"] = json!({ "name": echoed.secret, "version": echoed.secret });
                result["instructions"] = json!(echoed.secret);
                json(200, response)
            }
            "tools/list" => {
                result["tools"][0]["name"] = json!(echoed.secret);
                result["tools"][0]["description"] = json!(echoed.secret);
                json(200, response)
            }
            _ => successful(request),
        }
    }),
    mcp(
        "an error of a ready server",
        |request, echoed| match request.rpc_method() {
            "tools/list" => json(
                200,
                error(request, -32000, echoed.secret, json!(echoed.secret)),
            ),
            _ => successful(request),
        },
    ),
    mcp("a session whose DELETE fails", |request, echoed| {
        in_a_session(request, echoed, || text(400, "text/plain", echoed.secret))
    }),
    mcp(
        "a session whose DELETE gets no response",
        |request, echoed| in_a_session(request, echoed, String::new),
    ),
    resource("the resource in the resource metadata", |_, echoed| {
        let named = format!("{}/{}", echoed.base, echoed.secret);
        json(
            200,
            json!({ "resource": named, "authorization_servers": [echoed.base] }),
        )
    }),
    resource(
        "an authorization server in the resource metadata",
        |_, echoed| {
            let servers = json!([format!("{}/{}", echoed.base, echoed.secret)]);
            let resource = format!("{}/mcp", echoed.base);
            json(
                200,
                json!({ "resource": resource, "authorization_servers": servers, "scopes_supported": [echoed.secret] }),
            )
        },
    ),
    resource(
        "resource metadata with fields of the wrong type",
        |_, echoed| {
            json(
                200,
                json!({ "resource": [echoed.secret], "authorization_servers": echoed.secret }),
            )
        },
    ),
    resource(
        "the body of a 500 for the resource metadata",
        |_, echoed| text(500, "text/html", echoed.secret),
    ),
    resource("resource metadata that is not JSON", |_, echoed| {
        text(200, "application/json", echoed.secret)
    }),
    resource("a redirect of the resource metadata", |_, echoed| {
        redirect(302, &format!("{}/metadata/{}", echoed.base, echoed.secret))
    }),
    metadata("another issuer in the server metadata", |_, echoed| {
        let mut metadata = metadata_of(echoed.base, echoed.base);
        metadata["issuer"] = json!(format!("{}/{}", echoed.base, echoed.secret));
        json(200, metadata)
    }),
    metadata("endpoints that are not URLs", |_, echoed| {
        let mut metadata = metadata_of(echoed.base, echoed.base);
        for endpoint in ["authorization_endpoint", "token_endpoint"] {
            metadata[endpoint] = json!(format!("{0}://{0}", echoed.secret));
        }
        json(200, metadata)
    }),
    metadata(
        "another token endpoint in the server metadata",
        |_, echoed| {
            let mut metadata = metadata_of(echoed.base, echoed.base);
            metadata["token_endpoint"] =
                json!(format!("{}/elsewhere/{}", echoed.base, echoed.secret));
            json(200, metadata)
        },
    ),
    metadata(
        "server metadata with fields of the wrong type",
        |_, echoed| {
            json(
                200,
                json!({ "issuer": echoed.base, "token_endpoint": [echoed.secret] }),
            )
        },
    ),
    metadata("server metadata that is not JSON", |_, echoed| {
        text(200, "application/json", echoed.secret)
    }),
    refusal("the error code of a refusal", |_, echoed| {
        json(400, json!({ "error": echoed.secret }))
    }),
    refusal(
        "every field of a refusal except the error code",
        |_, echoed| {
            let uri = format!("{}/{}", echoed.base, echoed.secret);
            json(
                400,
                json!({ "error": "invalid_grant", "error_description": echoed.secret, "error_uri": uri, echoed.secret: echoed.secret }),
            )
        },
    ),
    refusal("a form-encoded refusal", |_, echoed| {
        let form = format!("error={0}&error_description={0}", echoed.secret);
        text(400, "application/x-www-form-urlencoded", &form)
    }),
    refusal("a refusal with status 200", |_, echoed| {
        json(
            200,
            json!({ "ok": false, "error": echoed.secret, "given": echoed.secret }),
        )
    }),
    refusal("an HTML page instead of tokens", |_, echoed| {
        text(200, "text/html", echoed.secret)
    }),
    refusal("the headers of a refusal", |_, echoed| {
        response(
            429,
            "text/plain",
            &[
                ("Retry-After", echoed.secret),
                ("WWW-Authenticate", echoed.secret),
            ],
            echoed.secret,
        )
    }),
    refusal("a redirect of the token request", |_, echoed| {
        redirect(302, &format!("{}/{}", echoed.base, echoed.secret))
    }),
    grant("an error in addition to tokens", |_, echoed| {
        let mut tokens = echoed.tokens.clone();
        tokens["error"] = json!(echoed.secret);
        tokens["scope"] = json!(echoed.secret);
        json(200, tokens)
    }),
    grant("an error instead of an access token", |_, echoed| {
        let mut tokens = echoed.tokens.clone();
        let access_token = tokens["access_token"].take();
        // A token that was not granted is not a secret.
        if access_token == ACCESS_TOKEN {
            tokens["error"] = json!(echoed.secret);
        }
        json(200, tokens)
    }),
];

/// The access token that the token endpoint grants if the access token is not the secret.
pub const ACCESS_TOKEN: &str = "a-new-access-token";

const fn mcp(name: &'static str, respond: fn(&Request, &Echoed<'_>) -> String) -> Echo {
    Echo {
        name,
        endpoint: Endpoint::Mcp,
        respond,
    }
}

const fn resource(name: &'static str, respond: fn(&Request, &Echoed<'_>) -> String) -> Echo {
    Echo {
        name,
        endpoint: Endpoint::ResourceMetadata,
        respond,
    }
}

const fn metadata(name: &'static str, respond: fn(&Request, &Echoed<'_>) -> String) -> Echo {
    Echo {
        name,
        endpoint: Endpoint::ServerMetadata,
        respond,
    }
}

const fn refusal(name: &'static str, respond: fn(&Request, &Echoed<'_>) -> String) -> Echo {
    Echo {
        name,
        endpoint: Endpoint::TokenRefusal,
        respond,
    }
}

const fn grant(name: &'static str, respond: fn(&Request, &Echoed<'_>) -> String) -> Echo {
    Echo {
        name,
        endpoint: Endpoint::TokenGrant,
        respond,
    }
}

/// The secret, repeated until the text exceeds every limit of the program. Limits in bytes fall inside a character.
pub fn repeated(secret: &str) -> String {
    let many = format!("{secret} ").repeat(60);
    let padded = |dashes: usize| format!("{}{many}", "-".repeat(dashes));
    let splits_a_character =
        |text: &String| [800, 1024].iter().any(|at| !text.is_char_boundary(*at));
    let mut padded = (0..50).map(padded);
    padded.find(splits_a_character).unwrap_or(many)
}
