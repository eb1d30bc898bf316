//! [`MessageBuffer`]: the bytes of a message that is being read.

use std::ops::Deref;

use memmap2::MmapMut;

use super::read_limits::HANDSHAKE_BYTES;

/// The bytes of a message that is being read. A large one has pages of its own, which the system gets back when it is dropped. An
/// allocator copies such a message while it grows, and keeps much of its memory for later ones.
#[derive(Debug)]
pub(crate) enum MessageBuffer {
    Small(Vec<u8>),
    Large { pages: MmapMut, length: usize },
}

impl Default for MessageBuffer {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl From<Vec<u8>> for MessageBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Small(bytes)
    }
}

impl Deref for MessageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large { pages, length } => &pages[..*length],
        }
    }
}

impl MessageBuffer {
    /// Adds a part of a message that has at most `limit` bytes.
    pub fn add(&mut self, part: &[u8], limit: usize) {
        let (before, after) = (self.len(), self.len() + part.len());
        let is_full = match self {
            Self::Small(_) => after > HANDSHAKE_BYTES,
            Self::Large { pages, .. } => after > pages.len(),
        };
        // Pages that are not written to take no memory.
        if is_full && let Ok(mut pages) = MmapMut::map_anon(limit.max(after)) {
            pages[..before].copy_from_slice(self);
            let length = before;
            *self = Self::Large { pages, length };
        }
        match self {
            Self::Small(bytes) => bytes.extend_from_slice(part),
            Self::Large { pages, length } if after <= pages.len() => {
                pages[before..after].copy_from_slice(part);
                *length = after;
            }
            // The system has no more pages. The allocator may have memory.
            Self::Large { .. } => *self = Self::Small([self, part].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_keeps_its_bytes() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(3_000_001).collect();
        for (part, limit) in [(1, 0), (4096, 10_000_000), (700_001, 1_500_000)] {
            let text = &text[..text.len().min(part * 10_000)];
            let mut buffer = MessageBuffer::default();
            for part in text.chunks(part) {
                buffer.add(part, limit);
            }
            assert!(*buffer == *text, "{part}");
            let is_large = matches!(buffer, MessageBuffer::Large { .. });
            assert_eq!(is_large, text.len() > HANDSHAKE_BYTES);
        }
    }
}
