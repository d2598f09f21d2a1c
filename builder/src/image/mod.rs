//! From solved layers to an image: `assemble` joins layers, configuration and `history`; `hardened` hands
//! it to the rules (`outcomes` remembers what came of it); `form` compresses its layers as an output wants them, with
//! its `annotations`; `Image::seal` fixes the bytes; `described` takes its inventory;
//! `index` gathers the images of several platforms.

pub mod ahead;
pub mod annotations;
pub mod assemble;
pub mod described;
pub mod form;
pub mod hardened;
mod history;
pub mod index;
pub mod outcomes;

use serde::{Deserialize, Serialize};

use self::{annotations::Level, form::Form};
use crate::oci::{
    config::ImageConfig, descriptor::Descriptor, digest::Digest, json, manifest::Manifest,
    media_type, platform::Platform,
};

/// An image whose bytes are not fixed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Configuration with history; `rootfs` lists the layers below.
    pub config: ImageConfig,
    /// Layer blobs, lowest first, in the content store or where they can be had from.
    pub layers: Vec<Descriptor>,
}

/// An image as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The configuration blob.
    pub config: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// What names the image: the manifest's descriptor, with the platform and the annotations that an
    /// index shows.
    pub descriptor: Descriptor,
    /// The layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Annotation with the time of an image (annotations.md, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";

impl Image {
    /// Fixes the bytes. The same image in the same form gives the same bytes. The layers' bytes have
    /// that form already ([`form::formed`]).
    ///
    /// # Errors
    /// Never for these documents; JSON refuses only maps whose keys are not text.
    pub fn seal(&self, form: &Form) -> Result<Sealed, serde_json::Error> {
        let platform = self.platform();
        let types = if form.docker_types { DOCKER } else { OCI };
        let config = json::to_vec(&self.config)?;
        let layers: Vec<Descriptor> = match form.docker_types {
            true => self.layers.iter().map(docker_typed).collect(),
            false => self.layers.clone(),
        };
        let mut manifest = Manifest::image(Descriptor::of(types.1, &config), layers.clone());
        manifest.media_type = types.0.into();
        manifest.annotations = form.annotations.of(Level::Manifest, &platform);
        let manifest = serde_json::to_vec(&manifest)?;
        let mut descriptor = Descriptor::of(types.0, &manifest);
        if let Some(created) = &self.config.created {
            descriptor.annotations.insert(CREATED.into(), created.clone());
        }
        descriptor.annotations.extend(form.annotations.of(Level::ManifestDescriptor, &platform));
        descriptor.platform = Some(platform);
        Ok(Sealed { config, manifest, descriptor, layers })
    }

    /// The platform that its configuration names.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.config.architecture.clone(),
            os: self.config.os.clone(),
            variant: self.config.variant.clone(),
        }
    }

    /// Layers as pairs: digest of the uncompressed tar, and the blob.
    pub fn layers(&self) -> impl Iterator<Item = (Digest, &Descriptor)> {
        self.config.rootfs.diff_ids.iter().copied().zip(&self.layers)
    }

    /// The same pairs, owned.
    #[must_use]
    pub fn owned_layers(&self) -> Vec<(Digest, Descriptor)> {
        self.layers().map(|(diff_id, blob)| (diff_id, blob.clone())).collect()
    }
}

/// Media types of a manifest and of a configuration.
const OCI: (&str, &str) = (media_type::MANIFEST, media_type::CONFIG);
/// Docker's names of the same.
const DOCKER: (&str, &str) = (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG);

/// A layer under Docker's media type; Docker has none for zstd, which keeps OCI's.
fn docker_typed(layer: &Descriptor) -> Descriptor {
    let media_type = match layer.media_type.as_str() {
        media_type::LAYER_GZIP => media_type::DOCKER_LAYER_GZIP,
        media_type::LAYER_TAR => media_type::DOCKER_LAYER_TAR,
        other => other,
    };
    Descriptor { media_type: media_type.into(), ..layer.clone() }
}
