//! Layers go to registries while there is still something to do with the image: as soon as a layer's bytes are
//! final, its upload begins. Nothing is visible there before a manifest names it, so what a failed build leaves
//! are blobs that nothing refers to.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Semaphore, task::JoinHandle};

use super::outputs::{ImageTarget, Outputs};
use crate::{
    image::form::Form,
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
    registry::{error::RegistryError, push::BlobSource},
    solver::{event::Observer, host::Host, telling::Watched, transfer::Direction},
};

/// Uploads of layers at the same time.
const PARALLEL: usize = 4;

/// The uploads of a build's layers. Dropped, it ends those that still run.
pub struct Uploads {
    host: Arc<Host>,
    observer: Arc<dyn Observer>,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<Digest, Running>,
    /// In which repositories each layer is.
    done: HashMap<Digest, Vec<Reference>>,
}

/// A layer on its way to these repositories, one after the other.
struct Running {
    targets: Vec<Reference>,
    task: JoinHandle<Result<(), RegistryError>>,
}

impl Uploads {
    /// None yet.
    #[must_use]
    pub fn new(host: Arc<Host>, observer: Arc<dyn Observer>) -> Self {
        let (slots, state) = (Arc::new(Semaphore::new(PARALLEL)), Mutex::default());
        Self { host, observer, slots, state }
    }

    /// Begins to upload these layers of an image in this form to where it will go. A failure is not told: at the
    /// end the upload is made again, and that one's failure counts.
    pub fn begin(&self, outputs: &Outputs, form: &Form, layers: &[Descriptor]) {
        let targets = repositories(outputs, form);
        if targets.is_empty() {
            return;
        }
        for blob in layers {
            if let Entry::Vacant(place) = self.state().running.entry(blob.digest) {
                let task = tokio::spawn(self.upload(blob.clone(), targets.clone(), None));
                place.insert(Running { targets: targets.clone(), task });
            }
        }
    }

    /// Ends the uploads of all other layers: no image has them any more.
    pub(super) fn keep_only(&self, layers: &HashSet<Digest>) {
        self.state().running.retain(|digest, running| {
            let kept = layers.contains(digest);
            if !kept {
                running.task.abort();
            }
            kept
        });
    }

    /// Waits for the upload of this layer, where one began. Is the layer anywhere it has to be?
    pub async fn came(&self, layer: &Digest) -> bool {
        let running = self.state().running.remove(layer);
        if let Some(Running { targets, task }) = running
            && let Ok(Ok(())) = task.await
        {
            self.state().done.entry(*layer).or_default().extend(targets);
        }
        self.state().done.contains_key(layer)
    }

    /// Makes sure that the repository of `target` has this layer.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub(super) async fn finish(
        &self,
        target: &Reference,
        blob: &Descriptor,
    ) -> Result<(), RegistryError> {
        self.came(&blob.digest).await;
        let places = self.state().done.get(&blob.digest).cloned().unwrap_or_default();
        if places.iter().any(|place| place.name() == target.name()) {
            return Ok(());
        }
        let known = places.into_iter().next();
        self.upload(blob.clone(), vec![target.clone()], known).await?;
        self.state().done.entry(blob.digest).or_default().push(target.clone());
        Ok(())
    }

    /// Sends a layer to these repositories. The first takes it from the one where it is `known` to be, else from its
    /// base image's or a shared cache's, where that lies on the same registry; each other one from the one before.
    fn upload(
        &self,
        blob: Descriptor,
        targets: Vec<Reference>,
        known: Option<Reference>,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send + use<> {
        let (host, observer) = (self.host.clone(), self.observer.clone());
        let slots = self.slots.clone();
        async move {
            // Never closed.
            let _slot = slots.acquire_owned().await;
            let mut from = known.or_else(|| host.chains.repository_of(&blob.digest));
            for target in targets {
                let (observer, direction) = (observer.as_ref(), Direction::Push);
                let progress = Watched { observer, direction, image: &target };
                let path = host.content.path(&blob.digest);
                let source = BlobSource::File(&path);
                host.registry.push_blob(&target, &blob, source, from.as_ref(), &progress).await?;
                from = Some(target);
            }
            Ok(())
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The repositories that get an image in this form, each once.
fn repositories(outputs: &Outputs, form: &Form) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    for output in &outputs.images {
        let pushed = matches!(output.target, ImageTarget::Registry { .. });
        for name in outputs.names_of(output).iter().filter(|_| pushed && output.form == *form) {
            if !found.iter().any(|known| known.name() == name.name()) {
                found.push(name.clone());
            }
        }
    }
    found
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploads").finish_non_exhaustive()
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.keep_only(&HashSet::new());
    }
}
