//! Being told how transfers go.

use crate::oci::{descriptor::Descriptor, digest::Digest};

/// Follows blobs on their way. Called from many transfers at once, so it must be quick and must not
/// block. After `start` come any number of `advance` and, unless the transfer fails, one `done`.
pub trait TransferProgress: Send + Sync {
    /// This blob is on its way.
    fn start(&self, blob: &Descriptor);
    /// So many bytes more have passed. A blob that was there already advances by its whole size at
    /// once; after a retry of an upload the count may exceed the size.
    fn advance(&self, blob: &Digest, bytes: u64);
    /// The blob is complete and its digest is right.
    fn done(&self, blob: &Digest);
}

/// Follows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl TransferProgress for Unwatched {
    fn start(&self, _: &Descriptor) {}
    fn advance(&self, _: &Digest, _: u64) {}
    fn done(&self, _: &Digest) {}
}
