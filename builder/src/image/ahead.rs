//! Bases that are hardened while the steps of the build run.

use std::{fmt, sync::Arc};

use tokio::task::{JoinHandle, spawn_blocking};

use super::{hardened::Blobs, outcomes::Outcomes};
use crate::{
    content::store::ContentStore,
    harden::{self, HardenOptions, Seen},
    oci::{descriptor::Descriptor, digest::Digest},
};

/// The work on them. Dropped, it no longer waits for a base.
pub struct Ahead {
    seen: Seen,
    work: Vec<JoinHandle<()>>,
}

impl Ahead {
    /// Begins with these bases, each the layers of an image, as soon as it arrives. One that was here before is left
    /// alone: it may not be needed at all.
    #[must_use]
    pub fn begin(
        bases: Vec<Vec<(Digest, Descriptor)>>,
        options: &HardenOptions,
        content: &Arc<ContentStore>,
        outcomes: &Outcomes,
    ) -> Self {
        let work = bases.into_iter().map(|base| {
            let (blobs, options) = (Blobs::new(content, outcomes), options.clone());
            // What is wrong with a base, who hardens the image says.
            spawn_blocking(move || drop(harden::ahead(&blobs, &base, &options)))
        });
        Self { seen: options.seen.clone(), work: work.collect() }
    }

    /// Waits for what has begun; the rest is not done.
    pub async fn end(mut self) {
        self.seen.close();
        for work in std::mem::take(&mut self.work) {
            // A task that the runtime ended remembered nothing.
            let _ = work.await;
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.seen.close();
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}
