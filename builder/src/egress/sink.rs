//! Where complete downloads may be kept.

use std::io;

use crate::oci::digest::Digest;

/// A store for downloads. Failures are the store's own affair: the step gets its bytes all the same.
pub trait DownloadSink: Send + Sync {
    /// Begins a download of `url` as the step asked for it.
    ///
    /// # Errors
    /// When nothing can be stored; the download is then not kept.
    fn begin(&self, url: &str) -> io::Result<Box<dyn Download>>;
}

/// A download on its way. Dropped without [`Download::commit`] it leaves nothing behind.
pub trait Download: Send {
    /// Takes the next bytes, a few tens of kilobytes at a time.
    ///
    /// # Errors
    /// When they cannot be stored; no further call follows.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The download is complete: `size` bytes with this digest.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn commit(self: Box<Self>, digest: Digest, size: u64) -> io::Result<()>;
}
