//! [`MessageBuffer`]: the bytes of a message that is being read.

use std::ops::Deref;

use memmap2::MmapMut;

/// The size from which a message has pages of its own, in bytes.
const LARGE_BYTES: usize = 128 * 1024;

/// The bytes of a message that is being read. A large one has pages of its own, which the system gets back when it is dropped. An
/// allocator copies such a message while it grows, and keeps much of its memory for later ones.
#[derive(Debug)]
pub(crate) enum MessageBuffer {
    Small(Vec<u8>),
    /// The bytes are those from `start` to `end`.
    Large {
        pages: MmapMut,
        start: usize,
        end: usize,
    },
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
            Self::Large { pages, start, end } => &pages[*start..*end],
        }
    }
}

impl MessageBuffer {
    /// Adds a part of a message that has at most `limit` bytes.
    pub fn add(&mut self, part: &[u8], limit: usize) {
        let (before, after) = (self.len(), self.len() + part.len());
        let is_full = match self {
            Self::Small(_) => after > LARGE_BYTES,
            Self::Large { pages, start, .. } => *start + after > pages.len(),
        };
        // Pages that are not written to take no memory.
        if is_full && let Ok(mut pages) = MmapMut::map_anon(limit.max(after)) {
            pages[..before].copy_from_slice(self);
            *self = Self::Large {
                pages,
                start: 0,
                end: before,
            };
        }
        match self {
            Self::Small(bytes) => bytes.extend_from_slice(part),
            Self::Large { pages, end, .. } if *end + part.len() <= pages.len() => {
                pages[*end..*end + part.len()].copy_from_slice(part);
                *end += part.len();
            }
            // The system has no more pages. The allocator may have memory.
            Self::Large { .. } => *self = Self::Small([self, part].concat()),
        }
    }

    /// Removes bytes from the front. The rest of a large message is not copied.
    pub fn remove_front(&mut self, number: usize) {
        match self {
            Self::Small(bytes) => drop(bytes.drain(..number.min(bytes.len()))),
            Self::Large { start, end, .. } => *start = (*start + number).min(*end),
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
            assert_eq!(is_large, text.len() > LARGE_BYTES);

            buffer.remove_front(part);
            assert!(*buffer == text[part..], "{part}");
            buffer.add(text, limit);
            assert!(*buffer == [&text[part..], text].concat(), "{part}");
        }
    }
}
