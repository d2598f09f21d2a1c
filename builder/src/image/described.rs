//! The SBOM of an image: one pass over its layers, an inventory of the merged tree, an SPDX document.
//! The document is remembered by the image's digest, so that an unchanged image is not unpacked again.

use std::{collections::BTreeMap, io, sync::Arc};

use super::Sealed;
use crate::{
    content::{error::ContentError, index::Table, records::Records, store::ContentStore},
    layer::{
        LayerReader,
        tree::{ScanError, Tree, scan},
    },
    oci::digest::Digest,
    sbom::{
        inventory::{inventory, wants},
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

/// The SPDX document of `image`, as JSON.
///
/// # Errors
/// See [`DescribeError`].
pub async fn describe(
    image: &Sealed,
    description: Description,
    content: &Arc<ContentStore>,
    records: &Records,
) -> Result<Vec<u8>, DescribeError> {
    let Description { name, epoch, fetched, .. } = &description;
    let fetched: Vec<_> = fetched.iter().collect();
    let inputs = (VERSION, "sbom", image.descriptor.digest, name, epoch, fetched);
    let key = Digest::of(&serde_json::to_vec(&inputs)?);
    let records = records.of(Table::Sboms);
    if let Some(known) = records.get::<String>(&key) {
        return Ok(known.into_bytes());
    }
    let (image, content) = (image.clone(), content.clone());
    let work = tokio::task::spawn_blocking(move || document(&image, &description, &content));
    let document = work.await??;
    records.put(&key, &String::from_utf8_lossy(&document))?;
    Ok(document)
}

fn document(
    image: &Sealed,
    description: &Description,
    content: &ContentStore,
) -> Result<Vec<u8>, DescribeError> {
    let mut indexes = Vec::new();
    let mut contents = BTreeMap::new();
    for (layer, diff_id) in image.layers.iter().zip(&description.diff_ids) {
        let mut reader = LayerReader::new(content.open_verified(layer)?, Some(*diff_id))?;
        let (index, wanted) = scan(&mut reader, wants, MAX_DATABASE)?;
        reader.finish()?;
        indexes.push(index);
        contents.extend(wanted);
    }
    let facts = Facts {
        image: &description.name,
        digest: image.descriptor.digest,
        created: description.epoch,
        version: env!("CARGO_PKG_VERSION"),
        fetched: &description.fetched,
    };
    Ok(spdx::to_json(&inventory(&Tree::merge(&indexes), &contents), &facts)?)
}
