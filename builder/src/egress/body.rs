//! Bodies that are counted and hashed while they stream through.

use std::{
    error::Error,
    future::Future,
    io::{self, Write},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::oci::digest::Hashing;

use super::{allowance::Allowance, exchange::Exchange, upstream::causes};

type BoxError = Box<dyn Error + Send + Sync>;

/// A request body that counts what passes, and breaks off when nothing does for too long.
#[derive(Debug)]
pub(super) struct CountedBody {
    inner: Incoming,
    sent: Arc<AtomicU64>,
    idle: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl CountedBody {
    pub(super) fn new(inner: Incoming, sent: Arc<AtomicU64>, idle: Duration) -> Self {
        Self { inner, sent, idle, waiting: None }
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            let idle = self.idle;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(idle)));
            ready!(waiting.as_mut().poll(context));
            let reason = format!("the step sent nothing for {} seconds", idle.as_secs());
            return Poll::Ready(Some(Err(reason.into())));
        };
        self.waiting = None;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.sent.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body on its way to the step. The record is written at the end, or when either side
/// breaks off.
pub(super) struct RecordedBody {
    inner: reqwest::Body,
    open: Option<Open>,
    allowance: Allowance,
}

/// What there is to do until the end.
pub(super) struct Open {
    exchange: Exchange,
    hashing: Hashing<io::Sink>,
    expected: Option<u64>,
    reason: Option<String>,
}

impl Open {
    /// `expected` is the length that the upstream announced; `reason` says why the exchange is
    /// incomplete even when all of the body comes.
    pub(super) fn new(exchange: Exchange, expected: Option<u64>, reason: Option<String>) -> Self {
        Self { exchange, hashing: Hashing::new(io::sink()), expected, reason }
    }

    fn note(&mut self, bytes: &[u8]) {
        // A sink takes everything.
        let _ = self.hashing.write_all(bytes);
        self.exchange.received(self.hashing.count());
    }

    fn is_full(&self) -> bool {
        self.expected.is_some_and(|expected| self.hashing.count() >= expected)
    }

    /// All of it went through.
    pub(super) fn finish(self) {
        let (_, digest, size) = self.hashing.finish();
        self.exchange.whole(size, Some(digest), self.reason);
    }
}

impl RecordedBody {
    pub(super) fn new(inner: reqwest::Body, open: Open, allowance: Allowance) -> Self {
        Self { inner, open: Some(open), allowance }
    }

    /// The server drops a body of known length after its last byte without asking for the end, so the
    /// end is taken from the count.
    fn pass(&mut self, data: &[u8]) -> Result<(), BoxError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.note(data);
        self.allowance.take(data.len() as u64)?;
        if open.is_full()
            && let Some(open) = self.open.take()
        {
            open.finish();
        }
        Ok(())
    }

    fn broken(&mut self, reason: String) {
        if let Some(open) = self.open.take() {
            open.exchange.broken(reason);
        }
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            None => {
                if let Some(open) = self.open.take() {
                    open.finish();
                }
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                self.broken(format!("the upstream broke off: {}", causes(&error)));
                Poll::Ready(Some(Err(error.into())))
            }
            Some(Ok(frame)) => {
                let data = frame.data_ref().cloned().unwrap_or_default();
                if let Err(error) = self.pass(&data) {
                    self.broken(error.to_string());
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RecordedBody {
    fn drop(&mut self) {
        match self.open.take() {
            Some(open) if self.inner.is_end_stream() => open.finish(),
            Some(open) => open.exchange.broken("the step broke off".into()),
            None => {}
        }
    }
}
