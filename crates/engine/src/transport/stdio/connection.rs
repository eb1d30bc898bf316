//! The connection to a program: one handshake at a time borrows it, and its output is limited until the server answers.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::ChildStdout;

use mcp_startup_auth::RequestLog;

use super::output::HEAD_BYTES;
use super::{Connection, ConnectionSlot, lock};
use crate::transport::json_size::{CHECK_VALUES, HANDSHAKE_VALUES, LIVE_VALUES, ValueCounter};
use crate::transport::large_messages::LargeMessage;
use crate::transport::read_limits::{CHECK_BYTES, HANDSHAKE_BYTES};

/// Takes the connection from its slot for one handshake. It returns there if the handshake fails.
pub(crate) fn lend(slot: &ConnectionSlot) -> Option<LentConnection> {
    let connection = take(slot)?;
    Some(LentConnection {
        connection: Some(connection),
        slot: slot.clone(),
    })
}

pub(super) fn take(slot: &ConnectionSlot) -> Option<Connection> {
    lock(slot).take()
}

/// The connection to a program, lent to one handshake. If the handshake fails, the SDK drops this, and `drop` puts the connection
/// back for the next handshake.
pub(crate) struct LentConnection {
    connection: Option<Connection>,
    slot: ConnectionSlot,
}

impl Drop for LentConnection {
    fn drop(&mut self) {
        *lock(&self.slot) = self.connection.take();
    }
}

impl Transport<RoleClient> for LentConnection {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let sending = self
            .connection
            .as_mut()
            .map(|connection| connection.send(message));
        async move {
            match sending {
                Some(sending) => sending.await,
                None => Err(std::io::ErrorKind::NotConnected.into()),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        self.connection.as_mut()?.receive().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // This closes the input of the program, which requests it to exit.
        drop(self.connection.take());
        Ok(())
    }
}

/// The state of the output of a program. `read` counts bytes until the handshake is `answered`.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub read: AtomicUsize,
    pub answered: AtomicBool,
    /// Whether the tool list may arrive before the handshake is answered.
    pub lists_early: AtomicBool,
    pub exceeded: AtomicBool,
    /// Whether a message after the handshake was too long to be read.
    pub too_long: AtomicBool,
    /// Whether the client is kept, so that larger messages are accepted.
    pub live: bool,
    pub head: Mutex<Vec<u8>>,
}

/// The stdout of a program. It fails if the program writes too much before it answers the handshake, or before it is ready.
pub(crate) struct BoundedOutput {
    pub stdout: ChildStdout,
    /// Counts the bytes until the server is ready.
    pub log: RequestLog,
    pub values: ValueCounter,
    /// The length of the line that is being read, in bytes.
    pub line: usize,
    pub large: LargeMessage,
    pub(super) output: Arc<Output>,
}

impl AsyncRead for BoundedOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let Self {
            stdout,
            log,
            values: counter,
            line,
            large,
            output,
        } = &mut *self;
        if !log.is_closed() {
            ready!(large.poll_place(*line, context));
        }
        let polled = Pin::new(stdout).poll_read(context, buffer);
        if polled.is_pending() {
            return polled;
        }
        let new = &buffer.filled()[before..];
        *line = match memchr::memrchr(b'\n', new) {
            Some(end) => new.len() - end - 1,
            None => line.saturating_add(new.len()),
        };
        if log.received(new.len()).is_err() {
            return Poll::Ready(Err(std::io::Error::other("too much output")));
        }
        let is_answered = output.answered.load(Ordering::Relaxed);
        let may_list = is_answered || output.lists_early.load(Ordering::Relaxed);
        let limit = match (may_list, output.live) {
            (false, _) => HANDSHAKE_VALUES,
            (true, false) => CHECK_VALUES,
            (true, true) => LIVE_VALUES,
        };
        if counter.count_lines(new) > limit {
            let flag = if may_list {
                &output.too_long
            } else {
                &output.exceeded
            };
            flag.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(std::io::Error::other("a message has too many values")));
        }
        // The SDK drops such a line.
        if may_list && *line > CHECK_BYTES && !output.live {
            output.too_long.store(true, Ordering::Relaxed);
        }
        if is_answered {
            return polled;
        }
        let read = output.read.fetch_add(new.len(), Ordering::Relaxed);
        if read < HEAD_BYTES {
            let kept = new.len().min(HEAD_BYTES - read);
            lock(&output.head).extend_from_slice(&new[..kept]);
        }
        let limit = match may_list {
            true => HANDSHAKE_BYTES + CHECK_BYTES,
            false => HANDSHAKE_BYTES,
        };
        if read + new.len() > limit {
            output.exceeded.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(std::io::Error::other(
                "too much output before the answer to the handshake",
            )));
        }
        polled
    }
}
