//! A Sigstore bundle as an OCI 1.1 artifact that refers to an image (image-spec, manifest.md, `subject`
//! and `artifactType`), in the form that cosign 3 reads.

use std::collections::BTreeMap;

use crate::oci::{descriptor::Descriptor, manifest::Manifest, media_type};

/// Artifact type and layer type of a Sigstore bundle.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Annotation that names what a bundle holds.
pub const CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";
/// Annotation that names the predicate type of a bundle's statement.
pub const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";
/// The bytes of the empty configuration (image-spec, manifest.md).
pub const EMPTY_JSON: &[u8] = b"{}";

/// One bundle, ready to be stored beside its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The bundle's JSON.
    pub bundle: Vec<u8>,
    /// The manifest that ties it to its image, as JSON.
    pub manifest: Vec<u8>,
    /// The manifest's entry in a list of referrers.
    pub entry: Descriptor,
}

impl Artifact {
    /// Ties `bundle` with a statement of `predicate_type` to `subject`. The same input gives the same
    /// bytes, so that storing it twice stores it once.
    ///
    /// # Errors
    /// Never for descriptors; JSON refuses only maps whose keys are not text.
    pub fn new(
        bundle: Vec<u8>,
        predicate_type: &str,
        subject: &Descriptor,
    ) -> Result<Self, serde_json::Error> {
        let annotations = BTreeMap::from([
            (CONTENT_ANNOTATION.to_owned(), "dsse-envelope".to_owned()),
            (PREDICATE_ANNOTATION.to_owned(), predicate_type.to_owned()),
        ]);
        let layer = Descriptor::of(BUNDLE_TYPE, &bundle);
        let manifest = Manifest {
            artifact_type: Some(BUNDLE_TYPE.into()),
            subject: Some(Descriptor::new(
                subject.media_type.clone(),
                subject.digest,
                subject.size,
            )),
            annotations: annotations.clone(),
            ..Manifest::image(Descriptor::of(media_type::EMPTY, EMPTY_JSON), vec![layer])
        };
        let manifest = serde_json::to_vec(&manifest)?;
        let mut entry = Descriptor::of(media_type::MANIFEST, &manifest);
        entry.artifact_type = Some(BUNDLE_TYPE.into());
        entry.annotations = annotations;
        Ok(Self { bundle, manifest, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_the_form_cosign_reads() {
        let subject = Descriptor::of(media_type::MANIFEST, b"image");
        let artifact =
            Artifact::new(b"{}".to_vec(), "https://predicate.example/v1", &subject).unwrap();
        let expected = format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","#,
                r#""config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{empty}","size":2}},"#,
                r#""layers":[{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","digest":"{empty}","size":2}}],"#,
                r#""subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":5}},"#,
                r#""annotations":{{"dev.sigstore.bundle.content":"dsse-envelope","#,
                r#""dev.sigstore.bundle.predicateType":"https://predicate.example/v1"}}}}"#
            ),
            empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            subject = subject.digest,
        );
        assert_eq!(String::from_utf8(artifact.manifest.clone()).unwrap(), expected);
        assert_eq!(artifact.entry.digest, crate::oci::digest::Digest::of(&artifact.manifest));
    }
}
