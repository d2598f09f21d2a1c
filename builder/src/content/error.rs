//! What can go wrong with stored blobs.

use std::{io, path::PathBuf};

use crate::oci::digest::Digest;

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}\nhelp: check the free space and the rights of the content store", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such blob.
    #[error("{digest} is not in the content store {}", root.display())]
    Missing {
        /// The blob that was asked for.
        digest: Digest,
        /// The store's directory.
        root: PathBuf,
    },
    /// The bytes on disk are no longer those that were stored. The blob has been removed.
    #[error(
        "the stored blob {digest} is damaged (its bytes now have the digest {found}); it was removed\n\
         help: run the command again: the blob will be fetched or made anew"
    )]
    Damaged {
        /// The blob's name.
        digest: Digest,
        /// The digest of what is on disk.
        found: Digest,
    },
    /// The blob is larger than the caller is willing to hold.
    #[error("{digest} has {size} bytes, more than the {max} bytes allowed for its kind")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// Bytes that came in are not those that were promised. Nothing was stored.
    #[error("expected the digest {expected}, but the bytes have {found}")]
    WrongDigest {
        /// The digest promised.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A descriptor's size is not the blob's.
    #[error("{digest} has {found} bytes, but its descriptor says {expected}")]
    WrongSize {
        /// The blob.
        digest: Digest,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}

impl ContentError {
    /// Wraps what the system said about `path`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
