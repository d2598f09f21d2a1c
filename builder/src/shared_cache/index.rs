//! The index of a cache: which key has which result, and which blob holds which layer. Canonical JSON
//! (keys sorted, no blanks, lists sorted), so that the same results give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    egress::RequestRecord,
    image::hardened::HardenedImage,
    layer::Compression,
    oci::{descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type::oci_layer},
    solver::step_result::StepResult,
};

/// The largest index that is read, in bytes.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Steps and trees that are read.
pub const MAX_RECORDS: usize = 100_000;
/// Layers that are read.
pub const MAX_LAYERS: usize = 10_000;
/// Images that are read.
pub const MAX_IMAGES: usize = 1000;
const VERSION: u32 = 2;

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CacheIndex {
    /// What came of images.
    pub images: Vec<IndexedImage>,
    /// The layers that steps added and hardening wrote, by their digests.
    pub layers: Vec<IndexedLayer>,
    /// An archive of cache mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Descriptor>,
    /// Results of steps, by cache key.
    pub steps: Vec<IndexedStep>,
    /// Digests of files in stages, by the key under which a COPY looks for them.
    pub trees: Vec<IndexedTree>,
    /// Of this format: 2.
    pub version: u32,
}

/// What came of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexedImage {
    /// The image as hardening left it, and its report.
    pub image: HardenedImage,
    /// Its inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<IndexedInventory>,
    /// The digest of all that it follows from.
    pub key: Digest,
}

/// The inventory of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexedInventory {
    /// JSON, compressed with zstd; the manifest names it too.
    pub blob: Descriptor,
    /// Says of which layers it is.
    pub key: Digest,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexedLayer {
    /// Its blob, which the manifest names too.
    pub blob: Descriptor,
    /// How the blob was compressed: `gzip:6`, `zstd:3`, `none`.
    #[serde(serialize_with = "write_level", deserialize_with = "read_level")]
    pub compression: Compression,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
}

/// What a step produced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexedStep {
    /// Ids of the cache mounts that it could read.
    pub caches: Vec<String>,
    /// Rights that it had beyond those of every step.
    pub entitlements: Vec<String>,
    /// Its cache key.
    pub key: Digest,
    /// The layer that it added.
    pub layer: Option<Digest>,
    /// What it fetched.
    pub requests: Vec<RequestRecord>,
}

/// The digest of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexedTree {
    /// What a COPY calls them.
    pub key: Digest,
    /// Their digest.
    pub content: Digest,
}

/// Why an index is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum IndexError {
    #[error("it is not readable: {}", one_line(.0))]
    Json(#[from] serde_json::Error),
    #[error("it is of version {0}, which this touchmark does not know")]
    Version(u32),
    #[error("it has {found} {what}; at most {max} are read")]
    TooMany { what: &'static str, found: usize, max: usize },
    #[error("{what} {digest} is in it twice")]
    Twice { what: &'static str, digest: Digest },
    #[error("it names {0}, which the manifest does not name as it does")]
    Blob(Digest),
    #[error("the blob {0} is no layer of the compression that it names")]
    Compression(Digest),
    #[error("the step {key} adds the layer {layer}, which is not in it")]
    Layer { key: Digest, layer: Digest },
}

/// A name out of a foreign index begins no line of its own.
fn one_line(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

impl IndexedStep {
    /// The result under `key`.
    #[must_use]
    pub fn new(key: Digest, result: &StepResult) -> Self {
        let StepResult { layer, requests, caches, entitlements, .. } = result.clone();
        Self { caches, entitlements, key, layer, requests }
    }

    /// The result.
    #[must_use]
    pub fn result(self) -> StepResult {
        let Self { caches, entitlements, layer, requests, .. } = self;
        StepResult { layer, requests, caches, entitlements }
    }
}

impl CacheIndex {
    /// An index of these, in its order.
    #[must_use]
    pub fn new(
        steps: Vec<IndexedStep>,
        trees: &BTreeMap<Digest, Digest>,
        layers: Vec<IndexedLayer>,
        mounts: Option<Descriptor>,
        images: Vec<IndexedImage>,
    ) -> Self {
        let trees = trees.iter().map(|(key, content)| IndexedTree { key: *key, content: *content });
        let trees = trees.collect();
        let mut index = Self { images, layers, mounts, steps, trees, version: VERSION };
        index.images.sort_by_key(|image| image.key);
        index.layers.sort_by_key(|layer| layer.diff_id);
        index.layers.dedup_by_key(|layer| layer.diff_id);
        index.steps.sort_by_key(|step| step.key);
        index.steps.dedup_by_key(|step| step.key);
        index
    }

    /// Its bytes.
    ///
    /// # Errors
    /// Never for these types; JSON refuses only maps whose keys are not text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut document = serde_json::to_value(self)?;
        document.sort_all_objects();
        serde_json::to_vec(&document)
    }

    /// Reads an index. Every blob that it names must be one that `manifest` names, so that whoever signs
    /// the manifest stands for all of them and every tool that copies it copies them.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn read(bytes: &[u8], manifest: &Manifest) -> Result<Self, IndexError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(IndexError::Version(version));
        }
        let index: Self = serde_json::from_slice(bytes)?;
        index.check(manifest)?;
        Ok(index)
    }

    fn check(&self, manifest: &Manifest) -> Result<(), IndexError> {
        let within = |what, found, max| match found <= max {
            true => Ok(()),
            false => Err(IndexError::TooMany { what, found, max }),
        };
        within("layers", self.layers.len(), MAX_LAYERS)?;
        within("steps", self.steps.len(), MAX_RECORDS)?;
        within("trees", self.trees.len(), MAX_RECORDS)?;
        within("images", self.images.len(), MAX_IMAGES)?;
        let named: BTreeMap<Digest, &Descriptor> =
            manifest.layers.iter().map(|blob| (blob.digest, blob)).collect();
        let inventories = self.images.iter().filter_map(|image| image.inventory.as_ref());
        let blobs = self.layers.iter().map(|layer| &layer.blob).chain(&self.mounts);
        let blobs = blobs.chain(inventories.map(|inventory| &inventory.blob));
        for blob in blobs {
            let same = |known: &&Descriptor| {
                known.size == blob.size && known.media_type == blob.media_type
            };
            named
                .get(&blob.digest)
                .filter(|known| same(known))
                .ok_or(IndexError::Blob(blob.digest))?;
        }
        for layer in &self.layers {
            let fits = oci_layer(&layer.blob.media_type) == Some(layer.compression.media_type());
            if !fits {
                return Err(IndexError::Compression(layer.blob.digest));
            }
        }
        let layers = each_once("the layer", self.layers.iter().map(|layer| layer.diff_id))?;
        each_once("the step", self.steps.iter().map(|step| step.key))?;
        each_once("the image", self.images.iter().map(|image| image.key))?;
        each_once("the tree", self.trees.iter().map(|tree| tree.key))?;
        for step in &self.steps {
            if let Some(layer) = step.layer.filter(|layer| !layers.contains(layer)) {
                return Err(IndexError::Layer { key: step.key, layer });
            }
        }
        Ok(())
    }
}

fn each_once(
    what: &'static str,
    digests: impl Iterator<Item = Digest>,
) -> Result<BTreeSet<Digest>, IndexError> {
    let mut seen = BTreeSet::new();
    for digest in digests {
        if !seen.insert(digest) {
            return Err(IndexError::Twice { what, digest });
        }
    }
    Ok(seen)
}

fn write_level<S: Serializer>(level: &Compression, to: S) -> Result<S::Ok, S::Error> {
    match level {
        Compression::None => to.serialize_str("none"),
        Compression::Gzip { level } => to.serialize_str(&format!("gzip:{level}")),
        Compression::Zstd { level } => to.serialize_str(&format!("zstd:{level}")),
    }
}

fn read_level<'de, D: Deserializer<'de>>(from: D) -> Result<Compression, D::Error> {
    let text = String::deserialize(from)?;
    let found = match text.split_once(':') {
        None => (text == "none").then_some(Compression::None),
        Some(("gzip", level)) => level.parse().ok().map(|level| Compression::Gzip { level }),
        Some(("zstd", level)) => level.parse().ok().map(|level| Compression::Zstd { level }),
        Some(_) => None,
    };
    let usual = |found: &Compression| match found {
        Compression::None => true,
        Compression::Gzip { level } => *level <= 9,
        Compression::Zstd { level } => (1..=22).contains(level),
    };
    found.filter(usual).ok_or_else(|| D::Error::custom("a compression that is none"))
}

#[cfg(test)]
mod tests;
