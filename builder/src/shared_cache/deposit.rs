//! A cache goes to its place. Order is the point, as with images: blobs, index, manifest by digest, the
//! signature, and only then the name. Whoever reads by name finds all of it or the old cache.

use std::{path::Path, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use touchmark_attest::{sign::Signer, trust::Trust};

use super::{
    ARTIFACT_TYPE, CacheError, INDEX_TYPE,
    contents::{CacheBlob, Contents},
    opened::Opened,
    statement::{sign, trusted},
};
use crate::{
    export::{
        artifact::{Artifact, BUNDLE_TYPE, EMPTY_JSON},
        layout_writer::{LayoutImage, stage_directory},
    },
    oci::{descriptor::Descriptor, media_type, reference::Reference},
    registry::push::BlobSource,
    solver::{event::Observer, host::Host, telling::Watched, transfer::Direction},
};

/// Uploads at the same time.
const PARALLEL: usize = 4;

/// A cache on its way.
pub(super) struct Deposit<'a> {
    pub(super) contents: &'a Contents,
    pub(super) signer: &'a dyn Signer,
    pub(super) host: &'a Arc<Host>,
    pub(super) observer: &'a dyn Observer,
    /// A repository that has the image by now: the registry takes blobs from there by itself.
    pub(super) image: Option<&'a Reference>,
}

impl Deposit<'_> {
    /// Under the name `target`, or beside `subject` in its repository.
    pub(super) async fn push(
        &self,
        target: &Reference,
        subject: Option<&Descriptor>,
    ) -> Result<(), CacheError> {
        let registry = &self.host.registry;
        let (entry, manifest) = self.contents.document(subject)?;
        let place = target.at(entry.digest);
        let progress =
            Watched { observer: self.observer, direction: Direction::Push, image: target };
        if !self.is_there(&place, &entry).await {
            let blobs = self.contents.blobs.iter().map(|blob| self.blob(target, blob, progress));
            let blobs: Vec<_> = blobs.collect();
            stream::iter(blobs).buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await?;
            let index = (INDEX_TYPE, self.contents.index.as_slice());
            for (kind, bytes) in [index, (media_type::EMPTY, EMPTY_JSON)] {
                small(self.host, progress, kind, bytes).await?;
            }
            let pushed = registry.push_manifest(&place, media_type::MANIFEST, &manifest).await?;
            let artifact = sign(&entry, &self.contents.predicate, self.signer)?;
            self.statement(&place, progress, &artifact).await?;
            if let (Some(subject), false) = (subject, pushed.listed) {
                registry.add_referrers(target, subject.digest, &[entry]).await?;
            }
        }
        if subject.is_none() {
            let named = target.tagged(target.tag().unwrap_or("latest"));
            registry.push_manifest(&named, media_type::MANIFEST, &manifest).await?;
        }
        Ok(())
    }

    /// Does the place have this very cache, signed by this very key?
    async fn is_there(&self, place: &Reference, entry: &Descriptor) -> bool {
        let registry = &self.host.registry;
        if !matches!(registry.exists(place).await, Ok(Some(_))) {
            return false;
        }
        let opened = Opened::Registry(registry.clone(), place.clone());
        let own = Trust::in_keys([self.signer.public_key().clone()]);
        trusted(&opened, entry.digest, &own).await.is_ok()
    }

    /// A blob that nothing here needed is sent only where the registry cannot take it from where it is.
    async fn blob(
        &self,
        target: &Reference,
        one: &CacheBlob,
        progress: Watched<'_>,
    ) -> Result<(), CacheError> {
        let registry = &self.host.registry;
        let source = BlobSource::Store(&self.host.content);
        let from = one.elsewhere.as_ref().and_then(|source| source.repository()).or(self.image);
        let pushed = registry.push_blob(target, &one.blob, source, from, &progress).await;
        if pushed.is_err() && one.elsewhere.is_some() {
            self.bring(one).await?;
            registry.push_blob(target, &one.blob, source, None, &progress).await?;
            return Ok(());
        }
        pushed?;
        Ok(())
    }

    async fn bring(&self, one: &CacheBlob) -> Result<(), CacheError> {
        let layers = one.layer.map(|layer| (layer, one.blob.clone()));
        Ok(self.host.chains.ensure(layers.as_slice()).await?)
    }

    async fn statement(
        &self,
        cache: &Reference,
        progress: Watched<'_>,
        artifact: &Artifact,
    ) -> Result<(), CacheError> {
        let registry = &self.host.registry;
        small(self.host, progress, BUNDLE_TYPE, &artifact.bundle).await?;
        let place = cache.at(artifact.entry.digest);
        let pushed =
            registry.push_manifest(&place, media_type::MANIFEST, &artifact.manifest).await?;
        if let (false, Some(subject)) = (pushed.listed, cache.digest()) {
            let entries = [artifact.entry.clone()];
            registry.add_referrers(cache, subject, &entries).await?;
        }
        Ok(())
    }

    /// Into the directory `dest`, as an OCI layout; a cache that is there is replaced, images stay.
    pub(super) async fn write(&self, dest: &Path) -> Result<(), CacheError> {
        for one in self.contents.blobs.iter().filter(|one| one.elsewhere.is_some()) {
            self.bring(one).await?;
        }
        let (mut entry, manifest) = self.contents.document(None)?;
        entry.artifact_type = Some(ARTIFACT_TYPE.into());
        let artifact = sign(&entry, &self.contents.predicate, self.signer)?;
        let documents = [&*manifest, &*self.contents.index, EMPTY_JSON];
        for document in documents.into_iter().chain([&*artifact.bundle, &*artifact.manifest]) {
            self.host.content.put(document)?;
        }
        let (content, dest) = (self.host.content.clone(), dest.to_owned());
        let work = move || {
            let whole = LayoutImage {
                image: &entry,
                names: &[],
                referrers: std::slice::from_ref(&artifact.entry),
            };
            stage_directory(&content, whole, &dest)?.publish()
        };
        Ok(tokio::task::spawn_blocking(work).await??)
    }
}

async fn small(
    host: &Host,
    progress: Watched<'_>,
    media_type: &str,
    bytes: &[u8],
) -> Result<(), CacheError> {
    let blob = Descriptor::of(media_type, bytes);
    let source = BlobSource::Bytes(bytes);
    host.registry.push_blob(progress.image, &blob, source, None, &progress).await?;
    Ok(())
}
