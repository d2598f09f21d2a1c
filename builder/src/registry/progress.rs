//! Being told how transfers go.

use crate::oci::descriptor::Descriptor;

/// Follows blobs on their way. Called from many transfers at once, so it must be quick and must not
/// block. After `start` come any number of the others and, unless the transfer fails, one `done`.
pub trait TransferProgress: Send + Sync {
    /// This blob is on its way.
    fn start(&self, blob: &Descriptor);
    /// So many bytes need not be moved: the other side has them, or an earlier download left them.
    fn had(&self, blob: &Descriptor, bytes: u64);
    /// So many bytes more have passed.
    fn advance(&self, blob: &Descriptor, bytes: u64);
    /// What has passed so far is of no use; it begins again.
    fn restart(&self, blob: &Descriptor);
    /// The blob is complete and its digest is right.
    fn done(&self, blob: &Descriptor);
}

/// Follows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl TransferProgress for Unwatched {
    fn start(&self, _: &Descriptor) {}
    fn had(&self, _: &Descriptor, _: u64) {}
    fn advance(&self, _: &Descriptor, _: u64) {}
    fn restart(&self, _: &Descriptor) {}
    fn done(&self, _: &Descriptor) {}
}
