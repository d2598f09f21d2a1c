//! Where an image goes: `artifact` (a signed statement as a referrer), `release` (all that is published
//! at once), `publish` (to a registry),
//! and OCI layouts (image-spec, image-layout.md), as directories and as tar archives: `layout_error` ←
//! `layout_archive`, `layout_address` ← `layout` (reading) ← `layout_writer`.

pub mod artifact;
pub mod layout;
pub mod layout_address;
pub mod layout_archive;
pub mod layout_error;
pub mod layout_writer;
mod publish;
pub mod release;

use std::path::PathBuf;

use crate::{
    content::{error::ContentError, store::ContentStore},
    oci::{descriptor::Descriptor, reference::Reference},
    registry::error::RegistryError,
    solver::{
        event::{Event, Observer},
        host::Host,
    },
};
use layout_error::LayoutError;
use layout_writer::{LayoutImage, write_archive_file, write_directory};
use release::Release;

/// Where a build's result goes.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Names of the image.
    pub tags: Vec<Reference>,
    /// Push it under these names.
    pub push: bool,
    /// OCI layouts to write.
    pub layouts: Vec<LayoutOutput>,
}

impl Outputs {
    /// What people call the image: its first name.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.tags.first().map(Reference::name)
    }
}

/// An OCI layout to write.
#[derive(Debug, Clone)]
pub struct LayoutOutput {
    /// Directory or archive.
    pub path: PathBuf,
    /// One tar file instead of a directory.
    pub archive: bool,
}

/// Why an image is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The registry did not take it.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The store did not take a document.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The layout was not written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl From<RegistryError> for ExportError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl ExportError {
    /// Is the surrounding at fault, not the image?
    #[must_use]
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_environment())
    }
}

/// Brings the image, or the images of all platforms, with everything said about it to every place that was asked for.
///
/// # Errors
/// The first place that does not take it; no tag was moved and no layout is half written there.
pub async fn export(
    release: &Release,
    outputs: &Outputs,
    host: &Host,
    observer: &dyn Observer,
) -> Result<(), ExportError> {
    for layout in &outputs.layouts {
        observer.event(Event::Activity(&format!("writing {}", layout.path.display())));
        write(release, &outputs.tags, layout, &host.content)?;
    }
    if outputs.push {
        for tag in &outputs.tags {
            observer.event(Event::Activity(&format!("pushing {tag}")));
        }
        publish::publish(release, &outputs.tags, &host.registry, &host.content).await?;
    }
    Ok(())
}

fn write(
    release: &Release,
    names: &[Reference],
    layout: &LayoutOutput,
    content: &ContentStore,
) -> Result<(), ExportError> {
    for bytes in release.documents() {
        content.put(bytes)?;
    }
    let referrers: Vec<Descriptor> = release.artifacts().map(|one| one.entry.clone()).collect();
    let whole = LayoutImage { image: release.descriptor(), names, referrers: &referrers };
    match layout.archive {
        true => write_archive_file(content, whole, &layout.path)?,
        false => write_directory(content, whole, &layout.path)?,
    }
    Ok(())
}
