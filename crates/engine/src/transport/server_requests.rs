//! Limits the messages of a server over any transport, its requests that have no response yet, and its notifications that are being
//! handled.
//!
//! A server can send requests, such as `ping`, without ever reading the responses. The SDK would keep all of them in memory. It also
//! starts a task for each notification, and these tasks would pile up.
//!
//! Before the answer to `initialize`, a server may send only `ping` and logs, and the SDK drops any other request. Some servers wait for
//! the answer. The official SDKs for TypeScript and Python answer such a request with an error, so this client does too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_auth::RequestLog;
use mcp_startup_core::ExceededLimit;
use rmcp::RoleClient;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ClientResult, ErrorCode, ErrorData, GetExtensions,
    JsonRpcMessage, JsonRpcRequest, RequestId, ServerNotification, ServerRequest,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::held_results::{HeldResult, json_bytes};
use super::progress::ProgressFeed;
use crate::start::evidence_collector::EvidenceCollector;

/// The maximum number of requests of a server without a response.
pub(crate) const MAX_OPEN_REQUESTS: usize = 64;
/// The maximum number of notifications that are handled at the same time.
const MAX_OPEN_NOTIFICATIONS: usize = 64;
/// The maximum number of messages until a server is ready.
pub(crate) const MAX_MESSAGES: usize = 1000;
/// The maximum length of a request ID that is kept, in bytes. JSON-RPC sets no limit.
const MAX_ID_BYTES: usize = 1024;

/// A transport that reads no further while too many requests of the server have no response.
///
/// Until the server is ready, too many such requests end the connection. Afterwards, it waits until the server has read responses.
pub(crate) struct LimitedServerRequests<T> {
    transport: T,
    open: Arc<OpenRequests>,
    /// A notification holds a permit in its extensions, which the SDK drops with it.
    notifications: Arc<Semaphore>,
    log: RequestLog,
    progress: ProgressFeed,
    /// How many messages have arrived.
    received: usize,
    /// A result that waits for its memory.
    waiting: Option<(RxJsonRpcMessage<RoleClient>, HeldResult)>,
    /// Whether `initialize` was sent and has no answer yet.
    is_initializing: bool,
    /// The answers to the requests before that one. They end with the connection.
    early_answers: JoinSet<()>,
    collector: Arc<EvidenceCollector>,
}

#[derive(Default)]
struct OpenRequests {
    ids: Mutex<HashSet<RequestId>>,
    one_less: Notify,
}

impl OpenRequests {
    fn lock(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.lock().len() >= MAX_OPEN_REQUESTS
    }

    fn remove(&self, id: &RequestId) {
        if self.lock().remove(id) {
            self.one_less.notify_one();
        }
    }
}

impl<T> LimitedServerRequests<T> {
    /// The log of `collector` is open until the server is ready, and records that the limit was exceeded.
    pub fn new(transport: T, collector: &Arc<EvidenceCollector>) -> Self {
        Self {
            transport,
            open: Arc::default(),
            notifications: Arc::new(Semaphore::new(MAX_OPEN_NOTIFICATIONS)),
            log: collector.log.clone(),
            progress: collector.progress.clone(),
            received: 0,
            waiting: None,
            is_initializing: false,
            early_answers: JoinSet::new(),
            collector: collector.clone(),
        }
    }
}

/// The answer to a request that a server sends before it has answered `initialize`. The client has declared no capabilities, so it
/// supports only `ping` (JSON-RPC 2.0, section 5.1: method not found).
pub(crate) fn early_answer(
    request: &JsonRpcRequest<ServerRequest>,
    collector: &EvidenceCollector,
) -> ClientJsonRpcMessage {
    if matches!(request.request, ServerRequest::PingRequest(_)) {
        return JsonRpcMessage::response(ClientResult::empty(()), request.id.clone());
    }
    let json = serde_json::to_value(&request.request).unwrap_or_default();
    let method = json.get("method").and_then(serde_json::Value::as_str);
    collector.record_early_request(method.unwrap_or_default());
    let error = ErrorData::new(
        ErrorCode::METHOD_NOT_FOUND,
        "this client does not support the method, and answers no request but `ping` before `initialize` is answered",
        None,
    );
    JsonRpcMessage::error(error, Some(request.id.clone()))
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for LimitedServerRequests<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        if let JsonRpcMessage::Request(request) = &message {
            self.is_initializing = matches!(request.request, ClientRequest::InitializeRequest(_));
        }
        self.collector.calls.sent(&message);
        let open = self.open.clone();
        let sending = self.transport.send(message);
        async move {
            let sent = sending.await;
            if let Some(id) = answered {
                open.remove(&id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        if self.waiting.is_none() {
            let message = self.next().await?;
            let Some(call) = self.call_of(&message) else {
                return Some(message);
            };
            self.waiting = Some((message, call));
        }
        // If this is dropped, the next call continues to wait.
        if let Some((message, call)) = &self.waiting {
            call.hold(json_bytes(message)).await;
        }
        self.waiting.take().map(|(message, _)| message)
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}

impl<T: Transport<RoleClient>> LimitedServerRequests<T> {
    /// The call that a message answers, if its result does not have its memory yet.
    fn call_of(&self, message: &RxJsonRpcMessage<RoleClient>) -> Option<HeldResult> {
        let id = match message {
            JsonRpcMessage::Response(response) => &response.id,
            JsonRpcMessage::Error(error) => error.id.as_ref()?,
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => return None,
        };
        let call = self.collector.calls.of(id);
        self.collector.calls.answered(id);
        call.filter(|call| !call.is_held())
    }

    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            while self.open.is_full() {
                if !self.log.is_closed() {
                    self.log.exceed(ExceededLimit::ServerRequests);
                    return None;
                }
                self.open.one_less.notified().await;
            }
            // The SDK starts a task for each message. They must get their turn, also on a runtime with one thread.
            tokio::task::consume_budget().await;
            // Nothing closes the semaphore.
            let permit = self.notifications.clone().acquire_owned().await.ok()?;
            let mut message = self.transport.receive().await?;
            self.received = self.received.saturating_add(1);
            if self.received > MAX_MESSAGES && !self.log.is_closed() {
                self.log.exceed(ExceededLimit::Messages);
                return None;
            }
            match &mut message {
                JsonRpcMessage::Request(request) => {
                    let is_too_long =
                        matches!(&request.id, RequestId::String(id) if id.len() > MAX_ID_BYTES);
                    // The SDK answers only one of several requests with the same ID.
                    if is_too_long || !self.open.lock().insert(request.id.clone()) {
                        continue;
                    }
                    let is_ping = matches!(request.request, ServerRequest::PingRequest(_));
                    if self.is_initializing && !is_ping {
                        let answer = early_answer(request, &self.collector);
                        let sending = self.send(answer);
                        while self.early_answers.try_join_next().is_some() {}
                        // The server may send more before it reads the answer.
                        self.early_answers.spawn(async { drop(sending.await) });
                        continue;
                    }
                }
                // The SDK sends no response to a request that the server has cancelled.
                JsonRpcMessage::Notification(notification) => {
                    if let ServerNotification::CancelledNotification(cancelled) =
                        &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        self.open.remove(id);
                    }
                    if let ServerNotification::ProgressNotification(progress) =
                        &notification.notification
                    {
                        self.progress.send(&progress.params);
                    }
                    let extensions = notification.notification.extensions_mut();
                    extensions.insert(Arc::new(permit));
                }
                JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                    self.is_initializing = false;
                }
            }
            return Some(message);
        }
    }
}
