//! The limit for clients that send large messages: the WebSocket keeps a buffer as large as the largest message until its client leaves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of a large message, in bytes.
const LARGE_BYTES: usize = 1024 * 1024;
/// How many clients may send large messages.
const MAX_CLIENTS: usize = 8;

/// The header of a control frame of a client (RFC 6455, section 5.2): its payload has at most 125 bytes, and is masked.
const CONTROL_HEADER_BYTES: usize = 6;

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

    /// A control frame with this payload was read, which may be between the frames of the message (RFC 6455, section 5.4).
    pub(super) fn add_control_frame(&self, payload: &[u8]) {
        let bytes = CONTROL_HEADER_BYTES + payload.len();
        let subtracted = |read: usize| Some(read.saturating_sub(bytes));
        let (set, fetched) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.read.fetch_update(set, fetched, subtracted);
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
        // Control frames count neither as messages nor as their end.
        let pinging = MessageSize::new(&places);
        for _ in 0..2 * LARGE_BYTES / 131 {
            pinging.add(131);
            pinging.add_control_frame(&[0; 125]);
            assert!(pinging.may_grow());
        }
        pinging.add(LARGE_BYTES);
        pinging.add_control_frame(b"");
        pinging.add(CONTROL_HEADER_BYTES);
        assert!(!pinging.may_grow());
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
