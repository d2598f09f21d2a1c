//! Writes a layer blob: bytes of the archive in, compressed bytes out, both digests at the end.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::compression::{Compression, Encoder};
use crate::oci::{
    descriptor::Descriptor,
    digest::{Digest, Hashing},
};

/// A finished layer blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the uncompressed archive (config.md, `rootfs.diff_ids`).
    pub diff_id: Digest,
    /// The blob.
    pub descriptor: Descriptor,
}

/// Compresses and hashes what is written to it.
pub struct LayerWriter<W: Write> {
    stream: Hashing<Encoder<Hashing<W>>>,
    compression: Compression,
}

impl<W: Write> LayerWriter<W> {
    /// Writes the blob to `sink`.
    ///
    /// # Errors
    /// The compression level does not exist.
    pub fn new(sink: W, compression: Compression) -> io::Result<Self> {
        let encoder = Encoder::new(Hashing::new(sink), compression)?;
        Ok(Self { stream: Hashing::new(encoder), compression })
    }

    /// Ends the blob: what it is, and the sink, which is not flushed or committed yet.
    ///
    /// # Errors
    /// The sink fails.
    pub fn finish(self) -> io::Result<(Layer, W)> {
        self.detach().finish()
    }

    /// Ends the archive: its digest is known, some of it may still be compressed.
    #[must_use]
    pub fn detach(self) -> LayerTail<W> {
        let (encoder, diff_id, _) = self.stream.finish();
        LayerTail { encoder, compression: self.compression, diff_id }
    }
}

/// A layer whose archive is complete and whose blob is not.
pub struct LayerTail<W: Write> {
    encoder: Encoder<Hashing<W>>,
    compression: Compression,
    diff_id: Digest,
}

impl<W: Write> LayerTail<W> {
    /// Digest of the uncompressed archive.
    #[must_use]
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// Waits for what is still compressed: as [`LayerWriter::finish`].
    ///
    /// # Errors
    /// The sink fails.
    pub fn finish(self) -> io::Result<(Layer, W)> {
        let (sink, digest, size) = self.encoder.finish()?.finish();
        let descriptor = Descriptor::new(self.compression.media_type(), digest, size);
        Ok((Layer { diff_id: self.diff_id, descriptor }, sink))
    }
}

impl<W: Write> Write for LayerWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
