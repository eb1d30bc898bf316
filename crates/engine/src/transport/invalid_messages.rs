//! Finds what is wrong with a message that does not conform to JSON-RPC or to the schema of MCP, so that its author can fix it.
//!
//! The official SDKs for TypeScript, Python and Rust refuse such messages, so this client does too. It accepts an ID that is the
//! text of a number, as those SDKs do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, DiscoverResult, ErrorData, InitializeResult, JsonRpcMessage, ListToolsResult,
    RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::start::evidence_collector::EvidenceCollector;

/// The maximum number of requests whose answers are checked. A start has fewer.
const MAX_REQUESTS: usize = 256;

/// A transport that records why the result of a start's request is invalid.
pub(crate) struct CheckedResults<T> {
    transport: T,
    collector: Arc<EvidenceCollector>,
    requests: Mutex<HashMap<RequestId, &'static str>>,
}

impl<T> CheckedResults<T> {
    pub fn new(transport: T, collector: Arc<EvidenceCollector>) -> Self {
        Self {
            transport,
            collector,
            requests: Mutex::default(),
        }
    }

    fn sent(&self, message: &TxJsonRpcMessage<RoleClient>) {
        let JsonRpcMessage::Request(request) = message else {
            return;
        };
        let method = match &request.request {
            ClientRequest::InitializeRequest(_) => "initialize",
            ClientRequest::DiscoverRequest(_) => "server/discover",
            ClientRequest::ListToolsRequest(_) => "tools/list",
            _ => return,
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < MAX_REQUESTS {
            requests.insert(request.id.clone(), method);
        }
    }

    fn received(&self, message: &RxJsonRpcMessage<RoleClient>) {
        let (id, result) = match message {
            JsonRpcMessage::Response(response) => (Some(&response.id), Some(&response.result)),
            JsonRpcMessage::Error(error) => (error.id.as_ref(), None),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => return,
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(id) = id else {
            return;
        };
        match (requests.remove(&numeric(id)), result) {
            (Some(method), Some(result)) => {
                if let Some(problem) = result_problem(method, result) {
                    self.collector.record_invalid_field(method, &problem);
                }
            }
            (Some(_), None) => {}
            (None, _) => {
                // Only one request of a start is open at a time.
                if let Some((expected, method)) = requests.iter().next() {
                    let problem = format!("id: must be {expected} as in the request, not {id}");
                    self.collector.record_invalid_field(method, &problem);
                }
            }
        }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for CheckedResults<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if !self.collector.log.is_closed() {
            self.sent(&message);
        }
        if let Some(timeline) = self.collector.timeline() {
            timeline.record_sent(&message, &self.collector);
        }
        self.transport.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.transport.receive().await?;
        if let Some(timeline) = self.collector.timeline() {
            timeline.record_received(&message, &self.collector);
        }
        if !self.collector.log.is_closed() {
            self.received(&message);
        }
        Some(message)
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}

/// The number that an ID is the text of, or the ID itself.
pub(crate) fn numeric(id: &RequestId) -> RequestId {
    match id {
        RequestId::String(text) => text.parse().map_or_else(|_| id.clone(), RequestId::Number),
        RequestId::Number(_) => id.clone(),
    }
}

/// What is wrong with the result of a request. `None` if it conforms to the schema.
fn result_problem(method: &str, result: &ServerResult) -> Option<String> {
    match (method, result) {
        ("initialize", ServerResult::InitializeResult(_))
        | ("server/discover", ServerResult::DiscoverResult(_))
        | ("tools/list", ServerResult::ListToolsResult(_)) => None,
        _ => {
            let result = serde_json::to_value(result).ok()?;
            match method {
                "initialize" => field_problem::<InitializeResult>(&result),
                "server/discover" => field_problem::<DiscoverResult>(&result),
                _ => field_problem::<ListToolsResult>(&result).map(|problem| {
                    match name_of_entry(&result, &problem) {
                        Some(name) => format!("{problem} (the tool `{name}`)"),
                        None => problem,
                    }
                }),
            }
        }
    }
}

/// The name of the tool in which a problem at `tools[N]` is.
fn name_of_entry<'a>(result: &'a Value, problem: &str) -> Option<&'a str> {
    let index = problem.strip_prefix("tools[")?.split_once(']')?.0;
    let tool = result.get("tools")?.get(index.parse::<usize>().ok()?)?;
    tool.get("name")?.as_str()
}

/// The path of the first field that does not fit the type, and the problem with it.
fn field_problem<T: DeserializeOwned>(json: &Value) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(json).err()?;
    let path = error.path().to_string();
    let problem = error.into_inner().to_string();
    Some(match path.as_str() {
        "." => problem,
        path => format!("{path}: {problem}"),
    })
}

/// What is wrong with a JSON text that is not a JSON-RPC response (JSON-RPC 2.0, section 5). `None` if it is not an object, or if no
/// fault is found.
pub(crate) fn message_problem(text: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(text).ok()?;
    let message = json.as_object()?;
    // A line of a log may have a member `error`.
    let has = |name: &str| message.contains_key(name);
    if !has("jsonrpc") && !(has("id") && (has("result") || has("error"))) {
        return None;
    }
    match message.get("jsonrpc") {
        None => return Some("jsonrpc: missing field, must be \"2.0\"".to_owned()),
        Some(Value::String(version)) if version == "2.0" => {}
        Some(other) => return Some(format!("jsonrpc: must be \"2.0\", not {other}")),
    }
    if has("method") {
        // A request or a notification of the server.
        return None;
    }
    match message.get("id") {
        None if message.contains_key("result") => return Some("id: missing field".to_owned()),
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Number(id)) if id.is_i64() => {}
        Some(other) => return Some(format!("id: must be a number or a string, not {other}")),
    }
    match (message.get("result"), message.get("error")) {
        (None, None) => Some("result: missing field".to_owned()),
        (_, Some(error)) => {
            let problem = field_problem::<ErrorData>(error)?;
            // The message of the error has more information than the invalid field.
            Some(match error.get("message").and_then(Value::as_str) {
                Some(message) => format!("error.{problem}; error.message: {message}"),
                None => format!("error.{problem}"),
            })
        }
        (Some(Value::Object(_)), None) if message.get("id").is_some_and(Value::is_null) => {
            Some("id: must be that of the request, not null".to_owned())
        }
        (Some(Value::Object(_)), None) => None,
        (Some(other), None) => Some(format!("result: must be an object, not {}", kind_of(other))),
    }
}

fn kind_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
