//! [`Check`] and [`Start`]: the event streams of servers that start once.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use tokio_util::sync::CancellationToken;

use crate::event::{StartupEvent, Update};
use crate::run::Run;
use crate::start::LiveServer;

/// A running check: a stream of [`StartupEvent`]s.
///
/// Each server has two events: `starting`, then `ready`, `failed` or `cancelled`. The events of different servers interleave. The
/// stream ends when the last server is closed and the last refresh is saved.
///
/// [`Startup::check`](crate::Startup::check) creates it. If you drop it, all starts end immediately.
#[derive(Debug)]
pub struct Check {
    run: Run,
}

impl Check {
    pub(crate) fn new(run: Run) -> Self {
        Self { run }
    }

    /// Cancels all starts. Each server that is still starting has a `cancelled` event, and its program ends. A server that has not
    /// begun to start has no event. Then the stream ends.
    pub fn cancel(&self) {
        self.run.cancellation.cancel();
    }

    /// Returns a token that cancels all starts, as [`cancel`](Self::cancel) does. Give it to code that does not own the stream, such
    /// as a button.
    pub fn canceller(&self) -> CancellationToken {
        self.run.cancellation.clone()
    }

    /// Returns the next [`Update`]: an event, or a step between two events that you can show as progress. Returns `None` when the
    /// check has ended.
    ///
    /// Use it instead of the stream, which yields only the events. This method is cancel safe: if you drop the future, no update is
    /// lost.
    pub async fn update(&mut self) -> Option<Update> {
        let (update, _) = self.run.updates.recv().await?;
        Some(update)
    }
}

impl Stream for Check {
    type Item = StartupEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<StartupEvent>> {
        let polled = self.run.poll_event(context);
        polled.map(|event| event.map(|(event, _)| event))
    }
}

/// Running starts: a stream of events, with a [`LiveServer`] for each `ready`.
///
/// Each server has two events: `starting`, then `ready`, `failed` or `cancelled`. The stream ends when every server is ready or has
/// failed, and the last refresh is saved. Live servers outlive the stream.
///
/// [`Startup::start`](crate::Startup::start) creates it. If you drop it, the servers that are still starting end immediately.
#[derive(Debug)]
pub struct Start {
    run: Run,
}

impl Start {
    pub(crate) fn new(run: Run) -> Self {
        Self { run }
    }

    /// Cancels all starts. Each server that is still starting has a `cancelled` event, and its program ends. The live servers that
    /// the stream has returned are not affected.
    pub fn cancel(&self) {
        self.run.cancellation.cancel();
    }
}

impl Stream for Start {
    type Item = (StartupEvent, Option<LiveServer>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.run.poll_event(context)
    }
}
