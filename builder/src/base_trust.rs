//! Base images that must be signed: `require-signature` of the policy's `[registries]`. Asked of the
//! registry in every build, also where all steps come from the cache, because a policy may have changed.

use std::{collections::BTreeMap, sync::Arc};

use touchmark_attest::{
    image_digest::{ImageDigest, ImageDigestError},
    key::PublicKey,
    policy::{Requirement, Verdict, evaluate},
    trust::Trust,
};

use crate::{
    attestations::find::{FindError, Place},
    dockerfile::Span,
    graph::BaseImage,
    oci::{digest::Digest, reference::Reference},
    policy::{RegistriesPolicy, registries::Access},
    registry::client::RegistryClient,
    source::image::{ResolvedImage, ResolvedImages},
};

/// Which keys must have signed the images of which registry.
#[derive(Debug, Default)]
pub struct BaseTrust {
    policy: RegistriesPolicy,
    keys: BTreeMap<String, PublicKey>,
}

/// Why a base image is not used.
#[derive(Debug, thiserror::Error)]
pub enum BaseTrustError {
    /// Nothing that counts says that the key's holder stands for it.
    #[error(
        "the base image '{image}' is not signed by the key '{key}'\n{looked}\
             help: sign it as it is now: cosign sign --key … {name}@{digest}\n\
             help: or take require-signature from \"{registry}\" in the policy"
    )]
    Unsigned {
        /// Where the Dockerfile names it.
        span: Span,
        /// As the Dockerfile names it.
        image: String,
        /// The name without tag.
        name: String,
        /// What it is now.
        digest: Digest,
        /// Its registry, as the policy lists it.
        registry: String,
        /// The key file, as the policy names it.
        key: String,
        /// What was found instead, a line each.
        looked: String,
    },
    /// The signatures cannot be read.
    #[error("the signatures of the base image '{image}' cannot be read: {cause}")]
    Unreadable {
        /// Where the Dockerfile names it.
        span: Span,
        /// As the Dockerfile names it.
        image: String,
        /// What happened.
        cause: FindError,
    },
    /// The caller did not bring the key.
    #[error("the key '{0}' that the policy requires was not read")]
    NoKey(String),
    /// Only in theory: a digest that is none.
    #[error(transparent)]
    Digest(#[from] ImageDigestError),
}

/// Refusals that a message names.
const SHOWN: usize = 5;

impl BaseTrust {
    /// What `policy` asks for, with its key files, read, by their names in the policy.
    #[must_use]
    pub fn new(policy: RegistriesPolicy, keys: BTreeMap<String, PublicKey>) -> Self {
        Self { policy, keys }
    }

    /// Checks each of the images whose registry asks for a signature.
    ///
    /// # Errors
    /// The first image that has none that counts.
    pub async fn check(
        &self,
        wanted: &[BaseImage],
        images: &ResolvedImages,
        registry: &Arc<RegistryClient>,
    ) -> Result<(), BaseTrustError> {
        for base in wanted {
            // One that the policy does not allow at all was refused before.
            let route = self.policy.route(&base.reference, Access::Pull).ok();
            let key = route.and_then(|route| route.require_signature);
            let image = images.get(&base.reference, &base.platform);
            if let (Some(key), Some(image)) = (key, image) {
                self.signed(base.span, &key, image, registry).await?;
            }
        }
        Ok(())
    }

    /// A signature of what the reference names will do (the index, where there is one), or one of this
    /// platform's manifest.
    async fn signed(
        &self,
        span: Span,
        key: &str,
        image: &ResolvedImage,
        registry: &Arc<RegistryClient>,
    ) -> Result<(), BaseTrustError> {
        let public = self.keys.get(key).ok_or_else(|| BaseTrustError::NoKey(key.into()))?;
        let trust = Trust::in_keys(vec![public.clone()]);
        let mut digests = vec![image.digest];
        digests.extend((image.manifest != image.digest).then_some(image.manifest));
        let mut looked = String::new();
        for digest in digests {
            let verdict = look(&image.reference, digest, &trust, registry).await;
            let verdict = verdict.map_err(|fault| match fault {
                Fault::Find(cause) => {
                    BaseTrustError::Unreadable { span, image: image.reference.to_string(), cause }
                }
                Fault::Digest(error) => error.into(),
            })?;
            if verdict.passed() {
                return Ok(());
            }
            looked.push_str(&refusals(&verdict));
        }
        let reference = &image.reference;
        Err(BaseTrustError::Unsigned {
            span,
            image: reference.to_string(),
            name: reference.name(),
            digest: image.digest,
            registry: reference.registry().to_owned(),
            key: key.to_owned(),
            looked,
        })
    }
}

enum Fault {
    Find(FindError),
    Digest(ImageDigestError),
}

async fn look(
    reference: &Reference,
    digest: Digest,
    trust: &Trust,
    registry: &Arc<RegistryClient>,
) -> Result<Verdict, Fault> {
    let place = Place::Registry(registry.clone(), reference.at(digest));
    let found = place.find().await.map_err(Fault::Find)?;
    let image: ImageDigest = digest.to_string().parse().map_err(Fault::Digest)?;
    let requirement = Requirement { signature: true, ..Requirement::nothing() };
    Ok(evaluate(&image, found.evidence, trust, &requirement))
}

/// What stands beside the image and does not count.
fn refusals(verdict: &Verdict) -> String {
    let rejected = verdict.rejected();
    if rejected.is_empty() {
        return format!("beside {}: no signature\n", verdict.image());
    }
    let lines =
        rejected.iter().take(SHOWN).map(|one| format!("  {}: {}\n", one.origin, one.detail));
    format!("beside {}:\n{}", verdict.image(), lines.collect::<String>())
}
