//! Ways to tell an observer: of work from its begin to its end, and of the blobs of an image.

use std::{fmt, future::Future, time::Instant};

use super::{
    event::{Event, Observer},
    phase::Phase,
    transfer::{Direction, Motion, Transfer},
};
use crate::{
    oci::{descriptor::Descriptor, reference::Reference},
    registry::progress::TransferProgress,
};

/// Does `work` as a phase: tells when it begins and how it ends.
///
/// # Errors
/// What `work` says.
pub async fn told<T, E>(
    observer: &dyn Observer,
    phase: Phase<'_>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    observer.event(Event::Began(phase));
    let began = Instant::now();
    let outcome = work.await;
    end(observer, phase, began, outcome.is_ok());
    outcome
}

/// The same for work that does not wait.
///
/// # Errors
/// What `work` says.
pub fn told_now<T, E>(
    observer: &dyn Observer,
    phase: Phase<'_>,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    observer.event(Event::Began(phase));
    let began = Instant::now();
    let outcome = work();
    end(observer, phase, began, outcome.is_ok());
    outcome
}

fn end(observer: &dyn Observer, phase: Phase<'_>, began: Instant, done: bool) {
    let after = began.elapsed();
    observer.event(if done { Event::Ended(phase, after) } else { Event::Broke(phase, after) });
}

/// Tells an observer of the blobs of one image.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// Which way the blobs go.
    pub direction: Direction,
    /// The image that they belong to.
    pub image: &'a Reference,
}

impl Watched<'_> {
    fn tell(&self, blob: &Descriptor, motion: Motion) {
        let Self { direction, image, .. } = *self;
        self.observer.event(Event::Transfer(Transfer { direction, image, blob, motion }));
    }
}

impl fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({:?} of {})", self.direction, self.image)
    }
}

impl TransferProgress for Watched<'_> {
    fn start(&self, blob: &Descriptor) {
        self.tell(blob, Motion::Began);
    }

    fn had(&self, blob: &Descriptor, bytes: u64) {
        self.tell(blob, Motion::Had(bytes));
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        self.tell(blob, Motion::Moved(bytes));
    }

    fn restart(&self, blob: &Descriptor) {
        self.tell(blob, Motion::Restarted);
    }

    fn done(&self, blob: &Descriptor) {
        self.tell(blob, Motion::Done);
    }
}
