//! The connection to a program: one handshake at a time borrows it, and its output is limited until the server answers.

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Empty, ReadBuf};
use tokio::process::{ChildStdin, ChildStdout};

use mcp_startup_auth::network::Pauses;

use super::output::HEAD_BYTES;
use super::{ConnectionSlot, lock};
use crate::start::evidence_collector::EvidenceCollector;
use crate::transport::checked_results::OpenRequests;
use crate::transport::invalid_messages::{AnswerId, Received, read_message};
use crate::transport::json_size::{ValueCounter, parse_turn};
use crate::transport::large_messages::LargeMessage;
use crate::transport::message_buffer::MessageBuffer;
use crate::transport::read_limits::{CHECK_BYTES, HANDSHAKE_BYTES, MessageLimit};
use crate::transport::short_messages::short_message;

/// Takes the connection from its slot for one handshake. It returns there if the handshake fails.
pub(crate) fn lend(slot: &ConnectionSlot) -> Option<LentConnection> {
    let connection = take(slot)?;
    Some(LentConnection {
        connection: Some(connection),
        requests: OpenRequests::default(),
        slot: slot.clone(),
    })
}

pub(super) fn take(slot: &ConnectionSlot) -> Option<Connection> {
    lock(slot).take()
}

/// A line of the output.
enum Line {
    Whole,
    /// Its memory was needed for others. The request of a start that it answers ends at its time limit.
    Dropped,
    /// It was not read, and is the answer with this ID.
    Unread(AnswerId),
}

/// The stdin and the stdout of a program: one message a line.
pub(crate) struct Connection {
    output: BufReader<BoundedOutput>,
    /// The line that is being read. It survives a read that is cancelled.
    line: MessageBuffer,
    limit: MessageLimit,
    /// The ID in the line that is being read, if the line is too long or was dropped. The rest of it is not kept.
    unread: Option<AnswerId>,
    /// Whether the line that is being read was dropped, because its memory was needed for others.
    is_dropped: bool,
    /// The SDK writes the messages. It finishes one whose sending was cancelled.
    input: AsyncRwTransport<RoleClient, Empty, ChildStdin>,
    pauses: Pauses,
    collector: Arc<EvidenceCollector>,
}

impl Connection {
    pub fn new(
        output: BoundedOutput,
        input: ChildStdin,
        collector: Arc<EvidenceCollector>,
    ) -> Self {
        Self {
            output: BufReader::new(output),
            line: MessageBuffer::default(),
            limit: MessageLimit::default(),
            unread: None,
            is_dropped: false,
            input: AsyncRwTransport::new_client(tokio::io::empty(), input),
            pauses: Pauses::default(),
            collector,
        }
    }

    /// Reads the next message. Other lines are skipped. `None` if the output has ended or can't be read.
    async fn receive(
        &mut self,
        requests: &mut OpenRequests,
    ) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            self.pauses.pause().await;
            let received = self.read_line().await?;
            let mut line = std::mem::take(&mut self.line);
            self.pauses.handled(line.len());
            let is_starting = !self.collector.log.is_closed();
            if matches!(received, Line::Whole)
                && let Some(Ok(short)) = short_message(&line, is_starting)
            {
                line = short.into();
            }
            let line = line.trim_ascii();
            let received = match received {
                Line::Dropped => continue,
                Line::Unread(line) if line.is_of_server() => continue,
                Line::Unread(line) => match line.too_long(self.limit.bytes) {
                    Some(answer) => Received::InvalidAnswer(answer),
                    // An answer may be in the line, and its request would never end.
                    None if self.collector.log.is_closed() => return None,
                    None => continue,
                },
                Line::Whole if line.is_empty() => continue,
                Line::Whole => {
                    let _turn = parse_turn(line).await;
                    read_message(line, is_starting)
                }
            };
            let received = match received {
                Received::Message(message) => Some(*message),
                Received::InvalidAnswer(answer) => requests.replace(answer, &self.collector),
                Received::Other => None,
            };
            let output = &self.output.get_ref().output;
            if received.is_some() {
                output.since_message.store(0, Ordering::Relaxed);
                return received;
            }
            if output.answered.load(Ordering::Relaxed) {
                *lock(&output.last_other) = line[..line.len().min(HEAD_BYTES)].to_vec();
            }
        }
    }

    /// Reads a line, which `line` has then, unless it is longer than allowed. `None` if the output has ended or can't be read.
    async fn read_line(&mut self) -> Option<Line> {
        loop {
            match self.output.fill_buf().await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    let line = std::mem::take(&mut self.line);
                    self.unread.get_or_insert_default().read(&line);
                    self.is_dropped = true;
                    continue;
                }
                Err(_) => return None,
            }
            let available = self.output.buffer();
            if available.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', available);
            let length = end.map_or(available.len(), |end| end + 1);
            let now = MessageLimit::now(true, &self.collector);
            self.limit = self.limit.or_larger(self.line.len(), now);
            if self.unread.is_none() && self.line.len() + length > self.limit.bytes {
                let unread = self.unread.insert(AnswerId::default());
                unread.read(&std::mem::take(&mut self.line));
                let output = &self.output.get_ref().output;
                output.too_long.store(true, Ordering::Relaxed);
            }
            match &mut self.unread {
                Some(unread) => unread.read(&available[..length]),
                None => self.line.add(&available[..length], self.limit.bytes),
            }
            self.output.consume(length);
            if end.is_none() {
                continue;
            }
            let is_dropped = std::mem::take(&mut self.is_dropped);
            return Some(match self.unread.take() {
                Some(_) if is_dropped && !self.collector.log.is_closed() => Line::Dropped,
                Some(unread) => Line::Unread(unread),
                None => Line::Whole,
            });
        }
    }

    /// Reads the rest of the output, of which the beginning is kept.
    pub async fn drain(&mut self) {
        while let Ok(available @ [_, ..]) = self.output.fill_buf().await {
            let length = available.len();
            self.output.consume(length);
        }
    }
}

/// The connection to a program, lent to one handshake. If the handshake fails, the SDK drops this, and `drop` puts the connection
/// back for the next handshake.
pub(crate) struct LentConnection {
    connection: Option<Connection>,
    requests: OpenRequests,
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
        if let Some(connection) = &self.connection
            && !connection.collector.log.is_closed()
        {
            self.requests.sent(&message);
        }
        let sending = self
            .connection
            .as_mut()
            .map(|connection| connection.input.send(message));
        async move {
            match sending {
                Some(sending) => sending.await,
                None => Err(std::io::ErrorKind::NotConnected.into()),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let connection = self.connection.as_mut()?;
        connection.receive(&mut self.requests).await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // This closes the input of the program, which requests it to exit.
        drop(self.connection.take());
        Ok(())
    }
}

/// The state of the output of a program.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The bytes until the handshake is answered.
    pub read: AtomicUsize,
    /// The bytes since the last message, until the handshake is answered. The limits of a start apply to messages.
    pub since_message: AtomicUsize,
    /// Whether the program has closed it.
    pub ended: AtomicBool,
    pub answered: AtomicBool,
    /// Whether the tool list may arrive before the handshake is answered.
    pub lists_early: AtomicBool,
    pub exceeded: AtomicBool,
    /// Whether a message after the handshake was too long to be read.
    pub too_long: AtomicBool,
    pub head: Mutex<Vec<u8>>,
    /// The beginning of the last line after the handshake that is not a message.
    pub last_other: Mutex<Vec<u8>>,
}

/// The stdout of a program. It fails if the program writes too much before it answers the handshake, or before it is ready.
pub(crate) struct BoundedOutput {
    pub stdout: ChildStdout,
    /// Its log counts the bytes until the server is ready.
    pub collector: Arc<EvidenceCollector>,
    pub values: ValueCounter,
    /// The limit of the line that is being read.
    pub limit: MessageLimit,
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
            collector,
            values: counter,
            limit,
            line,
            large,
            output,
        } = &mut *self;
        let log = &collector.log;
        ready!(large.poll(*line, collector, context))?;
        let polled = Pin::new(stdout).poll_read(context, buffer);
        if polled.is_pending() {
            large.poll_pause(context)?;
            return polled;
        }
        let new = &buffer.filled()[before..];
        if new.is_empty() {
            output.ended.store(true, Ordering::Relaxed);
        }
        let is_answered = output.answered.load(Ordering::Relaxed);
        let may_list = is_answered || output.lists_early.load(Ordering::Relaxed);
        let now = MessageLimit::now(may_list, collector);
        let begun = limit.or_larger(*line, now);
        *line = match memchr::memrchr(b'\n', new) {
            Some(end) => new.len() - end - 1,
            None => line.saturating_add(new.len()),
        };
        if log.received(new.len()).is_err() {
            return Poll::Ready(Err(std::io::Error::other("too much output")));
        }
        // The line that continues is the first of these.
        *limit = match *line < new.len() {
            true => now,
            false => begun,
        };
        if counter.count_lines(new) > begun.values {
            let flag = if may_list {
                &output.too_long
            } else {
                &output.exceeded
            };
            flag.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(std::io::Error::other("a message has too many values")));
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
        let since_message = output.since_message.fetch_add(new.len(), Ordering::Relaxed);
        if since_message + new.len() > limit {
            output.exceeded.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(std::io::Error::other(
                "too much output before the answer to the handshake",
            )));
        }
        polled
    }
}
