//! Limits the messages of a server over any transport, its requests that have no response yet, and its notifications that are being
//! handled.
//!
//! A server can send requests, such as `ping`, without ever reading the responses. The SDK would keep all of them in memory. It also
//! starts a task for each notification, and these tasks would pile up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_startup_auth::RequestLog;
use mcp_startup_core::ExceededLimit;
use rmcp::RoleClient;
use rmcp::model::{GetExtensions, JsonRpcMessage, RequestId, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::{Notify, Semaphore};

use super::progress::ProgressFeed;
use crate::start::evidence_collector::EvidenceCollector;

/// The maximum number of requests of a server without a response.
const MAX_OPEN_REQUESTS: usize = 64;
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
    pub fn new(transport: T, collector: &EvidenceCollector) -> Self {
        Self {
            transport,
            open: Arc::default(),
            notifications: Arc::new(Semaphore::new(MAX_OPEN_NOTIFICATIONS)),
            log: collector.log.clone(),
            progress: collector.progress.clone(),
            received: 0,
        }
    }
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
                JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
            }
            return Some(message);
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
