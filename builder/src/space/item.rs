//! One thing that takes up space.

use std::path::PathBuf;

use serde::Serialize;

use crate::{content::index::Table, oci::digest::Digest};

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The files that a step wrote, ready to be mounted.
    Step,
    /// The files of a layer of a base image, ready to be mounted.
    Base,
    /// A blob: a compressed layer, as it goes to or came from a registry.
    Blob,
    /// A file that ADD fetched.
    Download,
    /// A directory of `RUN --mount=type=cache`.
    Mount,
    /// What was found out about an image: inventory, hardening, statements.
    Record,
    /// A download that did not end.
    Partial,
    /// What touchmark needs to find all this; never removed but by `--all`.
    Internal,
}

/// All kinds.
pub const KINDS: [Kind; 8] = [
    Kind::Step,
    Kind::Base,
    Kind::Blob,
    Kind::Download,
    Kind::Mount,
    Kind::Record,
    Kind::Partial,
    Kind::Internal,
];

impl Kind {
    /// Its name in tables and filters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Base => "base",
            Self::Blob => "blob",
            Self::Download => "download",
            Self::Mount => "mount",
            Self::Record => "record",
            Self::Partial => "partial",
            Self::Internal => "internal",
        }
    }

    /// Does a filter's `type=` of this text mean it? BuildKit's names of what it has, too, are understood;
    /// an error where no kind is meant.
    #[must_use]
    pub fn named(text: &str) -> Vec<Self> {
        match text {
            "exec.cachemount" => vec![Self::Mount],
            "regular" => vec![Self::Step, Self::Base, Self::Blob],
            "source.local" | "source.git.checkout" => vec![Self::Download],
            name => KINDS.into_iter().filter(|kind| kind.as_str() == name).collect(),
        }
    }
}

/// How it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A committed snapshot of the worker.
    Snapshot(String),
    /// A blob in the content store.
    Blob(Digest),
    /// A cache directory with its copies, by the stem of its files.
    Mount(String),
    /// A row of the index.
    Row(Table, Digest),
    /// The file of an unfinished download.
    Partial(PathBuf),
    /// A directory that can be made anew.
    Directory(PathBuf),
    /// It stays.
    Fixed,
}

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name, unique in a listing: digits of a digest, or an id.
    pub id: String,
    /// The instruction, image, address or id that it belongs to.
    pub about: String,
    /// Bytes of disk blocks.
    pub bytes: u64,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// When it was used last, to the hour, in seconds since 1970.
    pub used: i64,
    /// More than one thing needs it.
    pub shared: bool,
    /// A running command needs it.
    pub in_use: bool,
    /// The snapshot that it lies on, which cannot go before it.
    pub parent: Option<String>,
    /// It can be had again without running a step or asking anybody.
    pub spare: bool,
    /// How it is removed.
    pub place: Place,
}

impl Item {
    /// Can it be removed at all?
    #[must_use]
    pub fn is_reclaimable(&self) -> bool {
        !self.in_use && self.place != Place::Fixed
    }

    /// The name of the snapshot that it is.
    #[must_use]
    pub fn snapshot(&self) -> Option<&str> {
        match &self.place {
            Place::Snapshot(name) => Some(name),
            _ => None,
        }
    }
}
