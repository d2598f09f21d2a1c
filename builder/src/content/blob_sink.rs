//! A blob in the making whose writer hashes what it writes.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use tempfile::NamedTempFile;

use super::{error::ContentError, hold::Hold};
use crate::oci::digest::Digest;

/// Takes bytes and becomes a blob on [`commit`](Self::commit); dropped before that, it leaves nothing
/// behind. Unlike a [`BlobWriter`](super::blob_writer::BlobWriter) it does not hash: that is for writers
/// who do so anyway, as hashing a layer twice costs as much as compressing a part of it. Whoever reads the
/// blob still verifies it.
#[derive(Debug)]
pub struct BlobSink {
    file: BufWriter<NamedTempFile>,
    blobs: PathBuf,
    count: u64,
    hold: Option<Arc<Hold>>,
}

impl BlobSink {
    pub(super) fn new(file: NamedTempFile, blobs: PathBuf, hold: Option<Arc<Hold>>) -> Self {
        Self { file: BufWriter::with_capacity(128 * 1024, file), blobs, count: 0, hold }
    }

    /// Gives the bytes their name, which follows from their digest. The rename is atomic, and a blob that
    /// is already there stays.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn commit(self, digest: &Digest) -> Result<(), ContentError> {
        let target = self.blobs.join(digest.hex());
        let fault = || ContentError::io("store", &target);
        let file = self.file.into_inner().map_err(|error| fault()(error.into_error()))?;
        if let Some(hold) = &self.hold {
            hold.claim(digest);
            hold.wrote();
        }
        if fs::metadata(&target).is_ok_and(|there| there.len() == self.count) {
            return Ok(());
        }
        file.persist(&target).map_err(|error| fault()(error.error))?;
        Ok(())
    }
}

impl Write for BlobSink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
