//! Layers that come from elsewhere: where each can be fetched, and how its blob becomes a snapshot.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    active::{Active, snapshot_name},
    error::SolveError,
    event::Observer,
    key::chain_id,
    layer_blobs::LayerBlobs,
    telling::Watched,
    transfer::Direction,
    view::View,
};
use crate::{
    content::store::ContentStore,
    layer::{LayerReader, UnpackOptions, unpack},
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
    registry::client::RegistryClient,
    snapshot::{OWNER_SHIFT, Snapshots},
};

/// Where layers can be fetched, and what fetches and unpacks them.
pub(super) struct BaseLayers {
    scratch: PathBuf,
    content: Arc<ContentStore>,
    snapshots: Arc<Snapshots>,
    registry: Arc<RegistryClient>,
    observer: Arc<dyn Observer>,
    origins: Mutex<HashMap<Digest, (Reference, Descriptor)>>,
    unpacking: tokio::sync::Mutex<()>,
}

impl fmt::Debug for BaseLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseLayers").finish_non_exhaustive()
    }
}

impl BaseLayers {
    /// Mounts snapshots below `scratch`; tells `observer` what is fetched.
    pub(super) fn new(
        scratch: &Path,
        content: Arc<ContentStore>,
        snapshots: Arc<Snapshots>,
        registry: Arc<RegistryClient>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (origins, unpacking) = (Mutex::default(), tokio::sync::Mutex::default());
        let scratch = scratch.to_owned();
        Self { scratch, content, snapshots, registry, observer, origins, unpacking }
    }

    /// Notes that the layer `diff_id` can be fetched as `blob` from `reference`.
    pub(super) fn fetchable(&self, diff_id: Digest, reference: &Reference, blob: &Descriptor) {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.insert(diff_id, (reference.clone(), blob.clone()));
    }

    /// From where the layer can be fetched, and as which blob.
    pub(super) fn origin(&self, diff_id: &Digest) -> Option<(Reference, Descriptor)> {
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.get(diff_id).cloned()
    }

    /// Makes the snapshots of `chain` that are missing; what `blobs` does not have is fetched.
    pub(super) async fn unpack(
        &self,
        chain: &[Digest],
        blobs: &LayerBlobs,
    ) -> Result<(), SolveError> {
        let _one_at_a_time = self.unpacking.lock().await;
        let mut present = chain.len();
        while present > 0 {
            let below = chain_id(&chain[..present]).map(|id| snapshot_name(&id));
            match below {
                Some(below) if self.snapshots.exists(&below).await? => break,
                _ => present -= 1,
            }
        }
        self.fetch(&chain[present..], blobs).await?;
        for end in present..chain.len() {
            self.unpack_top(&chain[..=end], blobs).await?;
        }
        Ok(())
    }

    /// Brings the blobs of these layers into the store, several at once.
    pub(super) async fn fetch(
        &self,
        layers: &[Digest],
        blobs: &LayerBlobs,
    ) -> Result<(), SolveError> {
        let mut wanted: HashMap<Reference, Vec<(Digest, Descriptor)>> = HashMap::new();
        for layer in layers {
            if let Some((reference, blob)) = self.origin(layer)
                && !blobs.has(&blob)
            {
                wanted.entry(reference).or_default().push((*layer, blob));
            }
        }
        for (reference, layers) in wanted {
            let missing: Vec<Descriptor> = layers.iter().map(|(_, blob)| blob.clone()).collect();
            let (observer, direction) = (self.observer.as_ref(), Direction::Pull);
            let progress = Watched { observer, direction, image: &reference };
            self.registry
                .pull_blobs(&reference, &missing, &self.content, &progress)
                .await
                .map_err(|error| SolveError::from(error).of_base(&reference))?;
            for (diff_id, blob) in layers {
                blobs.remember(&diff_id, &blob)?;
            }
        }
        Ok(())
    }

    /// Unpacks the top layer of `chain` on the snapshot of the layers below.
    async fn unpack_top(&self, chain: &[Digest], blobs: &LayerBlobs) -> Result<(), SolveError> {
        let (Some((top, below)), Some(id)) = (chain.split_last(), chain_id(chain)) else {
            return Ok(());
        };
        let blob = blobs.any(top).ok_or(SolveError::LayerGone(*top))?;
        let parent = chain_id(below).map(|id| snapshot_name(&id));
        let active = Active::on(parent.as_deref(), &self.snapshots).await?;
        match self.unpack_into(&active, blob, *top).await {
            Ok(()) => Ok(self.snapshots.commit(&snapshot_name(&id), &active.key).await?),
            Err(error) => {
                active.discard(&self.snapshots).await;
                Err(match self.origin(top) {
                    Some((reference, _)) => error.of_base(&reference),
                    None => error,
                })
            }
        }
    }

    /// The blob's digest and the layer's digest are checked while the bytes go by; only then is the
    /// snapshot committed.
    async fn unpack_into(
        &self,
        active: &Active,
        blob: Descriptor,
        diff_id: Digest,
    ) -> Result<(), SolveError> {
        let root = View::mount(&active.mounts, &self.scratch)?;
        let content = self.content.clone();
        tokio::task::spawn_blocking(move || {
            let blob = content.open_verified(&blob)?;
            let mut reader = LayerReader::new(blob, Some(diff_id)).map_err(SolveError::layer)?;
            let options = UnpackOptions { shift: OWNER_SHIFT, ..UnpackOptions::default() };
            unpack(&mut reader, root.path(), options)?;
            reader.finish().map_err(SolveError::layer)?;
            Ok(())
        })
        .await?
    }
}
