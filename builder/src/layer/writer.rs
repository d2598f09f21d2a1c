//! Writes a layer blob: bytes of the archive in, compressed bytes out, both digests at the end.

use std::{
    io::{self, Write},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    compression::{Compression, Encoder},
    lookout::{Lookout, Passing},
};
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
    passing: Option<Passing>,
}

impl<W: Write> LayerWriter<W> {
    /// Writes the blob to `sink`.
    ///
    /// # Errors
    /// The compression level does not exist.
    pub fn new(sink: W, compression: Compression) -> io::Result<Self> {
        let encoder = Encoder::new(Hashing::new(sink), compression)?;
        Ok(Self { stream: Hashing::new(encoder), compression, passing: None })
    }

    /// Lets `lookout` see the archive. To be called before anything is written.
    #[must_use]
    pub fn seen_by(self, lookout: Option<Arc<dyn Lookout>>) -> Self {
        Self { passing: lookout.and_then(Passing::to), ..self }
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
        if let Some(passing) = self.passing {
            passing.keep(diff_id);
        }
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
        let count = self.stream.write(buffer)?;
        if let Some(passing) = &mut self.passing {
            passing.write_all(&buffer[..count])?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
