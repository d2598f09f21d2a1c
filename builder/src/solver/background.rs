//! Layers that are still compressed while later steps run. A step is done when its layer has a name; who
//! needs the blob waits for it here, and hears here what went wrong, under the step's own line.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::error::SolveError;
use crate::{graph::Origin, oci::digest::Digest};

type Work = (Origin, Shared<BoxFuture<'static, Result<(), Arc<SolveError>>>>);

/// The layers whose blobs are being made, by name.
#[derive(Default)]
pub(super) struct Background {
    work: Mutex<HashMap<Digest, Work>>,
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}

impl Background {
    /// Notes that `work`, which is under way already, makes the blob of this layer for the step `origin`.
    pub(super) fn add(
        &self,
        diff_id: Digest,
        origin: &Origin,
        work: impl Future<Output = Result<(), SolveError>> + Send + 'static,
    ) {
        let work = work.map(|done| done.map_err(Arc::new)).boxed().shared();
        self.all().insert(diff_id, (origin.clone(), work));
    }

    /// Is this layer's blob being made?
    pub(super) fn makes(&self, diff_id: &Digest) -> bool {
        self.all().contains_key(diff_id)
    }

    /// Waits until nobody makes the blob of this layer any more.
    pub(super) async fn wait(&self, diff_id: &Digest) -> Result<(), SolveError> {
        let Some((origin, work)) = self.all().get(diff_id).cloned() else { return Ok(()) };
        let done = work.await;
        // A failure stays, for whoever asks after the first one.
        if done.is_ok() {
            self.all().remove(diff_id);
        }
        done.map_err(|error| SolveError::Background(error).at(&origin))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_hears_how_it_ended() {
        let (background, layer) = (Background::default(), Digest::of(b"layer"));
        background.wait(&layer).await.unwrap();
        let origin = Origin { text: "COPY . /".into(), ..Origin::default() };
        background.add(layer, &origin, async { Err(SolveError::EmptyChain) });
        assert!(background.makes(&layer));
        let (one, other) = tokio::join!(background.wait(&layer), background.wait(&layer));
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert_eq!(error.to_string(), SolveError::EmptyChain.to_string());
            assert!(matches!(error, SolveError::At { text, .. } if text == origin.text));
        }
        background.add(layer, &origin, async { Ok(()) });
        background.wait(&layer).await.unwrap();
        assert!(!background.makes(&layer));
    }
}
