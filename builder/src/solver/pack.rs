//! What a step wrote becomes a layer: named by digest, and compressed where an image needs it.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::error::SolveError;
use crate::{
    content::{blob_sink::BlobSink, store::ContentStore},
    layer::{Compression, LayerReader, LayerTail, LayerWriter, PackOptions, pack},
    oci::{
        descriptor::Descriptor,
        digest::{Digest, Hashing},
    },
    snapshot::{Mount, Mounted, OWNER_SHIFT, mount::upper_dir},
};

/// A directory as a layer.
pub(super) struct Packed {
    /// The layer's name.
    pub(super) diff_id: Digest,
    /// The blob, where one is made.
    pub(super) blob: Option<Unfinished>,
}

/// A blob of which some may still be compressed.
pub(super) struct Unfinished(LayerTail<BlobSink>);

impl Unfinished {
    /// Ends the archive.
    pub(super) fn of(writer: LayerWriter<BlobSink>) -> (Digest, Self) {
        let tail = writer.detach();
        (tail.diff_id(), Self(tail))
    }

    /// Waits for the rest and puts the blob into the store.
    pub(super) fn finish(self) -> Result<Descriptor, SolveError> {
        let (layer, sink) = self.0.finish().map_err(SolveError::layer)?;
        sink.commit(&layer.descriptor.digest)?;
        Ok(layer.descriptor)
    }
}

/// Where the topmost layer of a stack lies, and how what is below it can be seen.
#[derive(Debug, Clone)]
pub(super) struct Top {
    upper: PathBuf,
    below: Vec<Mount>,
}

impl Top {
    /// Of these mounts: the directory that is written to, or in a read-only view the first of the lower
    /// ones. None for an empty stack.
    pub(super) fn of(mounts: &[Mount]) -> Option<Self> {
        let last = mounts.last()?;
        if last.kind != "overlay" {
            return Some(Self { upper: last.source.clone(), below: Vec::new() });
        }
        let mut lower = last.lower_dirs();
        let upper = match upper_dir(mounts) {
            Some(upper) => upper,
            None if lower.is_empty() => return None,
            None => lower.remove(0),
        };
        let below = match lower.as_slice() {
            [] => Vec::new(),
            [one] => vec![Mount::bind(one, true)],
            several => vec![last.read_only(several)],
        };
        Some(Self { upper, below })
    }

    /// How what is below it can be seen; empty where nothing is.
    pub(super) fn into_below(self) -> Vec<Mount> {
        self.below
    }
}

/// Packs what is new in the topmost layer. Without a writer the layer is only named: one that no
/// image takes is never fetched. `view` is an empty directory to look at what is below.
pub(super) fn pack_top(
    top: &Top,
    view: &Path,
    (epoch, copied): (i64, bool),
    writer: Option<LayerWriter<BlobSink>>,
) -> Result<Packed, SolveError> {
    let mounted = match top.below.is_empty() {
        true => None,
        false => Some(Mounted::mount(&top.below, view)?),
    };
    let below = mounted.as_ref().map(Mounted::root);
    let options = PackOptions { shift: OWNER_SHIFT, epoch, below, copied };
    let Some(writer) = writer else {
        let (_, diff_id, _) = pack(&top.upper, options, Hashing::new(io::sink()))?.finish();
        return Ok(Packed { diff_id, blob: None });
    };
    let (diff_id, blob) = Unfinished::of(pack(&top.upper, options, writer)?);
    Ok(Packed { diff_id, blob: Some(blob) })
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
    let mut writer = LayerWriter::new(content.sink()?, compression).map_err(SolveError::layer)?;
    copy(&mut reader, &mut writer).map_err(SolveError::layer)?;
    Unfinished::of(writer).1.finish()
}

/// With pieces larger than the standard library's, which are hashed one by one.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
}
