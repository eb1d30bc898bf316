//! [`ProgressFeed`]: the progress that a server reports about the requests it is answering.

use mcp_startup_core::printable;
use rmcp::model::{NumberOrString, ProgressNotificationParam};
use tokio::sync::broadcast;

/// How many notifications are kept for a subscriber that is slow. It misses the oldest of more.
const KEPT: usize = 64;
/// The maximum length of a message, in characters.
const MESSAGE_CHARS: usize = 1000;

/// The progress that a server reports about the requests it is answering, in the order in which it arrives.
#[derive(Clone, Debug)]
pub struct ProgressFeed(broadcast::Sender<ProgressNotificationParam>);

impl Default for ProgressFeed {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl ProgressFeed {
    /// Receives the progress of all requests from now on. Subscribe before you send a request, and compare its progress token.
    ///
    /// A message is cut to 1,000 characters and has no control characters. A receiver that is slow misses the oldest of more than 64.
    pub fn subscribe(&self) -> broadcast::Receiver<ProgressNotificationParam> {
        self.0.subscribe()
    }

    /// Passes a notification on to the subscribers. The SDK's tokens are numbers, so another one belongs to no request.
    pub(crate) fn send(&self, received: &ProgressNotificationParam) {
        if self.0.receiver_count() == 0
            || matches!(received.progress_token.0, NumberOrString::String(_))
        {
            return;
        }
        let token = received.progress_token.clone();
        let mut progress = ProgressNotificationParam::new(token, received.progress);
        progress.total = received.total;
        let message = received.message.as_deref();
        progress.message = message.map(|message| printable(message, MESSAGE_CHARS));
        // There may be no subscriber left.
        let _ = self.0.send(progress);
    }
}
