//! The client that the public MCP conformance suite runs: it starts the server at a URL, signs in if the server requires it, uses
//! what the server offers, and steps up if a tool requires more access. It uses only the public API of `mcp-startup`.
//!
//! The suite passes the scenario and its data in environment variables. It judges the requests, so the output is only for a reader.

// The suite records the output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod user;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use futures::StreamExt;
use mcp_startup::auth::{CredentialStores, MemoryStore};
use mcp_startup::config::{ProtocolEra, ServerConfig, ServerEntry};
use mcp_startup::rmcp::model::{
    CallToolRequestParams, GetPromptRequestParams, JsonObject, ReadResourceRequestParams,
};
use mcp_startup::rmcp::{Peer, RoleClient, ServiceError};
use mcp_startup::{LiveServer, SignInOptions, Startup, StartupFailureKind as Kind, StartupOptions};
use serde::Deserialize;

use crate::user::sign_in;

/// The suite expects this URL as the client ID, if the authorization server supports client ID metadata documents.
const CLIENT_METADATA_URL: &str = "https://conformance-test.local/client-metadata.json";

/// The scenarios that judge the first request, so that only the era of 2026-07-28 is possible.
const MODERN_SCENARIOS: [&str; 2] = ["request-metadata", "http-standard-headers"];

/// The maximum number of sign-ins, including step-ups. The engine has a limit of its own for step-ups.
const MAX_SIGN_INS: usize = 3;

/// The data of a scenario, from `MCP_CONFORMANCE_CONTEXT`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    client_id: Option<String>,
    client_secret: Option<String>,
    #[serde(rename = "toolCalls")]
    tool_calls: Vec<ToolCall>,
}

#[derive(Deserialize)]
struct ToolCall {
    name: String,
    #[serde(default)]
    arguments: JsonObject,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: conformance-client URL");
        return ExitCode::from(2);
    };
    match run(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let context = match std::env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(json) => serde_json::from_str(&json)?,
        Err(_) => Context::default(),
    };
    let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();

    let mut server = ServerConfig::http("conformance", url)?;
    server.oauth.client_id = context.client_id;
    server.oauth.client_secret = context.client_secret.map(Into::into);
    let mut options = StartupOptions::default();
    options.stores = Some(CredentialStores::from_store(Arc::new(
        MemoryStore::default(),
    )));
    options.client_metadata_url = Some(CLIENT_METADATA_URL.to_owned());
    options.protocol_era = MODERN_SCENARIOS
        .contains(&&*scenario)
        .then_some(ProtocolEra::Modern);
    let mut client = Client {
        startup: Startup::new(options)?,
        server: server.into(),
        sign_ins: 0,
    };
    let result = client.use_server(&context.tool_calls).await;
    client.startup.finish().await;
    result
}

/// A client of one server.
struct Client {
    startup: Startup,
    server: ServerEntry,
    sign_ins: usize,
}

impl Client {
    /// Starts the server and uses it. If the server refuses a request for lack of authorization, signs in and begins again.
    async fn use_server(&mut self, tool_calls: &[ToolCall]) -> Result<(), Box<dyn Error>> {
        loop {
            let live = self.start().await?;
            let used = use_all(live.peer(), tool_calls).await;
            live.close().await;
            let Err(error) = used else {
                return Ok(());
            };
            let Some(challenge) = error.auth_challenge() else {
                return Err(error.into());
            };
            let mut options = SignInOptions::default();
            options.challenge = Some(challenge.to_owned());
            self.sign_in(&options).await?;
        }
    }

    /// Starts the server, and signs in if that makes it ready.
    async fn start(&mut self) -> Result<LiveServer, Box<dyn Error>> {
        loop {
            let mut start = self.startup.start(vec![self.server.clone()]);
            let mut failure = None;
            while let Some((event, live)) = start.next().await {
                if let Some(live) = live {
                    return Ok(live);
                }
                failure = event.failure;
            }
            let failure = failure.ok_or("the start was cancelled")?;
            match failure.kind() {
                Kind::SignInRequired | Kind::ReauthenticationRequired | Kind::InsufficientScope => {
                    self.sign_in(&SignInOptions::default()).await?
                }
                _ => return Err(failure.message().into()),
            }
        }
    }

    async fn sign_in(&mut self, options: &SignInOptions) -> Result<(), Box<dyn Error>> {
        if self.sign_ins == MAX_SIGN_INS {
            return Err(format!("gave up after {MAX_SIGN_INS} sign-ins").into());
        }
        self.sign_ins += 1;
        sign_in(&self.startup, &self.server, options).await
    }
}

/// Calls every tool, and reads the first resource and the first prompt.
async fn use_all(peer: &Peer<RoleClient>, tool_calls: &[ToolCall]) -> Result<(), ServiceError> {
    let Some(server) = peer.peer_info() else {
        return Err(ServiceError::TransportClosed);
    };
    let offers = &server.capabilities;
    // One server of the suite has tools and does not declare them.
    let tools = match peer.list_all_tools().await {
        Ok(tools) => tools,
        Err(ServiceError::McpError(_)) if offers.tools.is_none() => Vec::new(),
        Err(error) => return Err(error),
    };
    for tool in &tools {
        println!("tool {}", tool.name);
        if tool_calls.is_empty() {
            let arguments = arguments::for_schema(&tool.input_schema);
            call(peer, tool.name.to_string(), arguments).await?;
        }
    }
    for tool_call in tool_calls {
        call(peer, tool_call.name.clone(), tool_call.arguments.clone()).await?;
    }
    if offers.resources.is_some()
        && let Some(resource) = peer.list_all_resources().await?.first()
    {
        let request = ReadResourceRequestParams::new(resource.uri.clone());
        peer.read_resource(request).await?;
    }
    if offers.prompts.is_some()
        && let Some(prompt) = peer.list_all_prompts().await?.first()
    {
        let request = GetPromptRequestParams::new(prompt.name.clone());
        peer.get_prompt(request).await?;
    }
    Ok(())
}

async fn call(
    peer: &Peer<RoleClient>,
    name: String,
    arguments: JsonObject,
) -> Result<(), ServiceError> {
    let request = CallToolRequestParams::new(name).with_arguments(arguments);
    peer.call_tool(request).await.map(drop)
}
