//! The form in which an image leaves: how its layers are compressed, which media types its documents
//! have, what they are annotated with. The content is the same in every form, and so are the digests of
//! the uncompressed layers.

use serde_json::{Value, json};

use super::{Image, annotations::Annotations};
use crate::{
    layer::Compression,
    solver::{chain::Chains, error::SolveError},
};

/// A form of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Compression of the layers that the build made.
    pub compression: Compression,
    /// Compress the layers of the base image anew too.
    pub force: bool,
    /// Docker's media types instead of OCI's.
    pub docker_types: bool,
    /// Annotations.
    pub annotations: Annotations,
}

impl Form {
    /// How layers are compressed, as the provenance has it: `{"type": "zstd", "level": 3, "force": true}`.
    #[must_use]
    pub fn parameter(&self) -> Value {
        let mut parameter = match self.compression {
            Compression::None => json!({"type": "uncompressed"}),
            Compression::Gzip { level } => json!({"type": "gzip", "level": level}),
            Compression::Zstd { level } => json!({"type": "zstd", "level": level}),
        };
        if self.force {
            parameter["force"] = true.into();
        }
        parameter
    }
}

/// The image with its layers compressed as `form` says. A layer that came from a registry and was not
/// changed stays byte for byte what it was there, unless the form forces it.
///
/// # Errors
/// When a layer cannot be read or written.
pub async fn formed(image: &Image, form: &Form, chains: &Chains) -> Result<Image, SolveError> {
    let mut layers = Vec::with_capacity(image.layers.len());
    let wanted = (form.compression, form.force);
    for (diff_id, layer) in image.layers() {
        layers.push(chains.compressed(&diff_id, layer, wanted).await?);
    }
    Ok(Image { layers, config: image.config.clone() })
}
