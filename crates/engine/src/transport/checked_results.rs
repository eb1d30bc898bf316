//! Checks the results of the requests of a start, and records what is wrong with one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, CustomResult, DiscoverResult, InitializeResult, JsonRpcMessage, JsonRpcRequest,
    ListToolsResult, RequestId, ServerJsonRpcMessage, ServerNotification, ServerRequest,
    ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;

use super::invalid_messages::{InvalidAnswer, field_problem};
use crate::start::evidence_collector::EvidenceCollector;

/// The maximum number of requests whose answers are checked. A start has fewer.
const MAX_REQUESTS: usize = 256;

/// The requests of a start that have no answer yet, with their methods.
#[derive(Debug, Default)]
pub(crate) struct OpenRequests(HashMap<RequestId, &'static str>);

impl OpenRequests {
    pub fn sent(&mut self, message: &TxJsonRpcMessage<RoleClient>) {
        if let JsonRpcMessage::Request(request) = message
            && let Some(method) = method_of_start(&request.request)
            && self.0.len() < MAX_REQUESTS
        {
            self.0.insert(request.id.clone(), method);
        }
    }

    /// Removes the request with this ID. Returns its method.
    pub fn answered(&mut self, id: &RequestId) -> Option<&'static str> {
        self.0.remove(&numeric(id))
    }

    /// The method of a request without an answer, if there is one.
    pub fn first(&self) -> Option<&'static str> {
        self.0.values().next().copied()
    }

    /// The result that takes the place of an invalid answer, so that nothing waits for another one. Records the problem. `None` if
    /// the answer is to no open request.
    pub fn replace(
        &mut self,
        answer: InvalidAnswer,
        collector: &EvidenceCollector,
    ) -> Option<ServerJsonRpcMessage> {
        let InvalidAnswer { id, problem } = answer;
        if collector.log.is_closed() {
            return id.map(invalid_result);
        }
        let id = match id {
            Some(id) => numeric(&id),
            // Only one request of a start is open at a time, except for an early one.
            None => self.0.keys().next()?.clone(),
        };
        let method = self.answered(&id)?;
        collector.record_invalid_field(method, &problem);
        Some(invalid_result(id))
    }
}

/// Whether a message may be a notification that logs an error.
pub(crate) fn may_log_an_error(message: &str) -> bool {
    let levels = ["\"error\"", "\"critical\"", "\"alert\"", "\"emergency\""];
    message.contains("\"notifications/message\"")
        && levels.iter().any(|level| message.contains(level))
}

/// Records the error that a notification logs.
#[expect(
    deprecated,
    reason = "MCP 2026-07-28 deprecates logging, and servers of all eras use it"
)]
pub(crate) fn record_logged_error(
    notification: &ServerNotification,
    collector: &EvidenceCollector,
) {
    use rmcp::model::LoggingLevel::{Alert, Critical, Emergency, Error};
    if let ServerNotification::LoggingMessageNotification(log) = notification
        && matches!(log.params.level, Error | Critical | Alert | Emergency)
    {
        collector.record_logged_error(&log.params.data);
    }
}

/// The method of a request of a start.
fn method_of_start(request: &ClientRequest) -> Option<&'static str> {
    match request {
        ClientRequest::InitializeRequest(_) => Some("initialize"),
        ClientRequest::DiscoverRequest(_) => Some("server/discover"),
        ClientRequest::ListToolsRequest(_) => Some("tools/list"),
        _ => None,
    }
}

/// A result that conforms to no method.
pub(crate) fn invalid_result(id: RequestId) -> ServerJsonRpcMessage {
    let result = CustomResult::new(serde_json::json!({ "invalid": true }));
    JsonRpcMessage::response(ServerResult::CustomResult(result), id)
}

/// A transport that records why the result of a start's request is invalid.
pub(crate) struct CheckedResults<T> {
    transport: T,
    collector: Arc<EvidenceCollector>,
    requests: Mutex<OpenRequests>,
}

impl<T> CheckedResults<T> {
    pub fn new(transport: T, collector: Arc<EvidenceCollector>) -> Self {
        Self {
            transport,
            collector,
            requests: Mutex::default(),
        }
    }

    fn requests(&self) -> MutexGuard<'_, OpenRequests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the result that takes the place of a request of this client that the server sends back. Nothing answers it.
    fn echo(&self, request: &JsonRpcRequest<ServerRequest>) -> Option<ServerJsonRpcMessage> {
        let ServerRequest::CustomRequest(sent) = &request.request else {
            return None;
        };
        let mut requests = self.requests();
        let method = requests.0.get(&request.id).copied();
        let method = method.filter(|method| *method == sent.method)?;
        if method == "tools/list" {
            let echo = InvalidAnswer {
                id: Some(request.id.clone()),
                problem: "method: it sends the request back".to_owned(),
            };
            return requests.replace(echo, &self.collector);
        }
        requests.answered(&request.id);
        let echo = serde_json::to_vec(
            &JsonRpcMessage::<_, ServerResult, ServerNotification>::Request(request.clone()),
        );
        self.collector
            .record_non_mcp_output(&echo.unwrap_or_default());
        Some(invalid_result(request.id.clone()))
    }

    /// Returns the message, or what takes its place.
    fn received(&self, message: RxJsonRpcMessage<RoleClient>) -> RxJsonRpcMessage<RoleClient> {
        let (id, result) = match &message {
            JsonRpcMessage::Response(response) => (Some(&response.id), Some(&response.result)),
            JsonRpcMessage::Error(error) => (error.id.as_ref(), None),
            JsonRpcMessage::Request(request) => {
                return match self.echo(request) {
                    Some(answer) => answer,
                    None => message,
                };
            }
            JsonRpcMessage::Notification(notification) => {
                record_logged_error(&notification.notification, &self.collector);
                return message;
            }
        };
        let Some(id) = id else {
            return message;
        };
        let mut requests = self.requests();
        match (requests.answered(id), result) {
            (Some(method), Some(result)) => {
                if let Some(problem) = result_problem(method, result) {
                    self.collector.record_invalid_field(method, &problem);
                }
            }
            (Some(_), None) => {}
            (None, _) => {
                // Only one request of a start is open at a time.
                if let Some((expected, method)) = requests.0.iter().next() {
                    let problem = format!("id: must be {expected} as in the request, not {id}");
                    self.collector.record_invalid_field(method, &problem);
                }
            }
        }
        drop(requests);
        message
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for CheckedResults<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if !self.collector.log.is_closed() {
            self.requests().sent(&message);
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
        if self.collector.log.is_closed() {
            return Some(message);
        }
        Some(self.received(message))
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
                "initialize" => field_problem::<InitializeResult>("result", "", &result),
                "server/discover" => field_problem::<DiscoverResult>("result", "", &result),
                _ => field_problem::<ListToolsResult>("result", "", &result).map(|problem| {
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

#[cfg(test)]
mod tests {
    use super::super::invalid_messages::{Received, read_message};
    use super::*;

    #[test]
    fn a_result_in_place_of_an_invalid_one_conforms_to_no_method() {
        let message = invalid_result(RequestId::Number(1));
        let read = read_message(&serde_json::to_vec(&message).unwrap(), false);
        let Received::Message(message) = read else {
            panic!("it must be a message");
        };
        let JsonRpcMessage::Response(response) = *message else {
            panic!("it must be a response");
        };
        for method in ["initialize", "server/discover", "tools/list"] {
            assert!(
                result_problem(method, &response.result).is_some(),
                "{method}"
            );
        }
    }
}
