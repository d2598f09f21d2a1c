//! Who stands for a cache: a statement about its manifest, signed like those about images.

use touchmark_attest::{
    bundle::{Bundle, PREDICATE_TYPE_ANNOTATION},
    image_digest::ImageDigest,
    predicate::cache::{PREDICATE_TYPE, SharedCache as Predicate},
    sign::Signer,
    statement::Statement,
    trust::Trust,
    verify::{Role, verify},
};

use super::{CacheError, opened::Opened};
use crate::{
    export::artifact::{Artifact, BUNDLE_TYPE},
    oci::{descriptor::Descriptor, digest::Digest},
};

/// A larger bundle is none of ours, in bytes.
const MAX_BUNDLE: u64 = 1 << 20;
/// Bundles that are looked at.
const MAX_BUNDLES: usize = 32;
/// Refusals that a message names.
const SHOWN: usize = 3;

/// Signs what `predicate` says of the cache.
pub(super) fn sign(
    cache: &Descriptor,
    predicate: &Predicate,
    signer: &dyn Signer,
) -> Result<Artifact, CacheError> {
    let digest: ImageDigest = cache.digest.to_string().parse()?;
    let statement = Statement::about_image(&digest, None, PREDICATE_TYPE, predicate)?;
    let bundle = Bundle::sign(&statement, signer)?.to_json()?;
    Ok(Artifact::new(bundle, PREDICATE_TYPE, cache)?)
}

/// Finds the statement of somebody trusted about the cache with this manifest.
pub(super) async fn trusted(
    opened: &Opened,
    cache: Digest,
    trust: &Trust,
) -> Result<(), CacheError> {
    if trust.keys().is_empty() {
        return Err(CacheError::NoTrust);
    }
    let digest: ImageDigest = cache.to_string().parse()?;
    let entries = opened.referrers(cache).await?;
    let may_be = |entry: &Descriptor| {
        let says = entry.annotations.get(PREDICATE_TYPE_ANNOTATION);
        entry.artifact_type.as_deref().is_none_or(|kind| kind == BUNDLE_TYPE)
            && says.is_none_or(|says| says == PREDICATE_TYPE)
    };
    let mut refusals = Vec::new();
    // The newest are listed last.
    for entry in entries.iter().rev().filter(|entry| may_be(entry)).take(MAX_BUNDLES) {
        match judge(opened, entry, &digest, trust).await {
            Ok(()) => return Ok(()),
            Err(reason) => refusals.push(format!("  {}: {reason}\n", entry.digest)),
        }
    }
    match refusals.is_empty() {
        true => Err(CacheError::Unsigned),
        false => Err(CacheError::Untrusted { looked: refusals.into_iter().take(SHOWN).collect() }),
    }
}

/// Does this bundle say it, and did somebody trusted sign it?
async fn judge(
    opened: &Opened,
    entry: &Descriptor,
    digest: &ImageDigest,
    trust: &Trust,
) -> Result<(), String> {
    let manifest = opened.manifest(entry).await.map_err(|error| first_line(&error))?;
    let [layer] = manifest.layers.as_slice() else {
        return Err("its manifest has not one layer, as a bundle has".into());
    };
    let bytes = opened.blob(layer, MAX_BUNDLE).await.map_err(|error| first_line(&error))?;
    let bundle = Bundle::from_json(&bytes).map_err(|error| error.to_string())?;
    let declared = manifest.annotations.get(PREDICATE_TYPE_ANNOTATION).map(String::as_str);
    let statement = verify(&bundle, digest, declared, trust).map_err(|error| error.to_string())?;
    if statement.role() != Role::Cache {
        return Err(format!("it is a statement of another kind: {}", statement.role()));
    }
    let form = statement.value().predicate_as::<Predicate>();
    form.map(drop).map_err(|error| format!("its predicate is not readable: {error}"))
}

fn first_line(error: &CacheError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
