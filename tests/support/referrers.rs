//! The statements beside an image, read without touchmark: referrers API or fallback tag → bundle → payload.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::registry::Registry;

/// Predicate type of the provenance.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// Predicate type of the SBOM.
pub const SBOM: &str = "https://spdx.dev/Document";
/// Predicate type of the signature.
pub const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// One bundle that refers to an image.
#[derive(Debug, Clone)]
pub struct Referrer {
    /// Digest of the bundle's manifest.
    pub manifest: String,
    /// Digest of the bundle.
    pub blob: String,
    /// The in-toto statement inside, not verified.
    pub statement: Value,
}

impl Referrer {
    /// The statement's predicate type.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        self.statement["predicateType"].as_str().unwrap_or_default()
    }
}

/// All bundles that refer to `digest`.
#[must_use]
pub fn of(registry: &Registry, repository: &str, digest: &str) -> Vec<Referrer> {
    let fallback = digest.replace(':', "-");
    let Some((_, index)) = registry.manifest(repository, &fallback) else { return Vec::new() };
    let mut entries = index["manifests"].as_array().cloned().unwrap_or_default();
    // A cache that lies beside the image is no bundle, and materials are none.
    entries.retain(|entry| {
        let kind = entry["artifactType"].as_str().unwrap_or_default();
        !kind.starts_with("application/vnd.touchmark.")
    });
    let read = |entry: &Value| {
        let manifest = entry["digest"].as_str().expect("a descriptor").to_owned();
        let (_, document) =
            registry.manifest(repository, &manifest).expect("a referrer that is there");
        let blob = document["layers"][0]["digest"].as_str().expect("a bundle").to_owned();
        let bundle: Value =
            serde_json::from_slice(&registry.blob(repository, &blob)).expect("JSON");
        Referrer { manifest, blob, statement: payload(&bundle) }
    };
    entries.iter().map(read).collect()
}

/// The statement in a bundle, not verified.
#[must_use]
pub fn payload(bundle: &Value) -> Value {
    let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("a DSSE envelope");
    let payload = STANDARD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("a statement")
}

/// The newest statement of `predicate_type` about `digest`: its predicate. A build that gives the same image again
/// adds a provenance of its own, and the fallback tag lists the newest last.
#[track_caller]
#[must_use]
pub fn predicate(
    registry: &Registry,
    repository: &str,
    digest: &str,
    predicate_type: &str,
) -> Value {
    let all = of(registry, repository, digest);
    let newest = all.iter().rfind(|referrer| referrer.predicate_type() == predicate_type);
    let newest =
        newest.unwrap_or_else(|| panic!("no statement of type {predicate_type} about {digest}"));
    newest.statement["predicate"].clone()
}
