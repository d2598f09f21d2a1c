//! What of a build is worth sharing, as documents: the index, the manifest over its blobs, and the
//! signature.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};
use touchmark_attest::predicate::cache::{CacheMode, SharedCache as Predicate};

use super::{
    ARTIFACT_TYPE, CacheError, CacheTarget, INDEX_TYPE, INVENTORY_TYPE, MOUNTS_TYPE, Mounts,
    export::Facts,
    index::{CacheIndex, IndexedImage, IndexedInventory, IndexedLayer, IndexedStep},
};
use crate::{
    export::artifact::EMPTY_JSON,
    image::outcomes::{inventory_key, write_inventory},
    layer::Compression,
    oci::{
        descriptor::Descriptor,
        digest::Digest,
        manifest::Manifest,
        media_type::{self, oci_layer},
    },
    solver::{
        cache_store::CacheStore,
        chain::Chains,
        host::Host,
        shared::LayerSource,
        trail::{Passed, PassedStep},
    },
};

/// Layers that are compressed at the same time.
const PARALLEL: usize = 4;

/// A cache that can be put somewhere.
#[derive(Debug)]
pub(super) struct Contents {
    /// The index.
    pub(super) index: Vec<u8>,
    /// The manifest without a subject.
    pub(super) manifest: Manifest,
    /// Layers, and the archive of cache mounts.
    pub(super) blobs: Vec<CacheBlob>,
    /// What is said of it.
    pub(super) predicate: Predicate,
}

/// A blob of a cache.
#[derive(Debug, Clone)]
pub(super) struct CacheBlob {
    /// The blob.
    pub(super) blob: Descriptor,
    /// The layer that it holds.
    pub(super) layer: Option<Digest>,
    /// Who has it, where it is not in the store.
    pub(super) elsewhere: Option<Arc<dyn LayerSource>>,
}

impl Contents {
    /// Gathers what `target` wants; layers that no step compressed are compressed now.
    pub(super) async fn of(
        target: &CacheTarget,
        passed: &Passed,
        facts: &Facts<'_>,
        host: &Arc<Host>,
    ) -> Result<Self, CacheError> {
        let of_image: HashSet<&Digest> = facts.layers.iter().flatten().collect();
        let wanted = |step: &PassedStep| match (target.mode, &step.result.layer) {
            (CacheMode::Max, _) => true,
            (CacheMode::Min, Some(layer)) => of_image.contains(layer),
            (CacheMode::Min, None) => false,
        };
        let steps: Vec<_> = passed.steps.iter().filter(|(_, step)| wanted(step)).collect();
        let stacks: BTreeMap<Digest, &[Digest]> = steps
            .iter()
            .filter_map(|(_, step)| Some((step.result.layer?, step.layers.as_slice())))
            .collect();
        let blobs = stacks.into_iter().map(|(diff_id, layers)| {
            layer(diff_id, layers, target.compression, facts.epoch, &host.chains)
        });
        let blobs: Vec<_> = blobs.collect();
        let mut layers: Vec<(IndexedLayer, CacheBlob)> =
            stream::iter(blobs).buffer_unordered(PARALLEL).try_collect().await?;
        layers.sort_by_key(|(layer, _)| layer.diff_id);
        let images = images(target, facts, host, &mut layers)?;
        let (layers, mut blobs): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
        let mounts = mounts(&target.mounts, host).await?;
        let inventories = images.iter().filter_map(|image| image.inventory.as_ref());
        let others = mounts.iter().chain(inventories.map(|inventory| &inventory.blob));
        blobs.extend(others.map(|blob| CacheBlob {
            blob: blob.clone(),
            layer: None,
            elsewhere: None,
        }));
        let steps = steps.iter().map(|(key, step)| IndexedStep::new(**key, &step.result)).collect();
        let index = CacheIndex::new(steps, &passed.trees, layers, mounts, images);
        Self::sealed(index, blobs, target, facts)
    }

    fn sealed(
        index: CacheIndex,
        blobs: Vec<CacheBlob>,
        target: &CacheTarget,
        facts: &Facts<'_>,
    ) -> Result<Self, CacheError> {
        let predicate = facts.predicate(target.mode, index.steps.len(), index.layers.len())?;
        let index = index.to_bytes()?;
        let mut layers: Vec<Descriptor> = Vec::new();
        for one in &blobs {
            if !layers.contains(&one.blob) {
                layers.push(one.blob.clone());
            }
        }
        if layers.is_empty() {
            // manifest.md: an artifact without content has the empty descriptor as its layer.
            layers.push(Descriptor::of(media_type::EMPTY, EMPTY_JSON));
        }
        let manifest = Manifest {
            artifact_type: Some(ARTIFACT_TYPE.into()),
            ..Manifest::image(Descriptor::of(INDEX_TYPE, &index), layers)
        };
        Ok(Self { index, manifest, blobs, predicate })
    }

    /// The manifest's bytes and what names them; `subject` is the image that the cache lies beside.
    pub(super) fn document(
        &self,
        subject: Option<&Descriptor>,
    ) -> Result<(Descriptor, Vec<u8>), CacheError> {
        let plain = |of: &Descriptor| Descriptor::new(of.media_type.clone(), of.digest, of.size);
        let manifest = Manifest { subject: subject.map(plain), ..self.manifest.clone() };
        let bytes = serde_json::to_vec(&manifest)?;
        let mut entry = Descriptor::of(media_type::MANIFEST, &bytes);
        entry.artifact_type = Some(ARTIFACT_TYPE.into());
        Ok((entry, bytes))
    }
}

/// The blob of the top one of `layers`. One that another machine offers and nothing here needed stays
/// where it is.
async fn layer(
    diff_id: Digest,
    layers: &[Digest],
    wanted: Option<Compression>,
    epoch: i64,
    chains: &Chains,
) -> Result<(IndexedLayer, CacheBlob), CacheError> {
    if let Some(offer) = chains.offered(&diff_id)
        && wanted.is_none_or(|wanted| wanted == offer.compression)
    {
        let (blob, compression, source) = (offer.blob, offer.compression, offer.source);
        let one = CacheBlob { blob: blob.clone(), layer: Some(diff_id), elsewhere: Some(source) };
        return Ok((IndexedLayer { blob, compression, diff_id }, one));
    }
    let mut blob = chains.blob(layers, epoch).await?;
    let mut compression = chains.compression_of(&diff_id, &blob);
    if let Some(wanted) = wanted {
        blob = chains.compressed(&diff_id, &blob, (wanted, true)).await?;
        compression = wanted;
    }
    // What a foreign registry annotated is no part of the layer.
    let media_type = oci_layer(&blob.media_type).unwrap_or(&blob.media_type);
    let blob = Descriptor::new(media_type, blob.digest, blob.size);
    let one = CacheBlob { blob: blob.clone(), layer: Some(diff_id), elsewhere: None };
    Ok((IndexedLayer { blob, compression, diff_id }, one))
}

/// What came of the images, with the layers that only hardening made. Another machine looks for the blobs that
/// the image names, so there are none where the cache's are compressed in another way.
fn images(
    target: &CacheTarget,
    facts: &Facts<'_>,
    host: &Host,
    layers: &mut Vec<(IndexedLayer, CacheBlob)>,
) -> Result<Vec<IndexedImage>, CacheError> {
    if target.compression.is_some() {
        return Ok(Vec::new());
    }
    let (outcomes, chains) = (&facts.outcomes, &host.chains);
    let mut images = Vec::new();
    for (key, image) in &outcomes.images {
        for (diff_id, blob) in image.image.layers() {
            let known = layers.iter().any(|(layer, _)| layer.diff_id == diff_id);
            if known || chains.is_of_base(&diff_id) {
                continue;
            }
            let elsewhere = chains.offered(&diff_id).map(|offer| offer.source);
            let compression = chains.compression_of(&diff_id, blob);
            let one = CacheBlob { blob: blob.clone(), layer: Some(diff_id), elsewhere };
            layers.push((IndexedLayer { blob: blob.clone(), compression, diff_id }, one));
        }
        let about = inventory_key(&image.image.config.rootfs.diff_ids);
        let inventory = outcomes.inventories.get(&about).map(|inventory| {
            let bytes = write_inventory(inventory).map_err(CacheError::Inventory)?;
            host.content.put(&bytes)?;
            let blob = Descriptor::of(INVENTORY_TYPE, &bytes);
            Ok::<_, CacheError>(IndexedInventory { blob, key: about })
        });
        let inventory = inventory.transpose()?;
        images.push(IndexedImage { image: image.clone(), inventory, key: *key });
    }
    Ok(images)
}

/// The archive of those cache mounts, in the store; none where there are none.
async fn mounts(wanted: &Mounts, host: &Arc<Host>) -> Result<Option<Descriptor>, CacheError> {
    if *wanted == Mounts::None {
        return Ok(None);
    }
    let (wanted, host) = (wanted.clone(), host.clone());
    let work = move || -> Result<Option<Descriptor>, CacheError> {
        let store = CacheStore::new(host.cache_mounts.clone());
        let mut ids: Vec<String> = store.list()?.into_iter().map(|cache| cache.name.id).collect();
        ids.retain(|id| wanted.want(id));
        ids.dedup();
        if ids.is_empty() {
            return Ok(None);
        }
        let (_, out) = store.export(&ids, host.content.writer()?, &|_| {})?;
        let (digest, size) = out.commit(None)?;
        Ok(Some(Descriptor::new(MOUNTS_TYPE, digest, size)))
    };
    tokio::task::spawn_blocking(work).await?
}
