//! What is said about an image, and the signatures under it: signature, SBOM, provenance and hardening
//! report, one bundle each, made in the builder process where no step can reach the key; `kept` finds those
//! of an earlier build, `attach` adds one later, `find` reads them again from wherever the image is.

pub mod attach;
pub mod find;
pub mod kept;

use serde::Serialize;
use touchmark_attest::{
    bundle::{Bundle, BundleError},
    image_digest::{ImageDigest, ImageDigestError},
    predicate::{cosign_sign, hardening, slsa, spdx},
    sign::{SignError, Signer},
    statement::{Statement, StatementError},
};

use crate::{
    export::artifact::{Artifact, BUNDLE_TYPE},
    oci::descriptor::Descriptor,
};

/// What there is to say about an image.
#[derive(Debug)]
pub struct Predicates {
    /// SLSA provenance v1.
    pub provenance: Option<slsa::Provenance>,
    /// SPDX 2.3 document, JSON.
    pub sbom: Option<Vec<u8>>,
    /// What hardening changed; an index has no report of its own.
    pub hardening: Option<hardening::HardeningReport>,
}

/// Why there are no signed statements.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The key failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A statement cannot be made.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The image has no digest of the right form.
    #[error(transparent)]
    Image(#[from] ImageDigestError),
    /// A bundle cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A document cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Signs the image and everything said about it; each bundle comes with the manifest that ties it to the
/// image. `name` is what people call the image.
///
/// # Errors
/// When the signer fails; then nothing was published.
pub fn sign(
    image: &Descriptor,
    name: Option<&str>,
    predicates: &Predicates,
    signer: &dyn Signer,
) -> Result<Vec<Artifact>, AttestError> {
    let digest: ImageDigest = image.digest.to_string().parse()?;
    let attach = |predicate_type: &str, predicate: &dyn ErasedPredicate| {
        let statement = predicate.statement(&digest, name, predicate_type)?;
        let bundle = Bundle::sign(&statement, signer)?.to_json()?;
        Ok::<_, AttestError>(Artifact::new(bundle, predicate_type, image)?)
    };
    let mut artifacts = vec![attach(cosign_sign::PREDICATE_TYPE, &cosign_sign::CosignSign {})?];
    if let Some(sbom) = &predicates.sbom {
        let document: Box<serde_json::value::RawValue> = serde_json::from_slice(sbom)?;
        artifacts.push(attach(spdx::PREDICATE_TYPE, &document)?);
    }
    if let Some(provenance) = &predicates.provenance {
        artifacts.push(attach(slsa::PREDICATE_TYPE, provenance)?);
        if let Some(report) = &predicates.hardening {
            artifacts.push(attach(hardening::PREDICATE_TYPE, report)?);
        }
    }
    debug_assert_eq!(BUNDLE_TYPE, touchmark_attest::bundle::MEDIA_TYPE);
    Ok(artifacts)
}

/// A predicate of any type.
trait ErasedPredicate {
    fn statement(
        &self,
        image: &ImageDigest,
        name: Option<&str>,
        predicate_type: &str,
    ) -> Result<Statement, StatementError>;
}

impl<T: Serialize> ErasedPredicate for T {
    fn statement(
        &self,
        image: &ImageDigest,
        name: Option<&str>,
        predicate_type: &str,
    ) -> Result<Statement, StatementError> {
        Statement::about_image(image, name, predicate_type, self)
    }
}
