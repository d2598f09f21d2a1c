//! A download that outlives the process which began it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{error::ContentError, growing_blob::Growing};
use crate::oci::digest::{Digest, Hashing};

/// The bytes of one blob that have arrived so far. Its file is locked while this value lives, by the
/// kernel, so the lock ends with the process however that ends; dropping the value keeps the bytes for
/// the next one who asks.
#[derive(Debug)]
pub struct PartialBlob {
    file: File,
    hasher: Hashing<io::Sink>,
    path: PathBuf,
    target: PathBuf,
    digest: Digest,
    growing: Option<Growing>,
}

impl PartialBlob {
    /// Opens and locks the file. `None`: another one holds the lock and `wait` is false.
    pub(super) fn open(
        path: &Path,
        target: &Path,
        digest: Digest,
        wait: bool,
    ) -> Result<Option<Self>, ContentError> {
        let fault = |action| ContentError::io(action, path);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path).map_err(fault("open"))?;
            let operation = match wait {
                true => FlockOperation::LockExclusive,
                false => FlockOperation::NonBlockingLockExclusive,
            };
            match flock(&file, operation) {
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => continue,
                other => other.map_err(|errno| fault("lock")(errno.into()))?,
            }
            // The holder before us may have renamed this very file into its place as a blob; writing
            // to it would then damage a finished blob. Only the file that still has the name is ours.
            if !is_same_file(&file, path) {
                continue;
            }
            let hasher = Hashing::new(io::sink());
            let (path, target) = (path.to_owned(), target.to_owned());
            let mut partial = Self { file, hasher, path, target, digest, growing: None };
            partial.take_in_what_is_there()?;
            return Ok(Some(partial));
        }
    }

    /// Bytes that are already here; the download goes on at this offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.hasher.count()
    }

    /// The file that holds the bytes so far.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets somebody read along, from the first byte that is here. That ends with an error when this value is
    /// dropped, is not the blob, or begins again.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn feed(&mut self, growing: Growing) -> Result<(), ContentError> {
        let file = File::open(&self.path).map_err(ContentError::io("open", &self.path))?;
        growing.begin(file, self.offset());
        self.growing = Some(growing);
        Ok(())
    }

    /// Forgets what is here and begins at offset 0.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn restart(&mut self) -> Result<(), ContentError> {
        if self.offset() > 0 {
            self.growing = None;
        }
        self.file.set_len(0).map_err(ContentError::io("empty", &self.path))?;
        io::Seek::rewind(&mut self.file).map_err(ContentError::io("rewind", &self.path))?;
        self.hasher = Hashing::new(io::sink());
        Ok(())
    }

    /// Makes it a blob, atomically: the digest and the size.
    ///
    /// # Errors
    /// [`ContentError::WrongDigest`] when these are not the blob's bytes; they are removed then, because
    /// nobody could go on from them.
    pub fn commit(mut self) -> Result<(Digest, u64), ContentError> {
        let hasher = std::mem::replace(&mut self.hasher, Hashing::new(io::sink()));
        let (_, found, size) = hasher.finish();
        if found != self.digest {
            // Dropping `self` with an empty hasher removes the file.
            return Err(ContentError::WrongDigest { expected: self.digest, found });
        }
        fs::rename(&self.path, &self.target).map_err(ContentError::io("store", &self.target))?;
        if let Some(growing) = self.growing.take() {
            growing.whole();
        }
        Ok((found, size))
    }

    /// The bytes a killed process left were never checked: they are hashed again before more is added.
    fn take_in_what_is_there(&mut self) -> Result<(), ContentError> {
        io::copy(&mut Read::by_ref(&mut self.file), &mut self.hasher)
            .map(drop)
            .map_err(ContentError::io("read", &self.path))
    }
}

impl Write for PartialBlob {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        self.hasher.write_all(&buffer[..count])?;
        if let Some(growing) = &self.growing {
            growing.grown(self.hasher.count());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialBlob {
    /// An empty file helps nobody; it goes while the lock is still held.
    fn drop(&mut self) {
        if self.offset() == 0 && is_same_file(&self.file, &self.path) {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}
