//! [`ResultMemory`]: limits the results of calls that a host has received, and has not passed on to its own client yet.
//!
//! The SDK passes a result on as soon as it arrives. A call whose request carries a [`HeldResult`] is passed on only when there is
//! memory for its result, and its server is read no further until then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rmcp::RoleClient;
use rmcp::model::{ClientNotification, GetExtensions, JsonRpcMessage, RequestId};
use rmcp::service::TxJsonRpcMessage;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::checked_results::numeric;
use super::turn::Turns;

/// A message that is larger is read in its turn, in bytes.
pub(crate) const SMALL_BYTES: usize = 16 * 1024;
/// From this number of calls on, those that nothing waits for are removed.
const MANY_CALLS: usize = 2048;

/// The memory for the results of the calls of one client of a host. A clone is the same memory.
#[derive(Clone, Debug)]
pub struct ResultMemory {
    own: Arc<Level>,
    /// The memory that it shares with others.
    shared: Option<Arc<Level>>,
    /// One large message at a time is read.
    turn: Turns,
}

#[derive(Debug)]
struct Level {
    bytes: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Level {
    fn new(bytes: usize) -> Arc<Self> {
        let bytes = bytes.min(u32::MAX as usize);
        Arc::new(Self {
            bytes,
            free: Arc::new(Semaphore::new(bytes)),
            waiting: AtomicUsize::new(0),
        })
    }

    /// A result that is larger than the whole memory takes all of it.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.bytes)).unwrap_or(u32::MAX)
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let taking = self.free.clone().acquire_many_owned(self.permits(bytes));
        taking.await.ok()
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let taken = self
            .free
            .clone()
            .try_acquire_many_owned(self.permits(bytes));
        taken.ok()
    }
}

impl ResultMemory {
    /// Creates a memory of this size, in bytes of JSON.
    pub fn new(bytes: usize) -> Self {
        Self {
            own: Level::new(bytes),
            shared: None,
            turn: Turns::new(1),
        }
    }

    /// Creates a memory for one client. Its results take up this memory too.
    #[must_use]
    pub fn part(&self, bytes: usize) -> Self {
        Self {
            shared: Some(self.own.clone()),
            ..Self::new(bytes)
        }
    }

    /// The place of a result that does not exist yet.
    ///
    /// Insert a clone into the extensions of the request, and keep the place until the result was passed on.
    pub fn place(&self) -> HeldResult {
        HeldResult(Arc::new(Held {
            memory: self.clone(),
            taken: OnceLock::new(),
        }))
    }

    /// Whether another client waits for the memory that this one shares with it.
    pub fn is_wanted(&self) -> bool {
        let waiting = |level: &Arc<Level>| level.waiting.load(Ordering::Relaxed) > 0;
        self.shared.as_ref().is_some_and(waiting)
    }
}

/// The place of one result in a [`ResultMemory`]. Dropping all its clones frees the memory.
#[derive(Clone, Debug)]
pub struct HeldResult(Arc<Held>);

#[derive(Debug)]
struct Held {
    memory: ResultMemory,
    taken: OnceLock<[Option<OwnedSemaphorePermit>; 2]>,
}

impl HeldResult {
    /// Waits until there is memory for a result of this size. Does nothing if the result has its memory.
    pub(crate) async fn hold(&self, bytes: usize) {
        if self.is_held() {
            return;
        }
        let ResultMemory { own, shared, .. } = &self.0.memory;
        let own = own.take(bytes).await;
        let shared = match shared {
            Some(shared) => shared.take(bytes).await,
            None => None,
        };
        let _ = self.0.taken.set([own, shared]);
    }

    /// Takes memory for a result of this size, unless the result has its memory. Returns whether there was enough.
    pub fn try_hold(&self, bytes: usize) -> bool {
        if self.is_held() {
            return true;
        }
        let ResultMemory { own, shared, .. } = &self.0.memory;
        let Some(own) = own.try_take(bytes) else {
            return false;
        };
        let shared = match shared {
            None => None,
            Some(shared) => match shared.try_take(bytes) {
                None => return false,
                taken => taken,
            },
        };
        let _ = self.0.taken.set([Some(own), shared]);
        true
    }

    pub(crate) fn is_held(&self) -> bool {
        self.0.taken.get().is_some()
    }
}

/// The requests to a server that have no answer yet, and the places of those whose results take up a [`ResultMemory`].
#[derive(Debug, Default)]
pub(crate) struct OpenCalls(Mutex<HashMap<RequestId, Option<Weak<Held>>>>);

impl OpenCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Option<Weak<Held>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn sent(&self, message: &TxJsonRpcMessage<RoleClient>) {
        match message {
            JsonRpcMessage::Request(request) => {
                let held = request.request.extensions().get();
                let held = held.map(|HeldResult(held)| Arc::downgrade(held));
                let mut calls = self.lock();
                if calls.len() >= MANY_CALLS {
                    calls.retain(|_, held| {
                        held.as_ref().is_some_and(|held| held.strong_count() > 0)
                    });
                }
                calls.insert(request.id.clone(), held);
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.answered(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
    }

    /// Whether each request has its answer, so that the server sends its next message by itself.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The place of the result of a call. `None` if nothing waits for it.
    pub fn of(&self, id: &RequestId) -> Option<HeldResult> {
        let calls = self.lock();
        calls.get(&numeric(id))?.as_ref()?.upgrade().map(HeldResult)
    }

    pub fn answered(&self, id: &RequestId) {
        self.lock().remove(&numeric(id));
    }

    /// The turns of large messages, if a call whose result takes up a [`ResultMemory`] is open. The servers of a client send their large
    /// messages one after another.
    pub fn turn(&self) -> Option<Turns> {
        let calls = self.lock();
        let mut open = calls.values().flatten().filter_map(Weak::upgrade);
        open.next().map(|held| held.memory.turn.clone())
    }
}

/// The size of a value as JSON, in bytes.
pub fn json_bytes(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting can't fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use rmcp::model::ClientJsonRpcMessage;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_open_until_it_is_answered_or_cancelled() {
        let calls = OpenCalls::default();
        let sent = |message| {
            let message: ClientJsonRpcMessage = serde_json::from_value(message).unwrap();
            calls.sent(&message);
        };
        for id in [1, 2] {
            sent(json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}));
        }
        calls.answered(&RequestId::Number(1));
        assert!(!calls.is_empty());
        let cancelled = json!({"requestId": 2});
        sent(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}));
        assert!(calls.is_empty());
    }

    #[tokio::test]
    async fn results_wait_for_the_memory_of_their_client_and_of_all_clients() {
        let all = ResultMemory::new(100);
        let (one, other) = (all.part(60), all.part(60));
        let hold = |memory: &ResultMemory, bytes| {
            let place = memory.place();
            place.hold(bytes).now_or_never().map(|()| place)
        };
        let first = hold(&one, 50).unwrap();
        assert!(hold(&one, 11).is_none(), "the client has read nothing");
        assert!(!one.place().try_hold(11));
        let second = hold(&other, 50).unwrap();
        assert!(hold(&one, 1).is_none(), "nothing is left for all");
        assert!(!one.is_wanted());
        let next = one.place();
        {
            let mut waiting = std::pin::pin!(next.hold(1));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert!(other.is_wanted());
            second.hold(1000).await;
            drop(second);
            waiting.await;
        }
        assert!(next.is_held() && !other.is_wanted());
        drop(next);
        drop(first);
        assert!(hold(&one, 1000).is_some(), "a larger one takes all");
    }
}
