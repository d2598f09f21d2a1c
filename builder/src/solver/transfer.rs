//! Blobs on their way from and to registries, as events.

use crate::oci::{descriptor::Descriptor, reference::Reference};

/// Something that happened to a blob on its way.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// From or to the registry.
    pub direction: Direction,
    /// The image that the blob belongs to.
    pub image: &'a Reference,
    /// The blob.
    pub blob: &'a Descriptor,
    /// What happened.
    pub motion: Motion,
}

/// Which way a blob goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the registry.
    Pull,
    /// To the registry.
    Push,
}

/// What happened to a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// It is on its way.
    Began,
    /// So many bytes need not be moved.
    Had(u64),
    /// So many bytes more have passed.
    Moved(u64),
    /// What has passed is of no use; it begins again.
    Restarted,
    /// It is complete and verified.
    Done,
}
