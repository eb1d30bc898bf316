//! The messages to a client: a bounded queue that its transport writes, and the memory for results in it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use mcp_startup::{HeldResult, ResultMemory};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app_server::AppServer;
use crate::protocol::{ErrorCode, RequestId, RpcError, notification, response};

/// How many messages wait for a client that reads slowly. Then its requests are not read, and its servers wait.
const QUEUED_MESSAGES: usize = 64;
/// How many bytes of results wait for a client to read them. Then the results of its calls wait at its servers, which are read no
/// further. A larger result waits until the client has read all others.
const UNREAD_BYTES: usize = 8 * 1024 * 1024;
/// A result up to this size takes up no memory, except that of a call.
const SMALL_BYTES: usize = 16 * 1024;

/// The methods of all notifications.
const NOTIFICATIONS: [&str; 5] = [
    mcp_startup::METHOD,
    "mcpServer/oauthLogin/completed",
    "mcpStartup/failure/updated",
    "mcpStartup/servers/updated",
    "mcpStartup/toolCall/progress",
];

/// A message in the queue.
pub struct QueuedMessage {
    pub text: String,
    /// The memory of a result. Dropping the message frees it.
    pub held: Option<HeldResult>,
}

/// The sending end of the queue. If the queue is full, senders wait, so that no message is lost and memory is bounded.
#[derive(Clone)]
pub struct Outgoing {
    sender: mpsc::Sender<QueuedMessage>,
    results: ResultMemory,
    opted_out: Arc<OnceLock<Vec<&'static str>>>,
    closed: CancellationToken,
}

impl Outgoing {
    /// The queue of a client, and its receiving end.
    pub fn new(app: &AppServer) -> (Self, mpsc::Receiver<QueuedMessage>) {
        let (sender, receiver) = mpsc::channel(QUEUED_MESSAGES);
        let outgoing = Self {
            sender,
            results: app.results().part(UNREAD_BYTES),
            opted_out: Arc::default(),
            closed: CancellationToken::new(),
        };
        (outgoing, receiver)
    }

    /// The memory for the results that the client has not read yet.
    pub fn results(&self) -> &ResultMemory {
        &self.results
    }

    /// Waits until the transport has ended.
    pub async fn ended(&self) {
        self.sender.closed().await;
    }

    /// Sends no notification with one of these methods. Only the first call counts. Methods that do not exist are not kept.
    pub fn opt_out(&self, methods: &HashSet<String>) {
        let _ = self.opted_out.set(existing(methods));
    }

    /// Drops all notifications from now on.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Sends a notification.
    pub async fn notify(&self, method: &'static str, params: &impl Serialize) {
        if let Some(message) = self.notification(method, params) {
            self.send_first(&mut VecDeque::from([message])).await;
        }
    }

    /// A notification, for [`send_first`](Self::send_first). `None` if the client does not want it.
    pub fn notification(&self, method: &'static str, params: &impl Serialize) -> Option<String> {
        debug_assert!(NOTIFICATIONS.contains(&method), "{method}");
        let opted_out = self.opted_out.get();
        if opted_out.is_some_and(|methods| methods.contains(&method)) {
            return None;
        }
        notification(method, params)
            .inspect_err(|error| tracing::error!(%error, method, "a notification can't be encoded"))
            .ok()
    }

    /// Sends the first of these messages, and removes it. If the future is dropped before, the message is still there.
    pub async fn send_first(&self, unsent: &mut VecDeque<String>) {
        let place = tokio::select! {
            biased;
            () = self.closed.cancelled() => None,
            place = self.sender.reserve() => place.ok(),
        };
        // Without a place, the transport has ended.
        if let (Some(message), Some(place)) = (unsent.pop_front(), place) {
            place.send(QueuedMessage {
                text: message,
                held: None,
            });
        }
    }

    /// Sends a response. `None` as the ID means that the request has none that could be read.
    pub async fn respond(&self, id: Option<&RequestId>, result: &Result<Box<RawValue>, RpcError>) {
        if let Some(message) = encoded(id, result) {
            self.send(message, None).await;
        }
    }

    /// Sends a response that was not available immediately, so that many of them can wait. `held` has the memory of its result, if it
    /// has any yet.
    pub async fn respond_later(
        &self,
        id: &RequestId,
        result: Result<Box<RawValue>, RpcError>,
        held: Option<HeldResult>,
    ) {
        let (result, held) = match (result, held) {
            (Ok(result), None) if result.get().len() > SMALL_BYTES => {
                let place = self.results.place();
                match place.try_hold(result.get().len()) {
                    true => (Ok(result), Some(place)),
                    false => (Err(unread()), None),
                }
            }
            other => other,
        };
        let message = encoded(Some(id), &result);
        drop(result);
        if let Some(message) = message {
            self.send(message, held).await;
        }
    }

    async fn send(&self, text: String, held: Option<HeldResult>) {
        let message = QueuedMessage { text, held };
        // The transport may have ended.
        let _ = self.sender.send(message).await;
    }
}

fn existing(methods: &HashSet<String>) -> Vec<&'static str> {
    let existing = NOTIFICATIONS.into_iter();
    existing
        .filter(|method| methods.contains(*method))
        .collect()
}

fn encoded(id: Option<&RequestId>, result: &Result<Box<RawValue>, RpcError>) -> Option<String> {
    response(id, result)
        .inspect_err(|error| tracing::error!(%error, "a response can't be encoded"))
        .ok()
}

fn unread() -> RpcError {
    RpcError::new(
        ErrorCode::Overloaded,
        "The client has not read the results of other requests: read them, and send the request again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_that_exist_are_kept_for_a_client() {
        let many = (0..1000).map(|number| format!("mcpStartup/{number}"));
        let methods = many.chain([mcp_startup::METHOD.to_owned()]).collect();
        assert_eq!(existing(&methods), [mcp_startup::METHOD]);
    }
}
