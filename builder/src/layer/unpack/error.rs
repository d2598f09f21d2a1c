//! Why a layer was not unpacked.

use std::io;

use crate::layer::{archive::ArchiveError, member::NameFault};

/// Why a layer was not unpacked. Each message names the entry.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The directory to unpack into cannot be opened.
    #[error("the directory to unpack into cannot be opened: {0}")]
    Root(io::Error),
    /// A name that leaves the root or that Linux does not allow.
    #[error("entry '{entry}' is refused: {fault}")]
    Name {
        /// Name for messages.
        entry: String,
        /// What is wrong.
        fault: NameFault,
    },
    /// A hard link to such a name.
    #[error("entry '{entry}' is refused: it is a hard link to '{target}', and {fault}")]
    Target {
        /// Name for messages.
        entry: String,
        /// Where it points.
        target: String,
        /// What is wrong.
        fault: NameFault,
    },
    /// A path through a symbolic link that this archive brought.
    #[error(
        "entry '{entry}' is refused: '{path}' leads through '{link}', a symbolic link that this \
         layer itself makes"
    )]
    Through {
        /// Name for messages.
        entry: String,
        /// Its path, or its hard link target.
        path: String,
        /// The link.
        link: String,
    },
    /// A hard link into nothing.
    #[error("entry '{entry}' is a hard link to '{target}', which is not in the image")]
    NoTarget {
        /// Name for messages.
        entry: String,
        /// Where it points.
        target: String,
    },
    /// An owner that cannot be mapped.
    #[error("entry '{entry}' belongs to id {id}; ids above 65535 cannot be mapped")]
    Owner {
        /// Name for messages.
        entry: String,
        /// The id.
        id: u64,
    },
    /// An attribute that an image may not bring, or that is malformed.
    #[error("entry '{entry}' is refused: its attribute '{name}' {fault}")]
    Attribute {
        /// Name for messages.
        entry: String,
        /// Name of the attribute.
        name: String,
        /// Why.
        fault: &'static str,
    },
    /// More content than allowed.
    #[error("the layer unpacks to more than {limit} bytes, at entry '{entry}'")]
    TooLarge {
        /// Name for messages.
        entry: String,
        /// [`UnpackOptions::max_bytes`].
        limit: u64,
    },
    /// The file system said no.
    #[error("entry '{entry}' cannot be unpacked: {cause}")]
    Write {
        /// Name for messages.
        entry: String,
        /// What it said.
        cause: io::Error,
    },
}
