//! Results that are one stream of bytes. The same stream goes to a file, to standard output or to a
//! daemon.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::{
    ExportError, docker_archive,
    file_tree::{FileTree, Reader, write_tar},
    layout_error::LayoutError,
    layout_writer::{LayoutImage, write_archive},
};
use crate::{
    content::store::ContentStore,
    oci::{descriptor::Descriptor, reference::Reference},
};

/// A stream that can be written any number of times.
#[derive(Debug, Clone)]
pub(super) enum Stream {
    /// An OCI layout as a tar archive.
    Layout(Archive),
    /// The same for Docker.
    Docker(Archive),
    /// File systems as a tar archive.
    Files {
        /// One per platform.
        trees: Arc<[FileTree]>,
        /// Each in a directory of its own.
        split: bool,
    },
}

/// An image as an archive.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    pub(super) content: Arc<ContentStore>,
    /// Its manifest or index.
    pub(super) image: Descriptor,
    pub(super) names: Vec<Reference>,
    /// Manifests that refer to it.
    pub(super) referrers: Vec<Descriptor>,
}

impl Stream {
    /// Writes it.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), ExportError> {
        let mut out = io::BufWriter::with_capacity(128 * 1024, out);
        match self {
            Self::Layout(archive) => archive.write(&[], &mut out)?,
            Self::Docker(archive) => {
                let list = docker_archive::manifest_json(
                    &archive.content,
                    &archive.image,
                    &archive.names,
                )?;
                archive.write(&[(docker_archive::FILE, list)], &mut out)?;
            }
            Self::Files { trees, split } => write_tar(trees, *split, Reader::Anybody, &mut out)?,
        }
        out.flush().map_err(|error| LayoutError::io("write", "the archive")(error).into())
    }
}

impl Archive {
    fn write(&self, more: &[(&str, Vec<u8>)], out: &mut dyn Write) -> Result<(), LayoutError> {
        let Self { content, image, names, referrers } = self;
        write_archive(content, LayoutImage { image, names, referrers }, more, out)
    }
}
