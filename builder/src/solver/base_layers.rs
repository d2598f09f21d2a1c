//! Layers that come from elsewhere: where each can be fetched, and how its blob becomes a snapshot.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    active::{Active, snapshot_name},
    arrival::{Arrival, Pull},
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
    layer::{ReadAhead, UnpackOptions, unpack},
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
    registry::{client::RegistryClient, pull::PARALLEL},
    snapshot::{OWNER_SHIFT, Snapshots},
};

/// Layers that are decompressed at the same time, of which one is being unpacked.
const OPENED: usize = 2;

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

    /// The image that a blob comes from.
    pub(super) fn origin_of(&self, digest: &Digest) -> Option<Reference> {
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let found = origins.values().find(|(_, blob)| blob.digest == *digest);
        found.map(|(reference, _)| reference.clone())
    }

    /// Makes the snapshots of `chain` that are missing. What `blobs` does not have is downloaded, several layers at
    /// once, and each is unpacked while it arrives; the lower ones are committed first.
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
        let (mut pulls, mut arrivals) = (Vec::new(), VecDeque::new());
        for layer in &chain[present..] {
            let (arrival, pull) = self.arrival(layer, blobs)?;
            arrivals.push_back(arrival);
            pulls.extend(pull);
        }
        let enough = CancellationToken::new();
        let pulling = async {
            let pulled = enough.run_until_cancelled(self.pull(pulls, blobs)).await;
            pulled.unwrap_or(Ok(()))
        };
        let unpacking = async {
            let unpacked = self.unpack_each(chain, arrivals, blobs).await;
            if unpacked.is_err() {
                enough.cancel();
            }
            unpacked
        };
        // Both come to an end, so that no snapshot stays half written: a download that fails breaks off what
        // reads along.
        let (pulled, unpacked) = tokio::join!(pulling, unpacking);
        pulled.and(unpacked)
    }

    /// Brings the blobs of these layers into the store, several at once.
    pub(super) async fn fetch(
        &self,
        layers: &[Digest],
        blobs: &LayerBlobs,
    ) -> Result<(), SolveError> {
        let mut pulls = Vec::new();
        for layer in layers {
            pulls.extend(self.arrival(layer, blobs)?.1);
        }
        self.pull(pulls, blobs).await
    }

    /// How the bytes of a layer come here.
    fn arrival(
        &self,
        layer: &Digest,
        blobs: &LayerBlobs,
    ) -> Result<(Arrival, Option<Pull>), SolveError> {
        match self.origin(layer) {
            Some((reference, blob)) if !blobs.has(&blob) => {
                let (arrival, pull) = Arrival::downloaded(*layer, reference, blob);
                Ok((arrival, Some(pull)))
            }
            Some((_, blob)) => Ok((Arrival::stored(*layer, blob), None)),
            None => {
                let blob = blobs.any(layer).ok_or(SolveError::LayerGone(*layer))?;
                Ok((Arrival::stored(*layer, blob), None))
            }
        }
    }

    async fn pull(&self, pulls: Vec<Pull>, blobs: &LayerBlobs) -> Result<(), SolveError> {
        let pulls = pulls.into_iter().map(|pull| self.pull_one(pull, blobs));
        let pulls: Vec<_> = pulls.collect();
        stream::iter(pulls).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn pull_one(&self, pull: Pull, blobs: &LayerBlobs) -> Result<(), SolveError> {
        let Pull { diff_id, reference, blob, growing, done } = pull;
        let (observer, direction) = (self.observer.as_ref(), Direction::Pull);
        let progress = Watched { observer, direction, image: &reference };
        self.registry
            .pull_blob_along(&reference, &blob, &self.content, &progress, growing)
            .await
            .map_err(|error| SolveError::from(error).of_base(&reference))?;
        blobs.remember(&diff_id, &blob)?;
        // Nobody waits for it where nothing is unpacked.
        let _ = done.send(());
        Ok(())
    }

    /// Unpacks the last layers of `chain`, one on the other. The next one is decompressed ahead, and waits.
    async fn unpack_each(
        &self,
        chain: &[Digest],
        arrivals: VecDeque<Arrival>,
        blobs: &LayerBlobs,
    ) -> Result<(), SolveError> {
        let first = chain.len() - arrivals.len();
        let mut opened = VecDeque::new();
        let mut arrivals = arrivals.into_iter();
        for end in first..chain.len() {
            while opened.len() < OPENED
                && let Some(mut arrival) = arrivals.next()
            {
                opened.push_back((arrival.open(&self.content)?, arrival));
            }
            let Some((tar, mut arrival)) = opened.pop_front() else { break };
            let unpacked = self.unpack_top(&chain[..=end], (tar, &mut arrival), blobs).await;
            unpacked.map_err(|error| match self.origin(&arrival.diff_id) {
                Some((reference, _)) => error.of_base(&reference),
                None => error,
            })?;
        }
        Ok(())
    }

    /// Unpacks the top layer of `chain` on the snapshot of the layers below, which is there, and commits it.
    async fn unpack_top(
        &self,
        chain: &[Digest],
        (tar, arrival): (ReadAhead, &mut Arrival),
        blobs: &LayerBlobs,
    ) -> Result<(), SolveError> {
        let first = self.unpack_into(chain, tar).await;
        let arrived = arrival.arrived().await;
        let active = match first {
            Ok(active) if arrived => active,
            Ok(active) => {
                active.discard(&self.snapshots).await;
                return Err(SolveError::LayerGone(arrival.diff_id));
            }
            Err(_) if arrived && arrival.was_abandoned() => {
                self.unpack_into(chain, arrival.open(&self.content)?).await?
            }
            Err(error) => return Err(error),
        };
        let Some(id) = chain_id(chain) else { return Ok(()) };
        let image = self.origin(&arrival.diff_id).map(|(reference, _)| reference.to_string());
        blobs.name(chain, &image.unwrap_or_default());
        Ok(self.snapshots.commit(&snapshot_name(&id), &active.key).await?)
    }

    /// A snapshot with the top layer of `chain`, all of it and verified; or none.
    async fn unpack_into(
        &self,
        chain: &[Digest],
        mut tar: ReadAhead,
    ) -> Result<Active, SolveError> {
        let below = chain.split_last().and_then(|(_, below)| chain_id(below));
        let parent = below.map(|id| snapshot_name(&id));
        let active = Active::on(parent.as_deref(), &self.snapshots).await?;
        let root = View::mount(&active.mounts, &self.scratch);
        let work = move || {
            let root = root?;
            let options = UnpackOptions { shift: OWNER_SHIFT, ..UnpackOptions::default() };
            unpack(&mut tar, root.path(), options)?;
            io::copy(&mut tar, &mut io::sink()).map_err(SolveError::layer)?;
            Ok(())
        };
        match tokio::task::spawn_blocking(work)
            .await
            .map_err(SolveError::from)
            .and_then(|done| done)
        {
            Ok(()) => Ok(active),
            Err(error) => {
                active.discard(&self.snapshots).await;
                Err(error)
            }
        }
    }
}
