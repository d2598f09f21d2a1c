//! Everything that claims to be said about an image, from a registry or an OCI layout. Nothing here is
//! believed: it is gathered for `touchmark_attest::policy` to judge.

use std::{io, sync::Arc};

use touchmark_attest::{
    bundle::{MAX_BYTES, PREDICATE_TYPE_ANNOTATION},
    policy::Evidence,
};

use crate::{
    export::{
        artifact::BUNDLE_TYPE, layout::OciLayout, layout_address::LayoutAddress,
        layout_error::LayoutError,
    },
    oci::{
        descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type,
        reference::Reference,
    },
    registry::{client::RegistryClient, error::RegistryError},
};

/// An image reference with the place it is read from.
#[derive(Debug)]
pub enum Place {
    /// A registry.
    Registry(Arc<RegistryClient>, Reference),
    /// An OCI layout on disk: a directory or an archive.
    Layout(OciLayout, LayoutAddress),
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The image manifest or index.
    pub image: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What refers to it, and could be read.
    pub evidence: Vec<Evidence>,
    /// What refers to it, and could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// Something that refers to an image and could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Digest of its manifest, as the list of referrers has it.
    pub manifest: Digest,
    /// Why.
    pub error: FindError,
}

/// Why nothing can be said about an image.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The layout does not give it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A document is not what it should be.
    #[error("{0}")]
    Document(String),
}

impl FindError {
    /// Is the surrounding to blame (a registry that does not answer), rather than what was asked for?
    #[must_use]
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_environment())
    }
}

/// Referrers that are read; whoever lists more hides the others behind them, so more is an error.
const MAX_REFERRERS: usize = 1000;

impl Place {
    /// Reads the image's manifest and all its evidence.
    ///
    /// # Errors
    /// When the image or the list of its referrers cannot be read. A single piece of evidence that
    /// cannot be read is listed instead.
    pub async fn find(&self) -> Result<Found, FindError> {
        let (image, bytes) = self.image().await?;
        self.about(image, bytes).await
    }

    async fn about(&self, image: Descriptor, bytes: Vec<u8>) -> Result<Found, FindError> {
        let referrers = self.referrers(image.digest).await?;
        if referrers.len() > MAX_REFERRERS {
            return Err(FindError::Document(format!(
                "{} artifacts refer to the image; at most {MAX_REFERRERS} are read",
                referrers.len()
            )));
        }
        let mut found = Found { image, bytes, evidence: Vec::new(), unreadable: Vec::new() };
        for entry in referrers {
            match self.evidence(&entry).await {
                Ok(Some(evidence)) => found.evidence.push(evidence),
                Ok(None) => {}
                Err(error) => {
                    found.unreadable.push(Unreadable { manifest: entry.digest, error });
                }
            }
        }
        Ok(found)
    }

    /// What is said about a manifest of the same repository or layout, given its descriptor.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn find_manifest(&self, entry: &Descriptor) -> Result<Found, FindError> {
        let bytes = self.document(entry).await?;
        self.about(entry.clone(), bytes).await
    }

    /// The bytes of a blob of at most `max` bytes, verified.
    ///
    /// # Errors
    /// When it cannot be read or has another digest.
    pub async fn blob(&self, blob: &Descriptor, max: u64) -> Result<Vec<u8>, FindError> {
        match self {
            Self::Registry(client, reference) => Ok(client.read_blob(reference, blob, max).await?),
            Self::Layout(layout, _) => Ok(layout.read(blob, max)?),
        }
    }

    async fn image(&self) -> Result<(Descriptor, Vec<u8>), FindError> {
        match self {
            Self::Registry(client, reference) => {
                let resolved = client.resolve(reference).await?;
                Ok((resolved.descriptor, resolved.bytes))
            }
            Self::Layout(layout, address) => {
                let resolved = layout.resolve(address.image.as_ref())?;
                Ok((resolved.descriptor, resolved.bytes))
            }
        }
    }

    async fn referrers(&self, image: Digest) -> Result<Vec<Descriptor>, FindError> {
        match self {
            Self::Registry(client, reference) => Ok(client.referrers(reference, image).await?),
            Self::Layout(layout, _) => Ok(layout.referrers(image)?),
        }
    }

    /// The manifest or index of a descriptor, verified.
    ///
    /// # Errors
    /// When it cannot be read or has another digest.
    pub async fn document(&self, entry: &Descriptor) -> Result<Vec<u8>, FindError> {
        match self {
            Self::Registry(client, reference) => {
                Ok(client.resolve(&reference.at(entry.digest)).await?.bytes)
            }
            Self::Layout(layout, _) => Ok(layout.document(entry)?.bytes),
        }
    }

    /// The bundle behind an entry of the list; `None` when the entry says that it is something else.
    async fn evidence(&self, entry: &Descriptor) -> Result<Option<Evidence>, FindError> {
        let is_bundle = |kind: &str| kind.starts_with("application/vnd.dev.sigstore.bundle");
        // cosign lists the configuration's type in a fallback tag, which says nothing.
        let may_be = |kind: &str| is_bundle(kind) || kind == media_type::EMPTY;
        if entry.artifact_type.as_deref().is_some_and(|kind| !may_be(kind)) {
            return Ok(None);
        }
        let document = |reason: String| FindError::Document(reason);
        let bytes = self.document(entry).await?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| document(format!("its manifest is not readable: {error}")))?;
        if manifest.artifact_type.as_deref() != Some(BUNDLE_TYPE) {
            return match manifest.artifact_type.as_deref().is_some_and(is_bundle) {
                true => Err(document("it is a bundle of another version".into())),
                false => Ok(None),
            };
        }
        let [layer] = manifest.layers.as_slice() else {
            return Err(document(format!(
                "its manifest has {} layers where a bundle has one",
                manifest.layers.len()
            )));
        };
        let bytes = self.blob(layer, MAX_BYTES as u64).await?;
        let declared = manifest.annotations.get(PREDICATE_TYPE_ANNOTATION).cloned();
        Ok(Some(Evidence {
            origin: entry.digest.to_string(),
            bytes,
            declared_predicate_type: declared,
        }))
    }
}

impl Place {
    /// Reads a blob to its end and checks size and digest.
    ///
    /// # Errors
    /// When it cannot be read or is not what its descriptor says.
    pub async fn verify_blob(&self, blob: &Descriptor) -> Result<(), FindError> {
        match self {
            Self::Registry(client, reference) => {
                client.check_blob(reference, blob).await?;
            }
            Self::Layout(layout, _) => {
                let mut reader = layout.open_blob(blob)?;
                io::copy(&mut reader, &mut io::sink())
                    .map_err(|error| FindError::Document(error.to_string()))?;
            }
        }
        Ok(())
    }
}
