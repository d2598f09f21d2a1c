//! The SBOM of an image: one pass over those of its layers of which hardening has not told what they hold, an
//! inventory of the merged tree, an SPDX document.
//! The document is remembered by the image's digest, so that an unchanged image is not unpacked again.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{
    Sealed,
    outcomes::{Outcomes, inventory_key},
};
use crate::{
    content::{error::ContentError, index::Table, store::ContentStore},
    harden::Look,
    layer::{
        LayerReader,
        tree::{ScanError, Tree, scan},
    },
    oci::{descriptor::Descriptor, digest::Digest},
    sbom::{
        inventory::{Inventory, inventory, wants},
        spdx::{self, Facts, Fetched, SpdxError},
    },
};

/// What the document says beside what is in the image.
#[derive(Debug, Clone)]
pub struct Description {
    /// What people call the image.
    pub name: String,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
    /// SOURCE_DATE_EPOCH in seconds.
    pub epoch: i64,
    /// Where packages were fetched from.
    pub fetched: Fetched,
    /// What is known to be in layers; the others are read.
    pub looks: Arc<Vec<Look>>,
}

/// Why there is no SBOM.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// A layer is not in the store.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A layer cannot be read.
    #[error("a layer cannot be read for the SBOM: {0}")]
    Scan(#[from] ScanError),
    /// A layer's bytes are damaged.
    #[error("a layer cannot be read for the SBOM: {0}")]
    Io(#[from] io::Error),
    /// The document cannot be written.
    #[error(transparent)]
    Spdx(#[from] SpdxError),
    /// A blocking task was ended by the runtime.
    #[error("the inventory was interrupted: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A document could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The largest package database that is read, in bytes.
const MAX_DATABASE: u64 = 64 * 1024 * 1024;
/// Changes when the document for the same image becomes another one.
const VERSION: u32 = 1;

/// The SPDX document of an image, to be written as JSON.
#[derive(Debug)]
pub struct Describing {
    image: Sealed,
    description: Description,
    /// Under which the document stands.
    key: Digest,
    inventory: Digest,
}

impl Describing {
    /// Of `image`.
    ///
    /// # Errors
    /// Never for these inputs; JSON refuses only maps whose keys are not text.
    pub fn of(image: &Sealed, description: Description) -> Result<Self, DescribeError> {
        let Description { name, epoch, fetched, diff_ids, looks: _ } = &description;
        let fetched: Vec<_> = fetched.iter().collect();
        let inputs = (VERSION, "sbom", image.descriptor.digest, name, epoch, fetched);
        let key = Digest::of(&serde_json::to_vec(&inputs)?);
        let inventory = inventory_key(diff_ids);
        Ok(Self { image: image.clone(), description, key, inventory })
    }

    /// The document, where it was written before or the inventory was taken.
    ///
    /// # Errors
    /// See [`DescribeError`].
    pub async fn known(
        &self,
        content: &ContentStore,
        outcomes: &Outcomes,
    ) -> Result<Option<Vec<u8>>, DescribeError> {
        let records = outcomes.records().of(Table::Sboms);
        let known = records.get::<String>(&self.key).map(String::into_bytes);
        if known.is_some() && !outcomes.keeps_inventories() {
            return Ok(known);
        }
        let Some(inventory) = outcomes.inventory(&self.inventory, content).await else {
            return Ok(None);
        };
        match known {
            Some(known) => Ok(Some(known)),
            None => Ok(Some(self.written(&inventory, outcomes)?)),
        }
    }

    /// The layers that are read.
    #[must_use]
    pub fn layers(&self) -> Vec<(Digest, Descriptor)> {
        self.description.diff_ids.iter().copied().zip(self.image.layers.iter().cloned()).collect()
    }

    /// Takes the inventory and writes the document. The layers are in the store.
    ///
    /// # Errors
    /// See [`DescribeError`].
    pub async fn done(
        &self,
        content: &Arc<ContentStore>,
        outcomes: &Outcomes,
    ) -> Result<Vec<u8>, DescribeError> {
        let (layers, content) = (self.layers(), content.clone());
        let looks = self.description.looks.clone();
        let work = tokio::task::spawn_blocking(move || taken(&layers, &content, &looks));
        let inventory = outcomes.take_inventory(&self.inventory, work.await??)?;
        self.written(&inventory, outcomes)
    }

    fn written(
        &self,
        inventory: &Inventory,
        outcomes: &Outcomes,
    ) -> Result<Vec<u8>, DescribeError> {
        let facts = Facts {
            image: &self.description.name,
            digest: self.image.descriptor.digest,
            created: self.description.epoch,
            version: env!("CARGO_PKG_VERSION"),
            fetched: &self.description.fetched,
        };
        let document = spdx::to_json(inventory, &facts)?;
        let records = outcomes.records().of(Table::Sboms);
        records.put(&self.key, &String::from_utf8_lossy(&document))?;
        Ok(document)
    }
}

/// One pass over the layers of which nothing is known.
fn taken(
    layers: &[(Digest, Descriptor)],
    content: &ContentStore,
    looks: &[Look],
) -> Result<Inventory, DescribeError> {
    let (mut tree, mut contents) = (Tree::default(), BTreeMap::new());
    for (diff_id, layer) in layers {
        if let Some(look) = looks.iter().find(|look| look.diff_id == *diff_id) {
            tree.push(&look.index);
            contents.extend(look.contents.clone());
            continue;
        }
        let mut reader = LayerReader::new(content.open_verified(layer)?, Some(*diff_id))?;
        let (index, wanted) = scan(&mut reader, wants, MAX_DATABASE)?;
        reader.finish()?;
        tree.push(&index);
        contents.extend(wanted);
    }
    Ok(inventory(&tree, &contents))
}
