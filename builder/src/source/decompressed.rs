//! The bytes of a compressed file, whichever of the five forms that ADD and build contexts know it has: told
//! by its first bytes, never by its name.

use std::io::{self, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;

use crate::layer::LayerReader;

/// Memory that the dictionary of an xz file may take: what `xz -9` uses, in KiB.
const XZ_MEMORY: u32 = 128 << 10;

/// Reads `file` from where it stands, decompressed: gzip, zstd, bzip2, xz, or as it is.
pub(super) fn decompressed<'a>(mut file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    (&mut file).take(6).read_to_end(&mut start)?;
    let (bzip2, xz) = (start.starts_with(b"BZh"), start == b"\xfd7zXZ\0");
    let whole = BufReader::with_capacity(64 << 10, io::Cursor::new(start).chain(file));
    Ok(match (bzip2, xz) {
        (true, _) => Box::new(MultiBzDecoder::new(whole)),
        (_, true) => Box::new(XzReader::new_mem_limit(whole, true, XZ_MEMORY)),
        _ => Box::new(LayerReader::new(whole, None)?),
    })
}
