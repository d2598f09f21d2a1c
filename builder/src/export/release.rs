//! All that a build publishes at once: the image of each platform with what is said about it, and the
//! index that gathers them where there are several.

use touchmark_attest::predicate::{hardening::HardeningReport, slsa::Provenance};

use super::artifact::{Artifact, EMPTY_JSON};
use crate::{
    image::{Sealed, index::SealedIndex},
    oci::{descriptor::Descriptor, digest::Digest, platform::Platform},
};

/// The image of one platform.
#[derive(Debug, Clone)]
pub struct PlatformImage {
    /// The platform as it was asked for, in its usual form.
    pub platform: Platform,
    /// The image.
    pub image: Sealed,
    /// Digests of the uncompressed layers, lowest first, as [`Sealed::layers`] has their blobs.
    pub diff_ids: Vec<Digest>,
    /// What hardening changed.
    pub hardening: HardeningReport,
    /// Where it comes from, also where nothing is signed.
    pub provenance: Option<Provenance>,
    /// What is said about it: one signed bundle per statement.
    pub artifacts: Vec<Artifact>,
}

/// The index of all platforms.
#[derive(Debug, Clone)]
pub struct ImageIndex {
    /// The index.
    pub index: SealedIndex,
    /// What is said about it.
    pub artifacts: Vec<Artifact>,
}

/// What is published.
#[derive(Debug, Clone)]
pub struct Release {
    first: PlatformImage,
    more: Vec<PlatformImage>,
    /// What gathers the images where there are several.
    index: Option<ImageIndex>,
}

impl Release {
    /// One image alone.
    #[must_use]
    pub fn single(image: PlatformImage) -> Self {
        Self { first: image, more: Vec::new(), index: None }
    }

    /// Several images under an index.
    #[must_use]
    pub fn several(first: PlatformImage, more: Vec<PlatformImage>, index: ImageIndex) -> Self {
        Self { first, more, index: Some(index) }
    }

    /// The images, in the order in which their platforms were asked for.
    pub fn images(&self) -> impl Iterator<Item = &PlatformImage> {
        [&self.first].into_iter().chain(&self.more)
    }

    /// The only image; `None` where an index gathers several.
    #[must_use]
    pub fn image(&self) -> Option<&PlatformImage> {
        self.index.is_none().then_some(&self.first)
    }

    /// The index, where there are several images.
    #[must_use]
    pub fn index(&self) -> Option<&ImageIndex> {
        self.index.as_ref()
    }

    /// What a tag names: the index, else the only image's manifest.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        match &self.index {
            Some(index) => &index.index.descriptor,
            None => &self.first.image.descriptor,
        }
    }

    /// The bytes of what a tag names.
    #[must_use]
    pub fn document(&self) -> &[u8] {
        match &self.index {
            Some(index) => &index.index.bytes,
            None => &self.first.image.manifest,
        }
    }

    /// Everything that is said, about each image and about the index.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        let of_index = self.index.iter().flat_map(|index| &index.artifacts);
        self.images().flat_map(|image| &image.artifacts).chain(of_index)
    }

    /// Every document but the layers: configurations, manifests, statements and the index.
    pub fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let images = self.images().flat_map(|one| [&*one.image.config, &*one.image.manifest]);
        let statements = self.artifacts().flat_map(|one| [&*one.bundle, &*one.manifest]);
        images.chain(statements).chain([EMPTY_JSON, self.document()])
    }
}
