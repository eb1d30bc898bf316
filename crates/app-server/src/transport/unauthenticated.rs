//! The limits for the sockets of clients that have not authenticated: any program on the machine can open some.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::large_messages::{LargeMessages, MessageSize};

/// How many sockets may be open whose clients have not authenticated. The next ones wait.
const MAX_UNAUTHENTICATED: usize = 64;
/// How much is read from such a socket, in bytes. A request with the longest header is shorter, and a frame with a token much shorter.
const MAX_UNAUTHENTICATED_BYTES: usize = 512 * 1024;
/// When such a socket is closed, since it was accepted. A browser that shows the page opens another one when it needs it.
const UNAUTHENTICATED_LIMIT: Duration = Duration::from_secs(15);
/// How long such a socket may write when the app-server ends.
const END_LIMIT: Duration = Duration::from_secs(1);
/// How long such a socket stays open if all are taken and another client waits for its place.
const CROWDED_LIMIT: Duration = Duration::from_secs(1);
/// How long what a client still sends is read after its socket has ended.
const LINGER_LIMIT: Duration = Duration::from_secs(5);

/// A listener whose sockets are limited until [`Peer::lift_limits`] is called.
pub(super) struct LimitedListener<L> {
    listener: L,
    places: Arc<Semaphore>,
    /// The sockets whose clients have not authenticated, in the order in which they were accepted.
    waiting: VecDeque<Waiting>,
    /// Cancelled when the app-server ends.
    ending: CancellationToken,
    large_messages: LargeMessages,
}

/// A socket whose client has not authenticated.
struct Waiting {
    since: Instant,
    place: Weak<Mutex<Option<OwnedSemaphorePermit>>>,
    crowded_out: CancellationToken,
}

impl Waiting {
    /// Whether the client has neither authenticated nor gone.
    fn is_limited(&self) -> bool {
        self.place.upgrade().is_some_and(|place| is_taken(&place))
    }

    /// Closes the socket, and frees its place. Does nothing if the client has just authenticated.
    fn crowd_out(&self) {
        let Some(place) = self.place.upgrade() else {
            return;
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() {
            // In this order: the socket must not take a lost place for an authentication.
            self.crowded_out.cancel();
            place.take();
        }
    }
}

/// The client of a socket.
#[derive(Clone)]
pub(super) struct Peer {
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    message: Arc<MessageSize>,
}

impl Peer {
    /// Lifts the limits, because the client has authenticated.
    pub(super) fn lift_limits(&self) {
        self.place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// The size of the message that the client is sending.
    pub(super) fn message(&self) -> &MessageSize {
        &self.message
    }

    fn is_limited(&self) -> bool {
        is_taken(&self.place)
    }
}

fn is_taken(place: &Mutex<Option<OwnedSemaphorePermit>>) -> bool {
    let place = place.lock().unwrap_or_else(PoisonError::into_inner);
    place.is_some()
}

impl<L> LimitedListener<L> {
    pub(super) fn new(listener: L, ending: CancellationToken) -> Self {
        Self {
            listener,
            ending,
            large_messages: LargeMessages::default(),
            places: Arc::new(Semaphore::new(MAX_UNAUTHENTICATED)),
            waiting: VecDeque::new(),
        }
    }

    /// Waits for a place. If all are taken, it closes the oldest socket whose client has had time to authenticate.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.waiting.retain(Waiting::is_limited);
            let oldest = self.waiting.front().map(|socket| socket.since);
            let crowding_out = async {
                match oldest {
                    Some(since) => sleep_until(since + CROWDED_LIMIT).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The semaphore is never closed.
                place = self.places.clone().acquire_owned() => return place.ok(),
                () = crowding_out => {}
            }
            if let Some(socket) = self.waiting.pop_front() {
                socket.crowd_out();
            }
        }
    }
}

impl<L: Listener> Listener for LimitedListener<L> {
    type Io = LimitedSocket<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (socket, address) = self.listener.accept().await;
        // Each place is free again after the limit at the latest.
        let peer = Peer {
            place: Arc::new(Mutex::new(self.place().await)),
            message: Arc::new(MessageSize::new(&self.large_messages)),
        };
        let crowded_out = CancellationToken::new();
        self.waiting.push_back(Waiting {
            since: Instant::now(),
            place: Arc::downgrade(&peer.place),
            crowded_out: crowded_out.clone(),
        });
        let socket = LimitedSocket {
            socket: Some(socket),
            peer,
            read: 0,
            crowded_out: Box::pin(crowded_out.cancelled_owned()),
            limit: Some(Box::pin(sleep(UNAUTHENTICATED_LIMIT))),
            ending: Some(Box::pin(self.ending.clone().cancelled_owned())),
        };
        (socket, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<L: Listener> Connected<IncomingStream<'_, LimitedListener<L>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LimitedListener<L>>) -> Self {
        stream.io().peer.clone()
    }
}

/// A socket that fails when the limit or the app-server ends before its client has authenticated.
pub(super) struct LimitedSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// `None` only while it is dropped.
    socket: Option<S>,
    peer: Peer,
    /// How much was read before its client has authenticated.
    read: usize,
    /// Ready when another client has got the place.
    crowded_out: Pin<Box<WaitForCancellationFutureOwned>>,
    /// `None` once the client has authenticated.
    limit: Option<Pin<Box<Sleep>>>,
    /// `None` once the app-server ends.
    ending: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<S> LimitedSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// The socket, within its limits.
    fn checked(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut S>> {
        self.check(context)?;
        self.socket()
    }

    fn socket(&mut self) -> io::Result<Pin<&mut S>> {
        let socket = self.socket.as_mut().map(Pin::new);
        socket.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(limit) = &mut self.limit else {
            return Ok(());
        };
        let is_limited = self.peer.is_limited();
        if self.crowded_out.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if !is_limited {
            self.limit = None;
            return Ok(());
        }
        if let Some(ending) = &mut self.ending
            && ending.as_mut().poll(context).is_ready()
        {
            self.ending = None;
            limit.as_mut().reset(Instant::now() + END_LIMIT);
        }
        match limit.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S> Drop for LimitedSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Ends the socket, and reads what the client still sends. Otherwise the system would reset the connection, and the client could lose
    /// the reason of the end: Windows drops what has already arrived.
    fn drop(&mut self) {
        let (Some(mut socket), Ok(runtime)) = (self.socket.take(), Handle::try_current()) else {
            return;
        };
        // It keeps its place.
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let lingering = async {
                socket.shutdown().await?;
                tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
            };
            // The client may have gone.
            let _ = timeout(LINGER_LIMIT, lingering).await;
            drop(peer);
        });
    }
}

impl<S> AsyncRead for LimitedSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        if self.limit.is_some() && self.ending.is_none() {
            // The rest of a request would delay the end.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        if self.limit.is_none() {
            if !self.peer.message.may_grow() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            ready!(self.socket()?.poll_read(context, buffer))?;
            self.peer.message.add(buffer.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        if self.read >= MAX_UNAUTHENTICATED_BYTES {
            // The client may have sent its token, and much more. Then the task that handles the token reads again.
            return Poll::Pending;
        }
        ready!(self.socket()?.poll_read(context, buffer))?;
        self.read += buffer.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl<S> AsyncWrite for LimitedSocket<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.checked(context)?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.checked(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.checked(context)?.poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    /// Accepts one end of a pipe each time, and keeps the other end.
    struct Pipes(Vec<DuplexStream>);

    impl Listener for Pipes {
        type Io = DuplexStream;
        type Addr = ();

        async fn accept(&mut self) -> (DuplexStream, ()) {
            let (near, far) = duplex(16);
            self.0.push(far);
            (near, ())
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_wait_for_a_place_and_lose_it_without_authentication() {
        let ending = CancellationToken::new();
        let mut listener = LimitedListener::new(Pipes(Vec::new()), ending);
        let mut sockets = Vec::new();
        let started = Instant::now();
        for _ in 0..MAX_UNAUTHENTICATED {
            sockets.push(listener.accept().await.0);
        }
        let short = CROWDED_LIMIT / 2;
        assert!(timeout(short, listener.accept()).await.is_err());
        // An authenticated client needs no place, and has no limit.
        sockets[0].peer.lift_limits();
        let (mut late, ()) = timeout(short, listener.accept()).await.unwrap();
        // The next client gets the place of the one that has not authenticated for the longest time.
        let (next, ()) = timeout(CROWDED_LIMIT, listener.accept()).await.unwrap();
        let read = sockets[1].read_u8().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        drop(next);
        let read = sockets[2].read_u8().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // The bytes that a client still sends are read, but only for a moment.
        sockets.remove(1);
        assert!(
            timeout(LINGER_LIMIT + short, listener.accept())
                .await
                .is_ok()
        );
        // A client that reads nothing blocks a write, which has the same limit.
        let written = late.write_all(&[0; 17]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() <= UNAUTHENTICATED_LIMIT + LINGER_LIMIT + short);
        let far = &mut listener.listener.0[0];
        far.write_u8(7).await.unwrap();
        assert_eq!(sockets[0].read_u8().await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_part_is_read_until_the_client_has_authenticated() {
        let mut listener = LimitedListener::new(Pipes(Vec::new()), CancellationToken::new());
        let (mut socket, ()) = listener.accept().await;
        let mut far = listener.listener.0.remove(0);
        let sent = vec![7; MAX_UNAUTHENTICATED_BYTES + 1000];
        let sending = tokio::spawn(async move { far.write_all(&sent).await.map(|()| far) });
        let mut read = Vec::new();
        let short = CROWDED_LIMIT / 2;
        assert!(timeout(short, socket.read_to_end(&mut read)).await.is_err());
        assert!(
            (MAX_UNAUTHENTICATED_BYTES..MAX_UNAUTHENTICATED_BYTES + 1000).contains(&read.len())
        );
        socket.peer.lift_limits();
        let sent = async { drop(sending.await.unwrap()) };
        let ((), rest) = tokio::join!(sent, socket.read_to_end(&mut read));
        rest.unwrap();
        assert_eq!(read.len(), MAX_UNAUTHENTICATED_BYTES + 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_app_server_ends_sockets_without_authentication() {
        let ending = CancellationToken::new();
        let mut listener = LimitedListener::new(Pipes(Vec::new()), ending.clone());
        let (mut reading, ()) = listener.accept().await;
        let (mut writing, ()) = listener.accept().await;
        let (mut authenticated, ()) = listener.accept().await;
        authenticated.peer.lift_limits();
        let started = Instant::now();
        let end = async { ending.cancel() };
        let blocked = [0; 17];
        let (read, written, ()) = tokio::join!(reading.read_u8(), writing.write_all(&blocked), end);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), END_LIMIT);
        listener.listener.0[2].write_u8(7).await.unwrap();
        assert_eq!(authenticated.read_u8().await.unwrap(), 7);
    }
}
