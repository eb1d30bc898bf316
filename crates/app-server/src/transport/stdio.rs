//! One message a line, over a pair of streams such as stdin and stdout.

use std::collections::VecDeque;

use futures::Stream;
use mcp_startup_core::LineSplitter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::unless_unread;
use crate::app_server::AppServer;
use crate::connection::{self, Calls, Frame, Outgoing, QueuedMessage};

/// How many bytes are read or written at once.
const CHUNK: usize = 64 * 1024;

/// Serves one client over a pair of streams until its input ends, its output is closed or the app-server ends. Then ends its servers.
///
/// A line has at most [`MAX_LINE_BYTES`](mcp_startup_core::MAX_LINE_BYTES). A longer one is skipped and answered with an error. The
/// last messages are dropped if the client does not read them.
///
/// # Errors
///
/// Returns the error of writing the output. A closed output is an error of the kind `BrokenPipe`.
pub async fn serve_streams(
    app: &AppServer,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let (outgoing, messages) = Outgoing::new(app);
    let left = CancellationToken::new();
    let frames = std::pin::pin!(lines(input));
    let serving = connection::serve(app.clone(), frames, outgoing, Calls::Allowed, left.clone());
    let serving = app.connections().track_future(serving);
    // If writing ends, the receiver is dropped, and the connection ends.
    let ((), written) = tokio::join!(serving, write(output, messages, &left));
    written
}

/// Writes the messages. Ends early if the client has left and does not read.
async fn write(
    mut output: impl AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<QueuedMessage>,
    left: &CancellationToken,
) -> std::io::Result<()> {
    let mut next = messages.recv().await;
    while let Some(QueuedMessage { mut text, held }) = next.take() {
        text.push('\n');
        let mut held = vec![held];
        // Several messages that wait are written at once. Each write to stdout costs a turn of another thread.
        while let Ok(more) = messages.try_recv() {
            if text.len() + more.text.len() >= CHUNK {
                next = Some(more);
                break;
            }
            text.push_str(&more.text);
            text.push('\n');
            held.push(more.held);
        }
        for chunk in text.as_bytes().chunks(CHUNK) {
            match unless_unread(left, output.write_all(chunk)).await {
                Some(written) => written?,
                None => return Ok(()),
            }
        }
        drop(held);
        if next.is_some() {
            continue;
        }
        if messages.is_empty()
            && let Some(flushed) = unless_unread(left, output.flush()).await
        {
            flushed?;
        }
        next = messages.recv().await;
    }
    let flushed = unless_unread(left, output.flush()).await;
    flushed.unwrap_or(Ok(()))
}

/// The lines of a stream. Empty lines are left out.
fn lines(input: impl AsyncRead + Unpin) -> impl Stream<Item = Frame> {
    struct State<R> {
        input: R,
        /// `None` after the end.
        splitter: Option<LineSplitter>,
        chunk: Box<[u8]>,
        ready: VecDeque<Frame>,
    }
    let state = State {
        input,
        splitter: Some(LineSplitter::default()),
        chunk: vec![0; CHUNK].into_boxed_slice(),
        ready: VecDeque::new(),
    };
    futures::stream::unfold(state, |mut state| async move {
        loop {
            if let Some(frame) = state.ready.pop_front() {
                return Some((frame, state));
            }
            let mut splitter = state.splitter.take()?;
            let ready = &mut state.ready;
            let push = |_, line: Result<&[u8], _>| match line {
                Ok(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(line) => ready.push_back(Frame::Message(line.to_vec())),
                Err(_) => ready.push_back(Frame::TooLong),
            };
            match state.input.read(&mut state.chunk).await {
                Ok(read @ 1..) => {
                    splitter.push(&state.chunk[..read], push);
                    state.splitter = Some(splitter);
                }
                // The last line may have no line end.
                Ok(0) | Err(_) => splitter.finish(push),
            }
        }
    })
}
