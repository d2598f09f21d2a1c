//! From solved layers to an image: `assemble` joins layers, configuration and `history`; `hardened` hands
//! it to the rules and remembers the outcome; `described` takes its inventory; `Image::seal` fixes the bytes;
//! `index` gathers the images of several platforms.

pub mod assemble;
pub mod described;
pub mod hardened;
mod history;
pub mod index;

use serde::{Deserialize, Serialize};

use crate::oci::{
    config::ImageConfig, descriptor::Descriptor, digest::Digest, json, manifest::Manifest,
    media_type,
};

/// An image whose bytes are not fixed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Configuration with history; `rootfs` lists the layers below.
    pub config: ImageConfig,
    /// Layer blobs, lowest first, all in the content store.
    pub layers: Vec<Descriptor>,
}

/// An image as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The configuration blob.
    pub config: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// What names the image: the manifest's descriptor.
    pub descriptor: Descriptor,
    /// The layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
}

impl Image {
    /// Fixes the bytes. The same image gives the same bytes.
    ///
    /// # Errors
    /// Never for these documents; JSON refuses only maps whose keys are not text.
    pub fn seal(&self) -> Result<Sealed, serde_json::Error> {
        let config = json::to_vec(&self.config)?;
        let manifest =
            Manifest::image(Descriptor::of(media_type::CONFIG, &config), self.layers.clone());
        let manifest = serde_json::to_vec(&manifest)?;
        let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
        Ok(Sealed { config, manifest, descriptor, layers: self.layers.clone() })
    }

    /// Layers as pairs: digest of the uncompressed tar, and the blob.
    pub fn layers(&self) -> impl Iterator<Item = (Digest, &Descriptor)> {
        self.config.rootfs.diff_ids.iter().copied().zip(&self.layers)
    }
}
