//! Calls of tools and reads of resources of a connected server, and the progress of calls. Dropping the future of a call cancels it at
//! the server.

use std::time::Duration;

use futures::FutureExt;
use mcp_startup::rmcp::RoleClient;
use mcp_startup::rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ProgressNotificationParam,
    ReadResourceRequest, ReadResourceRequestParams, ServerResult,
};
use mcp_startup::rmcp::service::{Peer, PeerRequestOptions, RequestHandle, ServiceError};
use mcp_startup::{HeldResult, HttpRefusal, json_rpc_error_text, printable};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::TaskTracker;

use super::server::State;
use super::{NAME_CHARS, Session};
use crate::connection::Outgoing;
use crate::protocol::codex::{McpResourceReadParams, McpServerToolCallParams};
use crate::protocol::startup::ToolCallProgressNotification;
use crate::protocol::{RequestId, RpcError};

/// The maximum length of a server's error message, in characters.
const ERROR_CHARS: usize = 2000;
/// The status of a refused authorization (RFC 9110, section 15.5.2).
const UNAUTHORIZED: u16 = 401;
const PROGRESS: &str = "mcpStartup/toolCall/progress";
/// How long a server may take to read that a call was cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

impl Session {
    /// Calls a tool for the request with this ID, and passes the progress on to the client.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not connected or does not return a result. A tool that fails is a result.
    pub async fn call_tool(
        &self,
        id: RequestId,
        params: McpServerToolCallParams,
    ) -> Result<(Box<RawValue>, HeldResult), RpcError> {
        let (peer, state) = self.peer(&params.server, params.environment_id.as_deref())?;
        let mut request = CallToolRequestParams::new(params.tool);
        if let Some(arguments) = object("arguments", params.arguments)? {
            request = request.with_arguments(arguments);
        }
        request.meta = metadata(params.meta)?;
        // Before the request is sent, so that no progress is missed.
        let progress = state.progress.as_ref().map(|progress| progress.subscribe());
        let notification = |progress: ProgressNotificationParam| ToolCallProgressNotification {
            request_id: id.clone(),
            thread_id: params.thread_id.clone(),
            server: params.server.clone(),
            progress: progress.progress,
            total: progress.total,
            message: progress.message,
        };
        let held = self.outgoing.results().place();
        let mut request = CallToolRequest::new(request);
        request.extensions.insert(held.clone());
        let request = ClientRequest::CallToolRequest(request);
        let call = Call::begin(&peer, request, self.app.connections()).await;
        let result = match call {
            Ok(call) => call.finish(progress, notification, &self.outgoing).await,
            Err(error) => Err(error),
        };
        match result.and_then(tool_result) {
            Ok(result) => Ok((result, held)),
            Err(error) => Err(self.failed(&params.server, &state, "tools/call", &error)),
        }
    }

    /// Reads a resource.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not connected or does not return the resource.
    pub async fn read_resource(
        &self,
        params: McpResourceReadParams,
    ) -> Result<(Box<RawValue>, HeldResult), RpcError> {
        let (peer, state) = self.peer(&params.server, params.environment_id.as_deref())?;
        let mut request = ReadResourceRequestParams::new(params.uri);
        request.meta = metadata(params.meta)?;
        let held = self.outgoing.results().place();
        let mut request = ReadResourceRequest::new(request);
        request.extensions.insert(held.clone());
        let request = ClientRequest::ReadResourceRequest(request);
        let result = match Call::begin(&peer, request, self.app.connections()).await {
            Ok(call) => call.response().await,
            Err(error) => Err(error),
        };
        let result = result.and_then(|result| match result {
            ServerResult::ReadResourceResult(result) => to_json(&result),
            _ => Err(ServiceError::UnexpectedResponse),
        });
        match result {
            Ok(result) => Ok((result, held)),
            Err(error) => Err(self.failed(&params.server, &state, "resources/read", &error)),
        }
    }

    /// The error of a request that failed at the server.
    fn failed(&self, name: &str, asked: &State, method: &str, error: &ServiceError) -> RpcError {
        let refusal = HttpRefusal::of(error);
        if is_rejection(refusal.as_ref())
            && let Ok(server) = self.server(name, None)
        {
            server.rejected(asked);
        }
        failed(name, method, error, refusal)
    }

    fn peer(
        &self,
        name: &str,
        environment_id: Option<&str>,
    ) -> Result<(Peer<RoleClient>, State), RpcError> {
        let server = self.server(name, environment_id)?;
        let state = server.state();
        match state.peer.clone() {
            Some(peer) => Ok((peer, state)),
            None => {
                let why = server.why_not_connected(&state);
                Err(RpcError::failed(why).with_reason("notConnected"))
            }
        }
    }
}

/// A call that was sent. Dropping it cancels the call at the server.
struct Call {
    /// `None` after the response.
    handle: Option<RequestHandle<RoleClient>>,
    tasks: TaskTracker,
}

impl Call {
    /// Sends a call. The SDK's `call_tool` does not reveal the progress token.
    async fn begin(
        peer: &Peer<RoleClient>,
        request: ClientRequest,
        tasks: &TaskTracker,
    ) -> Result<Self, ServiceError> {
        let options = PeerRequestOptions::no_options();
        let handle = peer.send_cancellable_request(request, options).await?;
        Ok(Self {
            handle: Some(handle),
            tasks: tasks.clone(),
        })
    }

    /// Waits for the response.
    async fn response(mut self) -> Result<ServerResult, ServiceError> {
        let Some(handle) = &mut self.handle else {
            return Err(ServiceError::TransportClosed);
        };
        let response = (&mut handle.rx).await;
        self.handle = None;
        response.unwrap_or(Err(ServiceError::TransportClosed))
    }

    /// Waits for the response, after which there is no more progress.
    async fn finish(
        mut self,
        mut progress: Option<Receiver<ProgressNotificationParam>>,
        notification: impl Fn(ProgressNotificationParam) -> ToolCallProgressNotification,
        outgoing: &Outgoing,
    ) -> Result<ServerResult, ServiceError> {
        let Some(handle) = &mut self.handle else {
            return Err(ServiceError::TransportClosed);
        };
        let token = handle.progress_token.clone();
        let response = loop {
            tokio::select! {
                // A server that reports progress all the time does not delay its response.
                biased;
                response = &mut handle.rx => break response,
                received = next(&mut progress) => {
                    if received.progress_token == token {
                        outgoing.notify(PROGRESS, &notification(received)).await;
                    }
                }
            }
        };
        self.handle = None;
        // The progress that arrived just before the response.
        while let Some(received) = next(&mut progress).now_or_never() {
            if received.progress_token == token {
                outgoing.notify(PROGRESS, &notification(received)).await;
            }
        }
        response.unwrap_or(Err(ServiceError::TransportClosed))
    }
}

/// The next progress of any request. Waits forever if there can't be any.
async fn next(
    progress: &mut Option<Receiver<ProgressNotificationParam>>,
) -> ProgressNotificationParam {
    while let Some(receiver) = progress {
        match receiver.recv().await {
            Ok(received) => return received,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => *progress = None,
        }
    }
    std::future::pending().await
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let cancelling = handle.cancel(Some("The client has cancelled the call.".to_owned()));
            self.tasks
                .spawn(tokio::time::timeout(CANCEL_LIMIT, cancelling));
        }
    }
}

/// The result of a call, which is final.
fn tool_result(result: ServerResult) -> Result<Box<RawValue>, ServiceError> {
    let unexpected = |_| ServiceError::UnexpectedResponse;
    match result {
        ServerResult::CallToolResult(result) => to_json(&result),
        ServerResult::InputRequiredResult(_) | ServerResult::CreateTaskResult(_) => {
            Err(ServiceError::UnexpectedResponse)
        }
        // A result without content, which the SDK reads as another one.
        other => match serde_json::to_value(other).map_err(unexpected)? {
            Value::Object(mut fields)
                if fields
                    .keys()
                    .all(|key| matches!(key.as_str(), "_meta" | "resultType")) =>
            {
                fields.insert("content".to_owned(), json!([]));
                to_json(&fields)
            }
            _ => Err(ServiceError::UnexpectedResponse),
        },
    }
}

fn to_json(result: &impl Serialize) -> Result<Box<RawValue>, ServiceError> {
    to_raw_value(result).map_err(|_| ServiceError::UnexpectedResponse)
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

fn failed(
    server: &str,
    method: &str,
    error: &ServiceError,
    refusal: Option<HttpRefusal>,
) -> RpcError {
    let (why, data) = match (error, refusal) {
        (ServiceError::McpError(error), _) => {
            let text = json_rpc_error_text(&error.message, error.data.as_ref());
            let message = printable(&text, ERROR_CHARS);
            let code = error.code.0;
            let why = format!("the server answered with the error {code}: {message}");
            (why, json!({ "reason": "serverError", "code": code }))
        }
        (_, Some(refusal)) => refused(refusal),
        (ServiceError::TransportClosed, None) => (
            "the connection was lost; try again".to_owned(),
            json!({ "reason": "connectionLost" }),
        ),
        (ServiceError::UnexpectedResponse, None) => (
            "the answer can't be used: it is too long, or not valid".to_owned(),
            json!({ "reason": "invalidAnswer" }),
        ),
        _ => (
            "the answer did not arrive, or can't be used".to_owned(),
            json!({ "reason": "noAnswer" }),
        ),
    };
    let server = printable(server, NAME_CHARS);
    RpcError::failed(format!("{server}: `{method}` failed: {why}")).with_data(data)
}

fn refused(refusal: HttpRefusal) -> (String, Value) {
    let status = refusal.status;
    match refusal.missing_scopes {
        Some(scopes) => {
            let needed = match scopes.as_slice() {
                [] => String::new(),
                scopes => format!(": {}", printable(&scopes.join(" "), ERROR_CHARS)),
            };
            (
                format!("the server requires more permissions{needed}; sign in with them"),
                json!({ "reason": "insufficientScope", "status": status, "scopes": scopes }),
            )
        }
        None if status == UNAUTHORIZED => (
            "the server refused the authorization (HTTP 401); `mcpStartup/failure/read` has the result of its next start".to_owned(),
            json!({ "reason": "authorizationRefused", "status": status }),
        ),
        None => (
            format!("the server answered with HTTP {status}"),
            json!({ "reason": "httpError", "status": status }),
        ),
    }
}

/// Whether the server has refused the authorization, and there is no other one.
pub(super) fn is_rejection(refusal: Option<&HttpRefusal>) -> bool {
    refusal.is_some_and(|refusal| refusal.status == UNAUTHORIZED)
}
