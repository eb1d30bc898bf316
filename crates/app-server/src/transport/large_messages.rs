//! The limit for clients that send large messages: the WebSocket keeps a buffer as large as the largest message until its client leaves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of a large message, in bytes.
const LARGE_BYTES: usize = 1024 * 1024;
/// How many clients may send large messages.
const MAX_CLIENTS: usize = 8;

/// The places for clients that send large messages.
#[derive(Clone, Debug)]
pub(super) struct LargeMessages(Arc<Semaphore>);

impl Default for LargeMessages {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CLIENTS)))
    }
}

/// The size of the message that a client is sending.
#[derive(Debug)]
pub(super) struct MessageSize {
    places: LargeMessages,
    read: AtomicUsize,
    place: OnceLock<OwnedSemaphorePermit>,
    is_refused: AtomicBool,
}

impl MessageSize {
    pub(super) fn new(places: &LargeMessages) -> Self {
        Self {
            places: places.clone(),
            read: AtomicUsize::new(0),
            place: OnceLock::new(),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Whether more of the message may be read. The first time that it is large, the client takes a place if there is one.
    pub(super) fn may_grow(&self) -> bool {
        if self.read.load(Ordering::Relaxed) < LARGE_BYTES || self.place.get().is_some() {
            return true;
        }
        match self.places.0.clone().try_acquire_owned() {
            Ok(place) => self.place.set(place).is_ok(),
            Err(_) => {
                self.is_refused.store(true, Ordering::Relaxed);
                false
            }
        }
    }

    pub(super) fn add(&self, bytes: usize) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The message is complete.
    pub(super) fn end(&self) {
        self.read.store(0, Ordering::Relaxed);
    }

    /// Whether the client sent a large message when there was no place.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_clients_can_send_large_messages_and_keep_their_places() {
        let places = LargeMessages::default();
        let mut clients: Vec<_> = (0..=MAX_CLIENTS)
            .map(|_| MessageSize::new(&places))
            .collect();
        for (number, client) in clients.iter().enumerate() {
            client.add(LARGE_BYTES - 1);
            assert!(client.may_grow());
            client.end();
            client.add(LARGE_BYTES);
            assert_eq!(client.may_grow(), number < MAX_CLIENTS);
            assert_eq!(client.is_refused(), number == MAX_CLIENTS);
            client.end();
        }
        // The buffer is still there.
        let last = clients.pop();
        clients.pop();
        let last = last.as_ref();
        assert!(last.is_some_and(|last| {
            last.add(LARGE_BYTES);
            last.may_grow()
        }));
    }
}
