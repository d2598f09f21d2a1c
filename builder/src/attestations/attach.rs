//! A statement that is made after the image, and goes to where the image is.

use serde::Serialize;
use touchmark_attest::{
    bundle::Bundle, image_digest::ImageDigest, sign::Signer, statement::Statement,
};

use super::AttestError;
use crate::{
    export::artifact::{Artifact, BUNDLE_TYPE, EMPTY_JSON},
    oci::{descriptor::Descriptor, media_type, reference::Reference},
    registry::{
        client::RegistryClient, error::RegistryError, progress::Unwatched, push::BlobSource,
    },
};

/// Signs that `predicate` holds of the image; `name` is what people call it.
///
/// # Errors
/// When the signer fails, or the statement cannot be made.
pub fn signed(
    image: &Descriptor,
    name: Option<&str>,
    predicate_type: &str,
    predicate: &impl Serialize,
    signer: &dyn Signer,
) -> Result<Artifact, AttestError> {
    let digest: ImageDigest = image.digest.to_string().parse()?;
    let statement = Statement::about_image(&digest, name, predicate_type, predicate)?;
    let bundle = Bundle::sign(&statement, signer)?.to_json()?;
    Ok(Artifact::new(bundle, predicate_type, image)?)
}

/// Puts it beside the image, which is in the repository of `place`. Only once all of it is there is it listed.
///
/// # Errors
/// The registry does not take it.
pub async fn push(
    artifact: &Artifact,
    image: &Descriptor,
    place: &Reference,
    registry: &RegistryClient,
) -> Result<(), RegistryError> {
    let target = place.at(image.digest);
    for (kind, bytes) in [(media_type::EMPTY, EMPTY_JSON), (BUNDLE_TYPE, &*artifact.bundle)] {
        let blob = Descriptor::of(kind, bytes);
        registry.push_blob(&target, &blob, BlobSource::Bytes(bytes), None, &Unwatched).await?;
    }
    let own = place.at(artifact.entry.digest);
    let pushed = registry.push_manifest(&own, media_type::MANIFEST, &artifact.manifest).await?;
    if !pushed.listed {
        let entries = std::slice::from_ref(&artifact.entry);
        registry.add_referrers(place, image.digest, entries).await?;
    }
    Ok(())
}
