//! The messages to a client: a bounded queue that its transport writes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::protocol::{RequestId, RpcError, notification, response};

/// The sending end of the queue. If the queue is full, senders wait, so that no message is lost and memory is bounded.
#[derive(Clone)]
pub struct Outgoing {
    sender: mpsc::Sender<String>,
    opted_out: Arc<OnceLock<HashSet<String>>>,
    closed: CancellationToken,
}

impl Outgoing {
    pub fn new(sender: mpsc::Sender<String>) -> Self {
        Self {
            sender,
            opted_out: Arc::default(),
            closed: CancellationToken::new(),
        }
    }

    /// Sends no notification with one of these methods. Only the first call counts.
    pub fn opt_out(&self, methods: Vec<String>) {
        let _ = self.opted_out.set(methods.into_iter().collect());
    }

    /// Drops all messages from now on.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Sends a notification.
    pub async fn notify(&self, method: &'static str, params: &impl Serialize) {
        if let Some(message) = self.notification(method, params) {
            self.send(message).await;
        }
    }

    /// A notification, for [`send_first`](Self::send_first). `None` if the client does not want it.
    pub fn notification(&self, method: &'static str, params: &impl Serialize) -> Option<String> {
        let opted_out = self.opted_out.get();
        if opted_out.is_some_and(|methods| methods.contains(method)) {
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
            place.send(message);
        }
    }

    /// Sends a response. `None` as the ID means that the request has none that could be read.
    pub async fn respond(&self, id: Option<&RequestId>, result: &Result<Box<RawValue>, RpcError>) {
        match response(id, result) {
            Ok(message) => self.send(message).await,
            Err(error) => tracing::error!(%error, "a response can't be encoded"),
        }
    }

    async fn send(&self, message: String) {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => {}
            // The transport may have ended.
            _ = self.sender.send(message) => {}
        }
    }
}
