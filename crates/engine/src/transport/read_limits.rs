//! How much the transports read from one server. The limits are low because many servers start at the same time.

use crate::start::evidence_collector::EvidenceCollector;

/// Before the server answers the handshake: 1 MiB.
pub(crate) const HANDSHAKE_BYTES: usize = 1024 * 1024;
/// One answer to a check after the handshake, such as a list of tools: 10 MB.
pub(crate) const CHECK_BYTES: usize = 10_000_000;

/// The largest message that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageLimit {
    pub bytes: usize,
    /// The values of its JSON, which take up more memory than their text.
    pub values: usize,
}

impl MessageLimit {
    const HANDSHAKE: Self = Self {
        bytes: HANDSHAKE_BYTES,
        values: 20_000,
    };
    /// Such as a page of 5,000 tools.
    const CHECK: Self = Self {
        bytes: CHECK_BYTES,
        values: 250_000,
    };
    /// The result of a call: 16 MiB.
    const LIVE: Self = Self {
        bytes: 16 * 1024 * 1024,
        values: 1_000_000,
    };
    /// A message that a live server sends by itself, such as a request for a sample with an image: 4 MiB.
    const UNREQUESTED: Self = Self {
        bytes: 4 * 1024 * 1024,
        values: 50_000,
    };

    /// The limit of the next message. `answered` is whether the server has answered the handshake.
    pub fn now(answered: bool, collector: &EvidenceCollector) -> Self {
        let calls = &collector.calls;
        // Many servers start at the same time, also if their clients are kept.
        match (answered, collector.log.is_closed()) {
            (false, _) => Self::HANDSHAKE,
            (true, false) => Self::CHECK,
            (true, true) if calls.is_empty() => Self::UNREQUESTED,
            (true, true) => Self::LIVE,
        }
    }

    /// The limit of a message of which `read` bytes have been read with this limit. A call that ends meanwhile does not lower it.
    pub fn or_larger(self, read: usize, now: Self) -> Self {
        match read > 0 && self.bytes > now.bytes {
            true => self,
            false => now,
        }
    }
}
