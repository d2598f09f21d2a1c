//! The text of an index, whatever it was compressed with on its way.

use std::io::{self, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;

use crate::layer::LayerReader;

/// Memory that the dictionary of an xz file may take: what `xz -9` uses, in KiB.
const XZ_MEMORY: u32 = 128 << 10;

/// Reads `body` without its compression, which its first bytes tell: gzip, zstd, bzip2, xz or none.
pub(super) fn plain<'a>(mut body: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    (&mut body).take(6).read_to_end(&mut start)?;
    let (bzip2, xz) = (start.starts_with(b"BZh"), start == b"\xfd7zXZ\0");
    let whole = BufReader::with_capacity(64 << 10, io::Cursor::new(start).chain(body));
    Ok(match (bzip2, xz) {
        (true, _) => Box::new(MultiBzDecoder::new(whole)),
        (_, true) => Box::new(XzReader::new_mem_limit(whole, true, XZ_MEMORY)),
        _ => Box::new(LayerReader::new(whole, None)?),
    })
}

/// All of a text of at most `max` bytes; none where it is longer, no UTF-8, or does not come.
pub(super) fn text(body: impl Read, max: u64) -> Option<String> {
    let mut bytes = Vec::new();
    plain(body).ok()?.take(max + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= max).then(|| String::from_utf8(bytes).ok())?
}
