//! Layers that come from elsewhere: where each can be fetched, and how its blob becomes a snapshot.

use std::{
    collections::{HashMap, HashSet, VecDeque},
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
    layer::{ReadAhead, UnpackOptions, lookout::Lookout, unpack},
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
    lookout: Option<Arc<dyn Lookout>>,
    /// The layers that it is to see.
    shown: Mutex<HashSet<Digest>>,
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
        let (lookout, shown) = (None, Mutex::default());
        Self { scratch, content, snapshots, registry, observer, origins, unpacking, lookout, shown }
    }

    /// Lets `lookout` see the layers that are exported.
    pub(super) fn seen_by(self, lookout: Arc<dyn Lookout>) -> Self {
        Self { lookout: Some(lookout), ..self }
    }

    /// Notes that an image with this layer is exported.
    pub(super) fn exported(&self, diff_id: Digest) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(diff_id);
    }

    /// Who is to see the layer and has not yet.
    fn lookout(&self, diff_id: &Digest) -> Option<Arc<dyn Lookout>> {
        let lookout = self.lookout.as_ref()?;
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).contains(diff_id);
        (shown && !lookout.show(diff_id, &mut |_| ())).then(|| lookout.clone())
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
        let (arrivals, pulls) = self.arrivals(&chain[present..], blobs)?;
        both(self.pull(pulls, blobs), self.unpack_each(chain, arrivals, blobs)).await?;
        self.arrived(&chain[present..]);
        Ok(())
    }

    /// Shows the layers of `chain` to who looks and unpacks none. What `blobs` does not have is downloaded.
    pub(super) async fn look(
        &self,
        chain: &[Digest],
        blobs: &LayerBlobs,
    ) -> Result<(), SolveError> {
        let _one_at_a_time = self.unpacking.lock().await;
        let (arrivals, pulls) = self.arrivals(chain, blobs)?;
        let looking = arrivals.into_iter().map(|arrival| self.look_at(arrival));
        let looking: Vec<_> = looking.collect();
        let looking = stream::iter(looking).buffer_unordered(OPENED).try_collect();
        both(self.pull(pulls, blobs), looking).await?;
        self.arrived(chain);
        Ok(())
    }

    fn arrived(&self, layers: &[Digest]) {
        if let Some(lookout) = &self.lookout {
            lookout.arrived(layers);
        }
    }

    async fn look_at(&self, mut arrival: Arrival) -> Result<(), SolveError> {
        let first = drained(self.open(&mut arrival)?).await;
        let outcome = match (first, arrival.arrived().await) {
            (Err(_), true) if arrival.was_abandoned() => drained(self.open(&mut arrival)?).await,
            (Ok(()), false) => Err(SolveError::LayerGone(arrival.diff_id)),
            (outcome, _) => outcome,
        };
        outcome.map_err(|error| self.of_base(&arrival, error))
    }

    fn open(&self, arrival: &mut Arrival) -> Result<ReadAhead, SolveError> {
        let lookout = self.lookout(&arrival.diff_id);
        arrival.open(&self.content, lookout)
    }

    /// The error with the image that the layer is of.
    fn of_base(&self, arrival: &Arrival, error: SolveError) -> SolveError {
        match self.origin(&arrival.diff_id) {
            Some((reference, _)) => error.of_base(&reference),
            None => error,
        }
    }

    /// How the bytes of these layers come here, and what is to be downloaded for it.
    fn arrivals(
        &self,
        layers: &[Digest],
        blobs: &LayerBlobs,
    ) -> Result<(VecDeque<Arrival>, Vec<Pull>), SolveError> {
        let (mut arrivals, mut pulls) = (VecDeque::new(), Vec::new());
        for layer in layers {
            let (arrival, pull) = self.arrival(layer, blobs)?;
            arrivals.push_back(arrival);
            pulls.extend(pull);
        }
        Ok((arrivals, pulls))
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
                opened.push_back((self.open(&mut arrival)?, arrival));
            }
            let Some((tar, mut arrival)) = opened.pop_front() else { break };
            let unpacked = self.unpack_top(&chain[..=end], (tar, &mut arrival), blobs).await;
            unpacked.map_err(|error| self.of_base(&arrival, error))?;
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
                self.unpack_into(chain, self.open(arrival)?).await?
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

/// Downloads, and reads along. Both come to an end, so that no snapshot stays half written: a download that fails breaks
/// off what reads along, and where that fails, nothing more is downloaded.
async fn both(
    pulling: impl Future<Output = Result<(), SolveError>>,
    reading: impl Future<Output = Result<(), SolveError>>,
) -> Result<(), SolveError> {
    let enough = CancellationToken::new();
    let pulling = async { enough.run_until_cancelled(pulling).await.unwrap_or(Ok(())) };
    let reading = async {
        let read = reading.await;
        if read.is_err() {
            enough.cancel();
        }
        read
    };
    let (pulled, read) = tokio::join!(pulling, reading);
    pulled.and(read)
}

/// Reads a layer to its end, for who looks.
async fn drained(mut tar: ReadAhead) -> Result<(), SolveError> {
    let work = move || io::copy(&mut tar, &mut io::sink()).map(drop).map_err(SolveError::layer);
    tokio::task::spawn_blocking(work).await?
}
