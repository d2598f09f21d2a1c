//! How long a step's clients may keep this process waiting, and how much of it. All of it counts from the last byte and
//! for one step: whoever dawdles takes places from nobody but itself.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::policy::network::Limits;

/// Connections of one step at a time, over all of its ports; more wait in the kernel.
const CONNECTIONS: usize = 256;
/// Requests of one step that are under way at a time; more wait.
const REQUESTS: usize = 128;
/// A client has at most this long for the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// A client has at most this long for its ClientHello, and then for the rest of the handshake.
const HELLO: Duration = Duration::from_secs(10);

/// The bounds on the waiting, and the places of one step.
#[derive(Debug)]
pub(super) struct Patience {
    /// For the head of a request, from the end of the one before.
    pub(super) head: Duration,
    /// For each half of a handshake of TLS.
    pub(super) hello: Duration,
    /// For the next byte, whoever has to send or take it.
    pub(super) idle: Duration,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

impl Patience {
    /// Under these limits. Where they leave less time than usual between two bytes, heads and handshakes have no more.
    pub(super) fn of(limits: Limits) -> Self {
        Self {
            head: limits.idle.min(HEAD),
            hello: limits.idle.min(HELLO),
            idle: limits.idle,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            requests: Arc::new(Semaphore::new(REQUESTS)),
        }
    }

    /// A place for one more connection, once there is one.
    pub(super) async fn connection(&self) -> Option<OwnedSemaphorePermit> {
        self.connections.clone().acquire_owned().await.ok()
    }

    /// A place for one more request, once there is one.
    pub(super) async fn request(&self) -> Option<OwnedSemaphorePermit> {
        self.requests.clone().acquire_owned().await.ok()
    }
}

/// Whose turn it is on a connection. Its client has the turn unless an answer is being fetched for it; whoever has the
/// turn and does nothing with it for too long loses the connection. That covers clients that send nothing, that take
/// nothing, and that keep streams of HTTP/2 open for neither.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<State>);

#[derive(Debug, Default)]
struct State {
    ours: AtomicUsize,
    moves: AtomicU64,
}

/// As long as this lives, the client is waited for by nobody.
#[derive(Debug)]
pub(super) struct Ours(Arc<State>);

impl Turn {
    /// From now on there is something to be done for the client.
    pub(super) fn take(&self) -> Ours {
        self.0.ours.fetch_add(1, Ordering::Relaxed);
        self.moved();
        Ours(self.0.clone())
    }

    fn moved(&self) {
        self.0.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends when it was the client's turn for `idle`, at most twice that, and nothing moved.
    pub(super) async fn until_idle(&self, idle: Duration) {
        let mut before = self.0.moves.load(Ordering::Relaxed);
        loop {
            sleep(idle).await;
            let now = self.0.moves.load(Ordering::Relaxed);
            if now == before && self.0.ours.load(Ordering::Relaxed) == 0 {
                return;
            }
            before = now;
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.0.moves.fetch_add(1, Ordering::Relaxed);
        self.0.ours.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer: it is our turn while its next bytes are fetched, and the client's while they wait to be taken.
/// It keeps the place of its request until its end.
pub(super) struct Served<B> {
    inner: B,
    turn: Turn,
    ours: Option<Ours>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<B> Served<B> {
    pub(super) fn new(inner: B, turn: Turn, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { inner, turn, ours: None, _place: place }
    }
}

impl<B: Body + Unpin> Body for Served<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.ours.is_none() {
            self.ours = Some(self.turn.take());
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        self.ours = None;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_client_loses_its_connection_by_doing_nothing_and_not_by_our_slowness() {
        let (turn, idle) = (Turn::default(), Duration::from_millis(20));
        let began = Instant::now();
        turn.until_idle(idle).await;
        assert!(began.elapsed() >= idle);
        let ours = turn.take();
        let watched = turn.clone();
        let watch = tokio::spawn(async move { watched.until_idle(idle).await });
        sleep(idle * 5).await;
        assert!(!watch.is_finished());
        drop(ours);
        watch.await.unwrap();
    }

    #[test]
    fn heads_and_handshakes_have_no_more_time_than_the_policy_leaves_between_bytes() {
        let limits = |seconds| Limits { idle: Duration::from_secs(seconds), ..Limits::default() };
        let usual = Patience::of(limits(120));
        assert_eq!((usual.head, usual.hello), (HEAD, HELLO));
        let short = Patience::of(limits(1));
        assert_eq!((short.head, short.hello), (short.idle, short.idle));
    }
}
