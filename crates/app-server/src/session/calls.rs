//! Calls of tools and reads of resources of a connected server. Dropping the future of a call cancels it at the server.

use mcp_startup::printable;
use mcp_startup::rmcp::RoleClient;
use mcp_startup::rmcp::model::{CallToolRequestParams, ReadResourceRequestParams};
use mcp_startup::rmcp::service::{Peer, ServiceError};
use serde_json::{Map, Value};

use super::{NAME_CHARS, Session};
use crate::protocol::RpcError;
use crate::protocol::codex::{McpResourceReadParams, McpServerToolCallParams};

/// The maximum length of a server's error message, in characters.
const ERROR_CHARS: usize = 2000;

impl Session {
    /// Calls a tool.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not connected or does not return a result. A tool that fails is a result.
    pub async fn call_tool(&self, params: McpServerToolCallParams) -> Result<Value, RpcError> {
        let peer = self.peer(&params.server, params.environment_id.as_deref())?;
        let mut request = CallToolRequestParams::new(params.tool);
        if let Some(arguments) = object("arguments", params.arguments)? {
            request = request.with_arguments(arguments);
        }
        request.meta = metadata(params.meta)?;
        let result = peer.call_tool(request).await;
        let result = result.map_err(|error| failed(&params.server, "tools/call", error))?;
        serde_json::to_value(result).map_err(|_| RpcError::failed("The result can't be encoded."))
    }

    /// Reads a resource.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not connected or does not return the resource.
    pub async fn read_resource(&self, params: McpResourceReadParams) -> Result<Value, RpcError> {
        let peer = self.peer(&params.server, params.environment_id.as_deref())?;
        let mut request = ReadResourceRequestParams::new(params.uri);
        request.meta = metadata(params.meta)?;
        let result = peer.read_resource(request).await;
        let result = result.map_err(|error| failed(&params.server, "resources/read", error))?;
        serde_json::to_value(result).map_err(|_| RpcError::failed("The result can't be encoded."))
    }

    fn peer(&self, name: &str, environment_id: Option<&str>) -> Result<Peer<RoleClient>, RpcError> {
        let state = self.server(name, environment_id)?.state();
        state.peer.clone().ok_or_else(|| {
            let name = printable(name, NAME_CHARS);
            let why = state.error().map(|error| format!(": {error}"));
            RpcError::failed(format!(
                "{name} is not connected{}",
                why.unwrap_or_default()
            ))
            .with_reason("notConnected")
        })
    }
}

fn object(field: &str, value: Option<Value>) -> Result<Option<Map<String, Value>>, RpcError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(RpcError::invalid_params(format!(
            "Invalid `params.{field}`: it is not an object."
        ))),
    }
}

fn metadata<T: serde::de::DeserializeOwned>(meta: Option<Value>) -> Result<Option<T>, RpcError> {
    let Some(meta) = object("_meta", meta)? else {
        return Ok(None);
    };
    let read = serde_json::from_value(Value::Object(meta));
    read.map(Some)
        .map_err(|_| RpcError::invalid_params("Invalid `params._meta`."))
}

fn failed(server: &str, method: &str, error: ServiceError) -> RpcError {
    let why = match &error {
        ServiceError::McpError(error) => format!(
            "the server answered with the error {}: {}",
            error.code.0,
            printable(&error.message, ERROR_CHARS)
        ),
        ServiceError::TransportClosed => "the connection was lost; try again".to_owned(),
        _ => match error.is_authorization_required() {
            true => "the server requires a new sign-in".to_owned(),
            false => "the answer did not arrive or can't be used".to_owned(),
        },
    };
    let server = printable(server, NAME_CHARS);
    RpcError::failed(format!("{server}: `{method}` failed: {why}"))
}
