//! MCP servers whose tokens have all expired, and their authorization server, which issues a token after MS milliseconds. Prints its
//! URL, and serves an MCP server at URL/NAME/mcp for any NAME. Ends when its stdin ends.
//!
//! Usage: expired_tokens MS

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mcp_startup_bench::{answer, json_of, until_stdin_ends};
use serde_json::json;

#[derive(Clone)]
struct AuthorizationServer {
    url: String,
    pause: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pause = std::env::args().nth(1).ok_or("usage: expired_tokens MS")?;
    let pause = Duration::from_millis(pause.parse()?);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}");
    let router = Router::new()
        .route("/{name}/mcp", post(mcp))
        .route("/.well-known/oauth-protected-resource/{name}/mcp", get(resource))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/token", post(token))
        .with_state(AuthorizationServer { url, pause });
    until_stdin_ends(axum::serve(listener, router)).await
}

async fn mcp(State(server): State<AuthorizationServer>, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get(header::AUTHORIZATION).is_some_and(|sent| sent == "Bearer fresh") {
        return answer(&body);
    }
    let challenge = format!(
        r#"Bearer resource_metadata="{}/.well-known/oauth-protected-resource/{name}/mcp""#,
        server.url
    );
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}

async fn resource(State(server): State<AuthorizationServer>, Path(name): Path<String>) -> Response {
    let resource = format!("{}/{name}/mcp", server.url);
    json_of(&json!({"resource": resource, "authorization_servers": [server.url]}))
}

async fn metadata(State(AuthorizationServer { url, .. }): State<AuthorizationServer>) -> Response {
    json_of(&json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"]
    }))
}

async fn token(State(server): State<AuthorizationServer>) -> Response {
    tokio::time::sleep(server.pause).await;
    json_of(&json!({"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "next"}))
}
