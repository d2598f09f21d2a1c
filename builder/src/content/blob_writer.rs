//! A blob in the making.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use tempfile::NamedTempFile;

use super::{error::ContentError, hold::Hold};
use crate::oci::digest::{Digest, Hashing};

/// Takes bytes, hashes them, and becomes a blob on [`commit`](Self::commit); dropped before that, it
/// leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    writer: Hashing<NamedTempFile>,
    blobs: PathBuf,
    hold: Option<Arc<Hold>>,
}

impl BlobWriter {
    pub(super) fn new(file: NamedTempFile, blobs: PathBuf, hold: Option<Arc<Hold>>) -> Self {
        Self { writer: Hashing::new(file), blobs, hold }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.writer.count()
    }

    /// What was written so far, to be read by position while more comes. It stays readable after the end, whatever that
    /// is.
    ///
    /// # Errors
    /// When the system gives no further descriptor.
    pub fn view(&self) -> io::Result<File> {
        self.writer.get_ref().as_file().try_clone()
    }

    /// Ends without a blob: digest and size of what was written.
    #[must_use]
    pub fn discard(self) -> (Digest, u64) {
        let (_, digest, size) = self.writer.finish();
        (digest, size)
    }

    /// Gives the bytes their name: digest and size. The rename is atomic, and a blob that is already
    /// there is replaced by its equal.
    ///
    /// # Errors
    /// [`ContentError::WrongDigest`] when `expected` is another digest; nothing is stored then.
    pub fn commit(self, expected: Option<Digest>) -> Result<(Digest, u64), ContentError> {
        let (file, digest, size) = self.writer.finish();
        if let Some(expected) = expected
            && expected != digest
        {
            return Err(ContentError::WrongDigest { expected, found: digest });
        }
        let target = self.blobs.join(digest.hex());
        if let Some(hold) = &self.hold {
            hold.claim(&digest);
            hold.wrote();
        }
        if fs::metadata(&target).is_ok_and(|there| there.len() == size) {
            return Ok((digest, size));
        }
        file.persist(&target).map_err(|error| ContentError::io("store", &target)(error.error))?;
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writer.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
