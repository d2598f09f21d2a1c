//! What a step wrote becomes a layer: named by digest, and compressed where an image needs it.

use std::{io, path::Path};

use super::{chain::Commit, error::SolveError};
use crate::{
    content::store::ContentStore,
    layer::{Compression, LayerWriter, PackOptions, pack},
    oci::{
        descriptor::Descriptor,
        digest::{Digest, Hashing},
    },
    snapshot::OWNER_SHIFT,
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

/// Packs `upper`; an intermediate stage's layer is only named, because nobody will fetch it.
pub(super) fn pack_directory(
    upper: &Path,
    base: bool,
    want: Commit,
    content: &ContentStore,
) -> Result<Packed, SolveError> {
    let options = PackOptions { shift: OWNER_SHIFT, epoch: want.epoch, base };
    if !want.export {
        let (_, diff_id, size) = pack(upper, options, Hashing::new(io::sink()))?.finish();
        return Ok(Packed { diff_id, blob: None, empty: size <= EMPTY_ARCHIVE });
    }
    let writer = LayerWriter::new(content.writer()?, Compression::default());
    let counted = Hashing::new(writer.map_err(SolveError::layer)?);
    let (writer, diff_id, size) = pack(upper, options, counted)?.finish();
    let (layer, sink) = writer.finish().map_err(SolveError::layer)?;
    sink.commit(Some(layer.descriptor.digest))?;
    Ok(Packed { diff_id, blob: Some(layer.descriptor), empty: size <= EMPTY_ARCHIVE })
}
