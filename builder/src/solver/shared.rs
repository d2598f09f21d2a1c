//! What other machines made, as far as this build may use it: results of steps behind the local index, and
//! places from which their layers can be fetched. Who fills this has verified that somebody trusted
//! stands for it; what a layer is said to be is still checked here, byte by byte.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::{error::SolveError, layer_blobs::LayerBlobs, step_result::StepResult};
use crate::{
    content::store::ContentStore,
    layer::{Compression, LayerReader},
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
};

/// Why a source does not give what it promised.
pub type SourceFault = Box<dyn std::error::Error + Send + Sync>;

/// A place that has layers.
pub trait LayerSource: Send + Sync + fmt::Debug {
    /// Its name in messages; two sources differ in it.
    fn name(&self) -> &str;

    /// The repository, where it is one: a registry takes a blob from there by itself.
    fn repository(&self) -> Option<&Reference>;

    /// Brings these blobs into the store, each with the digest that it is named by.
    fn bring<'a>(
        &'a self,
        blobs: &'a [Descriptor],
        content: &'a ContentStore,
    ) -> BoxFuture<'a, Result<(), SourceFault>>;
}

/// A layer that another machine made.
#[derive(Debug, Clone)]
pub struct SharedLayer {
    /// Its blob.
    pub blob: Descriptor,
    /// How the blob was compressed.
    pub compression: Compression,
    /// Who has it.
    pub source: Arc<dyn LayerSource>,
}

/// Puts shared cache mounts in place; called once, before the first step that mounts one.
pub type Restore = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Results that other machines came to, by cache key.
#[derive(Default)]
pub struct SharedSteps {
    steps: HashMap<Digest, StepResult>,
    trees: HashMap<Digest, Digest>,
    restores: Vec<Restore>,
    restored: OnceCell<()>,
}

impl fmt::Debug for SharedSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, trees, .. } = self;
        f.debug_struct("SharedSteps").field("steps", steps).field("trees", trees).finish()
    }
}

impl SharedSteps {
    /// Do they offer nothing?
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds the result of a step. The first one that is added for a key stays.
    pub fn add_step(&mut self, key: Digest, result: StepResult) {
        self.steps.entry(key).or_insert(result);
    }

    /// Adds the digest of files in a stage, by the key under which a COPY looks for it.
    pub fn add_tree(&mut self, key: Digest, content: Digest) {
        self.trees.entry(key).or_insert(content);
    }

    /// Adds something that puts cache mounts in place.
    pub fn add_restore(&mut self, restore: Restore) {
        self.restores.push(restore);
    }

    pub(super) fn step(&self, key: &Digest) -> Option<&StepResult> {
        self.steps.get(key)
    }

    pub(super) fn tree(&self, key: &Digest) -> Option<Digest> {
        self.trees.get(key).copied()
    }

    /// Puts shared cache mounts in place, unless that was done.
    pub(super) async fn restore(&self) {
        self.restored
            .get_or_init(async || {
                for restore in &self.restores {
                    restore().await;
                }
            })
            .await;
    }
}

/// The layers that other machines offer.
#[derive(Debug, Default)]
pub(super) struct SharedLayers {
    offered: Mutex<HashMap<Digest, SharedLayer>>,
    bringing: tokio::sync::Mutex<()>,
}

impl SharedLayers {
    /// Notes where the layer can be had. The first offer stays.
    pub(super) fn offer(&self, diff_id: Digest, layer: SharedLayer) {
        self.lock().entry(diff_id).or_insert(layer);
    }

    /// Forgets everything that the source of this name offered.
    pub(super) fn withdraw(&self, source: &str) {
        self.lock().retain(|_, layer| layer.source.name() != source);
    }

    /// A repository that has the blob.
    pub(super) fn repository_of(&self, blob: &Digest) -> Option<Reference> {
        let offered = self.lock();
        let found = offered.values().find(|layer| layer.blob.digest == *blob)?;
        found.source.repository().cloned()
    }

    pub(super) fn get(&self, diff_id: &Digest) -> Option<SharedLayer> {
        self.lock().get(diff_id).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, SharedLayer>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the blobs of those of `layers` that are offered and missing. Only a blob whose content is
    /// that very layer is remembered as its blob.
    pub(super) async fn bring(
        &self,
        layers: &[Digest],
        blobs: &LayerBlobs,
        content: &Arc<ContentStore>,
    ) -> Result<(), SolveError> {
        let missing = |layer: &&Digest| blobs.any(layer).is_none() && self.get(layer).is_some();
        if !layers.iter().any(|layer| missing(&layer)) {
            return Ok(());
        }
        let _one_at_a_time = self.bringing.lock().await;
        let mut sources: BTreeMap<String, Vec<(Digest, SharedLayer)>> = BTreeMap::new();
        for diff_id in layers.iter().filter(missing) {
            if let Some(layer) = self.get(diff_id) {
                let name = layer.source.name().to_owned();
                sources.entry(name).or_default().push((*diff_id, layer));
            }
        }
        for (name, layers) in sources {
            let Some(source) = layers.first().map(|(_, layer)| layer.source.clone()) else {
                continue;
            };
            let fault = |cause| SolveError::Shared { name: name.clone(), cause };
            let wanted: Vec<Descriptor> =
                layers.iter().map(|(_, layer)| layer.blob.clone()).collect();
            source.bring(&wanted, content).await.map_err(fault)?;
            for (diff_id, layer) in layers {
                let (store, blob) = (content.clone(), layer.blob.clone());
                let read = tokio::task::spawn_blocking(move || check(&blob, diff_id, &store));
                read.await?.map_err(|error| fault(error.into()))?;
                blobs.remember_shared(&diff_id, &layer.blob, layer.compression)?;
            }
        }
        Ok(())
    }
}

/// Reads a blob to its end: does it hold this layer?
fn check(blob: &Descriptor, diff_id: Digest, content: &ContentStore) -> std::io::Result<()> {
    let blob = content.open_verified(blob).map_err(std::io::Error::other)?;
    let mut reader = LayerReader::new(blob, Some(diff_id))?;
    std::io::copy(&mut reader, &mut std::io::sink())?;
    reader.finish().map(drop)
}

#[cfg(test)]
mod tests;
