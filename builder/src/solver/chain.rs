//! Stacks of layers. A layer has up to three forms: its name (the digest of its uncompressed tar), a
//! blob in the content store, and a snapshot in the worker. One form is made from another when
//! something needs it: a base layer is fetched when a step mounts it, a step's layer is compressed when
//! an image is exported.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use super::{active::Active, view::View};
use super::{
    active::{random_key, snapshot_name},
    background::Background,
    base_layers::BaseLayers,
    error::SolveError,
    event::Observer,
    key::chain_id,
    layer_blobs::LayerBlobs,
    pack::{self, Unfinished},
    shared::SharedLayers,
};
use crate::{
    content::{blob_sink::BlobSink, index::Index, store::ContentStore},
    graph::Origin,
    layer::{Compression, LayerWriter, lookout::Lookout},
    oci::{descriptor::Descriptor, digest::Digest},
    registry::client::RegistryClient,
    snapshot::{Mount, Snapshots},
};

/// The layers that this machine knows.
pub struct Chains {
    pub(super) blobs: Arc<LayerBlobs>,
    pub(super) background: Background,
    pub(super) bases: BaseLayers,
    pub(super) shared: SharedLayers,
    scratch: PathBuf,
    pub(super) content: Arc<ContentStore>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) lookout: Option<Arc<dyn Lookout>>,
}

impl fmt::Debug for Chains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chains").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

impl Chains {
    /// Keeps what it knows in `index` and mounts snapshots below `scratch`; tells `observer` what it
    /// fetches.
    #[must_use]
    pub fn new(
        index: Arc<Index>,
        scratch: &Path,
        content: Arc<ContentStore>,
        snapshots: Arc<Snapshots>,
        registry: Arc<RegistryClient>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (store, worker) = (content.clone(), snapshots.clone());
        Self {
            blobs: Arc::new(LayerBlobs::new(index, content.clone())),
            background: Background::default(),
            bases: BaseLayers::new(scratch, store, worker, registry, observer),
            shared: SharedLayers::default(),
            scratch: scratch.to_owned(),
            content,
            snapshots,
            lookout: None,
        }
    }

    /// Lets `lookout` see the layers that are exported.
    #[must_use]
    pub fn seen_by(self, lookout: Arc<dyn Lookout>) -> Self {
        let bases = self.bases.seen_by(lookout.clone());
        Self { bases, lookout: Some(lookout), ..self }
    }

    /// Compresses the layers that steps make in this way.
    #[must_use]
    pub fn compressing(self, compression: Compression) -> Self {
        let blobs = Arc::new(self.blobs.compressing(compression));
        Self { blobs, ..self }
    }

    /// How the layers of steps are compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.blobs.compression
    }

    /// Notes that the store holds the layer `diff_id` as `blob`.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn remember(&self, diff_id: &Digest, blob: &Descriptor) -> Result<(), SolveError> {
        self.blobs.remember(diff_id, blob)
    }

    /// Is the top layer of `chain` there in any form?
    pub async fn holds(&self, chain: &[Digest]) -> Result<bool, SolveError> {
        let (Some(top), Some(id)) = (chain.last(), chain_id(chain)) else { return Ok(true) };
        let known = self.bases.origin(top).is_some()
            || self.shared.get(top).is_some()
            || self.blobs.any(top).is_some()
            || self.background.makes(top)
            || self.snapshots.exists(&snapshot_name(&id)).await?;
        Ok(known)
    }

    /// The name of the committed snapshot that holds `chain`; none for the empty chain. What is missing
    /// is fetched and unpacked.
    pub async fn snapshot(&self, chain: &[Digest]) -> Result<Option<String>, SolveError> {
        let Some(id) = chain_id(chain) else { return Ok(None) };
        let name = snapshot_name(&id);
        if self.snapshots.exists(&name).await? {
            return Ok(Some(name));
        }
        for layer in chain {
            self.background.wait(layer).await?;
        }
        self.bring(chain).await?;
        self.bases.unpack(chain, &self.blobs).await?;
        Ok(Some(name))
    }

    /// How a blob of this layer was compressed, as far as that is known.
    #[must_use]
    pub fn compression_of(&self, diff_id: &Digest, blob: &Descriptor) -> Compression {
        let own = self.blobs.made(diff_id, self.blobs.compression);
        match own.is_some_and(|own| own.digest == blob.digest) {
            true => self.blobs.compression,
            false => Compression::of_media_type(&blob.media_type).unwrap_or_default(),
        }
    }

    /// Brings what other machines offer of `chain` above the highest snapshot that is there.
    async fn bring(&self, chain: &[Digest]) -> Result<(), SolveError> {
        if !chain.iter().any(|layer| self.shared.get(layer).is_some()) {
            return Ok(());
        }
        let mut present = chain.len();
        while let Some(id) = chain_id(&chain[..present]) {
            if self.snapshots.exists(&snapshot_name(&id)).await? {
                break;
            }
            present -= 1;
        }
        self.shared.bring(&chain[present..], &self.blobs, &self.content).await
    }

    /// The compressed blob of the top layer of `chain`, made or fetched where it is missing.
    pub async fn blob(&self, chain: &[Digest], epoch: i64) -> Result<Descriptor, SolveError> {
        let Some(top) = chain.last() else { return Err(SolveError::EmptyChain) };
        self.background.wait(top).await?;
        if let Some((_, blob)) = self.bases.origin(top) {
            if !self.blobs.has(&blob) {
                self.bases.fetch(std::slice::from_ref(top), &self.blobs).await?;
            }
            return Ok(blob);
        }
        self.shared.bring(std::slice::from_ref(top), &self.blobs, &self.content).await?;
        match self.blobs.any(top) {
            Some(blob) => self.blobs.compressed(top, &blob, self.blobs.compression).await,
            None => self.compress(chain, epoch).await,
        }
    }

    /// The layer `diff_id`, which the content store has as `blob`, in this compression. What came from
    /// a registry stays as it is there, unless that is forced.
    ///
    /// # Errors
    /// When the blob cannot be read, or the new one not be written.
    pub async fn compressed(
        &self,
        diff_id: &Digest,
        blob: &Descriptor,
        (compression, force): (Compression, bool),
    ) -> Result<Descriptor, SolveError> {
        if !force && self.bases.origin(diff_id).is_some() {
            return Ok(blob.clone());
        }
        if !self.blobs.has(blob) {
            let offer = self.offered(diff_id).filter(|offer| offer.blob.digest == blob.digest);
            if offer.is_some_and(|offer| offer.compression == compression) {
                return Ok(blob.clone());
            }
            self.ensure(&[(*diff_id, blob.clone())]).await?;
        }
        self.blobs.compressed(diff_id, blob, compression).await
    }

    /// An active snapshot on top of `chain`, its mounts, and the key under which it is committed.
    pub async fn prepare(&self, chain: &[Digest]) -> Result<Active, SolveError> {
        // Mostly the layers are there: the step before made them. Asking first would only take time.
        if let Some(id) = chain_id(chain) {
            match Active::on(Some(&snapshot_name(&id)), &self.snapshots).await {
                Err(SolveError::Snapshot(error)) if error.is_not_found() => {}
                done => return done,
            }
        }
        let parent = self.snapshot(chain).await?;
        Active::on(parent.as_deref(), &self.snapshots).await
    }

    /// Packs what was written into `active` and commits it as a layer on top of `chain`, be it an empty
    /// one: as in BuildKit, every step on the file system makes a layer.
    ///
    /// # Errors
    /// When the layer cannot be written; the active snapshot is gone then.
    pub async fn commit(
        &self,
        active: Active,
        chain: &[Digest],
        want: Commit,
        origin: &Origin,
    ) -> Result<Digest, SolveError> {
        let packed = match self.pack(&active.mounts, want).await {
            Ok(packed) => packed,
            Err(error) => {
                self.discard(active).await;
                return Err(error);
            }
        };
        if let Some(blob) = packed.blob {
            self.complete(packed.diff_id, blob, origin);
        }
        let full: Vec<Digest> = chain.iter().copied().chain([packed.diff_id]).collect();
        if let Some(id) = chain_id(&full) {
            self.snapshots.commit(&snapshot_name(&id), &active.key).await?;
        }
        Ok(packed.diff_id)
    }

    /// Takes a layer's archive.
    pub(super) fn writer(&self) -> Result<LayerWriter<BlobSink>, SolveError> {
        let sink = self.content.sink()?;
        let writer = LayerWriter::new(sink, self.blobs.compression).map_err(SolveError::layer)?;
        Ok(writer.seen_by(self.lookout.clone()))
    }

    /// Lets the blob become complete while the build goes on.
    pub(super) fn complete(&self, diff_id: Digest, blob: Unfinished, origin: &Origin) {
        let blobs = self.blobs.clone();
        let work = tokio::task::spawn_blocking(move || {
            blobs.remember_made(&diff_id, &blob.finish()?, blobs.compression)
        });
        self.background.add(diff_id, origin, async { work.await? });
    }

    /// Ends the work of this build with the worker: what keeps its snapshots from the collector is
    /// released.
    ///
    /// # Errors
    /// When the worker does not answer.
    pub async fn close(&self) -> Result<(), SolveError> {
        Ok(self.snapshots.close().await?)
    }

    /// Gives an active snapshot up.
    pub async fn discard(&self, active: Active) {
        active.discard(&self.snapshots).await;
    }

    /// A read-only mount of `chain`, which lives as long as the value. The empty chain is an empty
    /// directory.
    ///
    /// # Errors
    /// When the snapshot cannot be had or mounted.
    pub async fn view(&self, chain: &[Digest]) -> Result<View, SolveError> {
        let Some(mounts) = self.lower(chain).await? else {
            return View::empty(&self.scratch);
        };
        self.mount(&mounts)
    }

    /// The mounts that show `chain` read-only; none for the empty chain.
    ///
    /// # Errors
    /// When the snapshot cannot be had.
    pub async fn lower(&self, chain: &[Digest]) -> Result<Option<Vec<Mount>>, SolveError> {
        let Some(name) = self.snapshot(chain).await? else { return Ok(None) };
        let key = random_key()?;
        let mounts = self.snapshots.view(&key, &name).await?;
        // The directories belong to the committed layers; the view's record is not needed any more.
        self.snapshots.remove(&key).await?;
        Ok(Some(mounts))
    }

    /// Mounts `mounts` at a directory of their own, for as long as the value lives.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn mount(&self, mounts: &[Mount]) -> Result<View, SolveError> {
        View::mount(mounts, &self.scratch)
    }

    /// Makes the blob of the top layer of `chain` from its snapshot.
    async fn compress(&self, chain: &[Digest], epoch: i64) -> Result<Descriptor, SolveError> {
        let top = chain.last().ok_or(SolveError::EmptyChain)?;
        let name = self.snapshot(chain).await?.ok_or(SolveError::EmptyChain)?;
        // A view's first lower directory is what the top layer wrote.
        let key = random_key()?;
        let mounts = self.snapshots.view(&key, &name).await?;
        let want = Commit { epoch, export: true, copied: false };
        let mut packed = self.pack(&mounts, want).await;
        if packed.as_ref().is_ok_and(|packed| packed.diff_id != *top) {
            // The snapshot does not say whether a program wrote it or the builder itself.
            packed = self.pack(&mounts, Commit { copied: true, ..want }).await;
        }
        self.snapshots.remove(&key).await?;
        let packed = packed?;
        let blob = packed.blob.ok_or(SolveError::LayerGone(*top))?;
        let blob = tokio::task::spawn_blocking(move || blob.finish()).await??;
        if packed.diff_id != *top {
            return Err(SolveError::LayerChanged { expected: *top, actual: packed.diff_id });
        }
        self.blobs.remember_made(top, &blob, self.blobs.compression)?;
        Ok(blob)
    }

    async fn pack(&self, mounts: &[Mount], want: Commit) -> Result<pack::Packed, SolveError> {
        let top = pack::Top::of(mounts).ok_or(SolveError::EmptyChain)?;
        let view = View::empty(&self.scratch)?;
        let writer = want.export.then(|| self.writer()).transpose()?;
        let pack = move || pack::pack_top(&top, view.path(), (want.epoch, want.copied), writer);
        tokio::task::spawn_blocking(pack).await?
    }
}

/// How a written snapshot becomes a layer.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    /// No time stamp is later; seconds since 1970.
    pub epoch: i64,
    /// Compress it now, because it goes into an exported image.
    pub export: bool,
    /// See [`PackOptions::copied`](crate::layer::PackOptions::copied).
    pub copied: bool,
}
