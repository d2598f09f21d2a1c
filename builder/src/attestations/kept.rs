//! Statements of an earlier build that ran the steps. A build in which nothing ran says nothing new: the
//! image, its inventory and everything that went into it are the same, and what was signed then says
//! when it really happened. So its statements are published again, byte for byte.

use serde::{Deserialize, Serialize};
use touchmark_attest::{
    bundle::{Bundle, PREDICATE_TYPE_ANNOTATION},
    sign::Signer,
    trust::Trust,
    verify::verify,
};

use super::{AttestError, Predicates, sign};
use crate::{
    content::{index::Table, records::Records},
    export::artifact::Artifact,
    oci::{descriptor::Descriptor, digest::Digest},
};

/// An artifact as it is kept: both documents are JSON text.
#[derive(Serialize, Deserialize)]
struct Kept {
    bundle: String,
    manifest: String,
    entry: Descriptor,
}

/// As [`sign`], but when nothing `ran`, the statements of the build that made the same image from the
/// same materials are taken, if this machine has them.
///
/// # Errors
/// As [`sign`].
pub fn sign_or_keep(
    image: &Descriptor,
    name: Option<&str>,
    predicates: &Predicates,
    signer: &dyn Signer,
    (records, ran): (&Records, bool),
) -> Result<Vec<Artifact>, AttestError> {
    let key = key(image, name, predicates, signer)?;
    let records = records.of(Table::Statements);
    if !ran && let Some(kept) = records.get::<Vec<Kept>>(&key) {
        let artifacts: Vec<Artifact> = kept.into_iter().map(Kept::artifact).collect();
        if whole(&artifacts, image, signer) {
            return Ok(artifacts);
        }
    }
    let artifacts = sign(image, name, predicates, signer)?;
    let kept: Vec<Kept> = artifacts.iter().map(Kept::of).collect();
    // A record that cannot be kept costs the next build a signature.
    let _ = records.put(&key, &kept);
    Ok(artifacts)
}

/// Would a verifier take each of them? A record is a file, and files get damaged.
fn whole(artifacts: &[Artifact], image: &Descriptor, signer: &dyn Signer) -> bool {
    let Ok(digest) = image.digest.to_string().parse() else { return false };
    let trust = Trust::in_keys(vec![signer.public_key().clone()]);
    artifacts.iter().all(|artifact| {
        let declared = artifact.entry.annotations.get(PREDICATE_TYPE_ANNOTATION);
        let holds =
            |bundle: Bundle| verify(&bundle, &digest, declared.map(String::as_str), &trust).is_ok();
        artifact.entry.digest == Digest::of(&artifact.manifest)
            && Bundle::from_json(&artifact.bundle).is_ok_and(holds)
    })
}

/// Everything that the statements say, without when and in which run, and who signs.
fn key(
    image: &Descriptor,
    name: Option<&str>,
    predicates: &Predicates,
    signer: &dyn Signer,
) -> Result<Digest, AttestError> {
    let mut provenance = predicates.provenance.clone();
    if let Some(provenance) = &mut provenance {
        provenance.run_details.metadata = None;
    }
    let signer = signer.public_key().hint();
    let sbom = predicates.sbom.as_deref().map(Digest::of);
    let said = (provenance, sbom, &predicates.hardening);
    let inputs = ("statements", image.digest, name, signer.as_str(), said);
    Ok(Digest::of(&serde_json::to_vec(&inputs)?))
}

impl Kept {
    fn of(artifact: &Artifact) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            bundle: text(&artifact.bundle),
            manifest: text(&artifact.manifest),
            entry: artifact.entry.clone(),
        }
    }

    fn artifact(self) -> Artifact {
        Artifact {
            bundle: self.bundle.into_bytes(),
            manifest: self.manifest.into_bytes(),
            entry: self.entry,
        }
    }
}
