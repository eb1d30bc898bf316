//! A server with the crate `rmcp`: server TRANSPORT VARIANT [PORT]
//!
//! The variant consists of words: `stateless`, `modern` (only 2026-07-28) and `strict` (each request must carry its version). The
//! values of the SDK are read from JSON, because their types differ between versions. The features `v0_1`, `v0_8` and `v3` select
//! what only some versions have.
#![allow(deprecated)]

use rmcp::model::{ListToolsResult, ServerInfo};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde_json::json;

#[cfg(feature = "v0_1")]
type Page = rmcp::model::PaginatedRequestParam;
#[cfg(feature = "v0_8")]
type Page = Option<rmcp::model::PaginatedRequestParam>;
#[cfg(not(any(feature = "v0_1", feature = "v0_8")))]
type Page = Option<rmcp::model::PaginatedRequestParams>;

#[cfg(any(feature = "v0_1", feature = "v0_8"))]
type RpcError = rmcp::Error;
#[cfg(not(any(feature = "v0_1", feature = "v0_8")))]
type RpcError = rmcp::ErrorData;

#[derive(Clone)]
struct Echo {
    #[allow(dead_code)]
    variant: String,
}

impl ServerHandler for Echo {
    fn get_info(&self) -> ServerInfo {
        serde_json::from_value(json!({
            "protocolVersion": rmcp::model::ProtocolVersion::LATEST,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "compatibility", "version": "1.0.0"},
        }))
        .unwrap()
    }

    async fn list_tools(&self, _: Page, _: RequestContext<RoleServer>) -> Result<ListToolsResult, RpcError> {
        let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
        let tool = json!({"name": "echo", "description": "Return the text.", "inputSchema": schema});
        Ok(serde_json::from_value(json!({"tools": [tool]})).unwrap())
    }

    #[cfg(feature = "v3")]
    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [rmcp::model::ProtocolVersion]> {
        use rmcp::model::ProtocolVersion;
        match self.variant.contains("modern") {
            true => vec![ProtocolVersion::LATEST].into(),
            false => ProtocolVersion::KNOWN_VERSIONS.into(),
        }
    }
}

#[cfg(feature = "http")]
async fn over_http(echo: Echo, port: &str) {
    use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
    use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

    let has = |word| echo.variant.split('-').any(|found| found == word);
    let mut config = StreamableHttpServerConfig::default();
    let has_sessions = !has("stateless") && !has("strict");
    #[cfg(not(feature = "v3"))]
    {
        config.stateful_mode = has_sessions;
    }
    #[cfg(feature = "v3")]
    {
        config.legacy_session_mode = has_sessions;
        config.stateless_protocol_metadata_required = has("strict");
    }
    let sessions = std::sync::Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(echo.clone()), sessions, config);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await.unwrap();
}

#[cfg(all(feature = "http", feature = "v0_8"))]
async fn over_http_sse(echo: Echo, port: &str) {
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let server = rmcp::transport::sse_server::SseServer::serve(address).await.unwrap();
    let _running = server.with_service(move || echo.clone());
    std::future::pending::<()>().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let echo = Echo { variant: arguments[1].clone() };
    match arguments[0].as_str() {
        "stdio" => {
            let io = (tokio::io::stdin(), tokio::io::stdout());
            match echo.serve(io).await {
                Ok(running) => drop(running.waiting().await),
                Err(error) => {
                    eprintln!("{error}");
                    std::process::exit(1);
                }
            }
        }
        #[cfg(all(feature = "http", feature = "v0_8"))]
        "sse" => over_http_sse(echo, &arguments[2]).await,
        #[cfg(feature = "http")]
        "http" => over_http(echo, &arguments[2]).await,
        other => panic!("unknown transport: {other}"),
    }
}
