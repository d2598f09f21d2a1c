//! What files the store has, for those who list and free space.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{error::ContentError, store::ContentStore};
use crate::oci::digest::Digest;

/// A file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The blob, whole or to be.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of disk blocks.
    pub bytes: u64,
    /// When it was written or used last, in seconds since 1970.
    pub used: i64,
}

impl ContentStore {
    /// Every blob, in no order.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn stored(&self) -> Result<Vec<StoredFile>, ContentError> {
        files(&self.blobs(), "")
    }

    /// Every download that did not end, in no order.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn unfinished(&self) -> Result<Vec<StoredFile>, ContentError> {
        files(&self.ingest(), "partial-")
    }
}

fn files(directory: &Path, prefix: &str) -> Result<Vec<StoredFile>, ContentError> {
    let entries = fs::read_dir(directory).map_err(ContentError::io("list", directory))?;
    let file = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let digest = format!("sha256:{}", name.to_str()?.strip_prefix(prefix)?).parse().ok()?;
        let metadata: Metadata = entry.metadata().ok()?;
        let (bytes, used) = (metadata.blocks() * 512, metadata.mtime());
        Some(StoredFile { digest, path: entry.path(), bytes, used })
    };
    Ok(entries.filter_map(file).collect())
}

/// Removes the file of a download that did not end, unless somebody goes on with it now.
///
/// # Errors
/// When it cannot be removed. One that is gone counts as removed.
pub fn remove_unfinished(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    fs::remove_file(path).map(|()| true)
}
