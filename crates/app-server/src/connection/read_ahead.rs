//! [`ReadAhead`]: the frames of a client, read before they are handled, so that its end is noticed while its requests wait.

use std::collections::VecDeque;

use futures::{FutureExt, Stream, StreamExt};

use super::Frame;

/// How many bytes are read ahead at most, beyond the last frame.
const MAX_BYTES: usize = 64 * 1024;
/// How many bytes a frame counts in addition to its message.
const FRAME_BYTES: usize = 64;

/// The frames of a client.
pub struct ReadAhead<S> {
    frames: S,
    waiting: VecDeque<Frame>,
    /// The size of the frames that wait.
    bytes: usize,
    has_ended: bool,
}

impl<S: Stream<Item = Frame> + Unpin> ReadAhead<S> {
    pub fn new(frames: S) -> Self {
        Self {
            frames,
            waiting: VecDeque::new(),
            bytes: 0,
            has_ended: false,
        }
    }

    /// The next frame. It may be dropped before it is ready: no frame is lost.
    pub async fn next(&mut self) -> Option<Frame> {
        if self.waiting.is_empty() && !self.has_ended {
            let frame = self.frames.next().await;
            self.add(frame);
        }
        while !self.has_ended
            && self.bytes < MAX_BYTES
            && let Some(frame) = self.frames.next().now_or_never()
        {
            self.add(frame);
        }
        let frame = self.waiting.pop_front()?;
        self.bytes -= size(&frame);
        Some(frame)
    }

    /// Reads ahead while a frame is handled. Returns when the client has left. It may be dropped before: no frame is lost.
    pub async fn ended(&mut self) {
        while !self.has_ended {
            if self.bytes >= MAX_BYTES {
                return std::future::pending().await;
            }
            let frame = self.frames.next().await;
            self.add(frame);
        }
    }

    /// Whether the client has left. Frames may still wait.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn add(&mut self, frame: Option<Frame>) {
        match frame {
            Some(frame) => {
                self.bytes += size(&frame);
                self.waiting.push_back(frame);
            }
            None => self.has_ended = true,
        }
    }
}

fn size(frame: &Frame) -> usize {
    FRAME_BYTES
        + match frame {
            Frame::Message(bytes) => bytes.len(),
            Frame::TooLong => 0,
        }
}
