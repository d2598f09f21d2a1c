//! The seam to the blobs: the content store in a build, memory in tests.

use std::io::{self, Read, Write};

use crate::{
    layer::Layer,
    oci::{descriptor::Descriptor, digest::Digest},
};

/// Where layer blobs come from and go to.
pub trait LayerStore: Sync {
    /// An open blob.
    type Blob: Read + Send + 'static;
    /// A blob that is being written; dropped without [`LayerStore::commit`], it leaves nothing.
    type Sink: Write;

    /// Opens a blob as it is stored (compressed). Its reader fails at the end when digest or size
    /// are not the descriptor's.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn open(&self, descriptor: &Descriptor) -> io::Result<Self::Blob>;

    /// Begins a blob.
    ///
    /// # Errors
    /// There is no room.
    fn create(&self) -> io::Result<Self::Sink>;

    /// Keeps a blob under its descriptor's digest, atomically; a blob that is already there stays.
    ///
    /// # Errors
    /// The bytes are not those of the descriptor, or cannot be stored.
    fn commit(&self, sink: Self::Sink, descriptor: &Descriptor) -> io::Result<()>;

    /// The layer that was written under this key before, as long as its blob is there.
    fn known(&self, _key: &Digest) -> Option<Layer> {
        None
    }

    /// Remembers under this key a layer that was written.
    ///
    /// # Errors
    /// It cannot be kept.
    fn remember(&self, _key: &Digest, _layer: &Layer) -> io::Result<()> {
        Ok(())
    }
}
