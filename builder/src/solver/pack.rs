//! What a step wrote becomes a layer: named by digest, and compressed where an image needs it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::error::SolveError;
use crate::{
    content::store::ContentStore,
    layer::{Compression, LayerReader, LayerWriter, PackOptions, pack},
    oci::{
        descriptor::Descriptor,
        digest::{Digest, Hashing},
    },
    snapshot::{Mount, OWNER_SHIFT, mount::upper_dir},
};

/// A directory as a layer.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// The layer's name.
    pub(super) diff_id: Digest,
    /// The blob, where one was made.
    pub(super) blob: Option<Descriptor>,
    /// Does it change nothing?
    pub(super) empty: bool,
}

/// An archive without entries: the two zero blocks that end it (POSIX.1-2001, ustar).
const EMPTY_ARCHIVE: u64 = 1024;

/// Packs `upper`. Without a compression the layer is only named: one that no image takes is never
/// fetched.
pub(super) fn pack_directory(
    upper: &Path,
    (base, epoch): (bool, i64),
    compression: Option<Compression>,
    content: &ContentStore,
) -> Result<Packed, SolveError> {
    let options = PackOptions { shift: OWNER_SHIFT, epoch, base };
    let Some(compression) = compression else {
        let (_, diff_id, size) = pack(upper, options, Hashing::new(io::sink()))?.finish();
        return Ok(Packed { diff_id, blob: None, empty: size <= EMPTY_ARCHIVE });
    };
    let writer = LayerWriter::new(content.writer()?, compression);
    let counted = Hashing::new(writer.map_err(SolveError::layer)?);
    let (writer, diff_id, size) = pack(upper, options, counted)?.finish();
    let (layer, sink) = writer.finish().map_err(SolveError::layer)?;
    sink.commit(Some(layer.descriptor.digest))?;
    Ok(Packed { diff_id, blob: Some(layer.descriptor), empty: size <= EMPTY_ARCHIVE })
}

/// The same layer in another compression.
pub(super) fn recompress(
    blob: &Descriptor,
    diff_id: Digest,
    compression: Compression,
    content: &ContentStore,
) -> Result<Descriptor, SolveError> {
    let mut reader =
        LayerReader::new(content.open_verified(blob)?, Some(diff_id)).map_err(SolveError::layer)?;
    let mut writer = LayerWriter::new(content.writer()?, compression).map_err(SolveError::layer)?;
    io::copy(&mut reader, &mut writer).map_err(SolveError::layer)?;
    let (layer, sink) = writer.finish().map_err(SolveError::layer)?;
    sink.commit(Some(layer.descriptor.digest))?;
    Ok(layer.descriptor)
}

/// The directory with what the topmost layer of these mounts holds: the one that is written to, or in a
/// read-only view the first of the lower ones.
pub(super) fn top_dir(mounts: &[Mount]) -> Option<PathBuf> {
    upper_dir(mounts).or_else(|| {
        let last = mounts.last()?;
        match last.kind.as_str() {
            "overlay" => last.lower_dirs().into_iter().next(),
            _ => Some(last.source.clone()),
        }
    })
}
