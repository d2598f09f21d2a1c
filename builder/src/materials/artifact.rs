//! The fetched bytes of an image as an OCI 1.1 artifact that refers to it: the configuration lists every answer
//! with its address and headers, the layers are the bodies, each once, so that a registry that has one already
//! keeps one. What may be believed of it, the image's signed provenance says and not the artifact.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::material::{Material, Sort};
use crate::{
    downloads::StoredAnswer,
    oci::{descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type},
};

/// Artifact type of materials.
pub const ARTIFACT_TYPE: &str = "application/vnd.touchmark.materials.v1";
/// Media type of the configuration, [`Listing`].
pub const LISTING_TYPE: &str = "application/vnd.touchmark.materials.listing.v1+json";
/// Media type of a body: bytes as they came.
pub const BODY_TYPE: &str = "application/octet-stream";
/// Answers in one artifact. More become several, because registries bound the size of a manifest (4 MiB).
pub const MOST: usize = 4000;
/// A larger listing is none, in bytes.
pub const MAX_LISTING: u64 = 64 << 20;

/// The configuration: what was asked, and what the answer was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// By method and address. `checked` is 0: when an answer was confirmed is no business of the copy.
    pub answers: Vec<StoredAnswer>,
}

/// One artifact, ready to be stored beside its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The listing's JSON.
    pub listing: Vec<u8>,
    /// The bodies, by digest.
    pub bodies: Vec<Descriptor>,
    /// The manifest's JSON.
    pub manifest: Vec<u8>,
    /// The manifest's entry in a list of referrers.
    pub entry: Descriptor,
}

/// What of a provenance's materials there are answers for.
#[derive(Debug, Default)]
pub struct Matched {
    /// The answers, each once, sorted.
    pub answers: Vec<StoredAnswer>,
    /// Materials that have a digest and no answer with it.
    pub missing: Vec<Material>,
}

/// For each body among the materials the answer that brought it; `known` gives all to a method and an address.
pub fn matched(materials: &[Material], known: impl Fn(&str, &str) -> Vec<StoredAnswer>) -> Matched {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for material in materials.iter().filter(|one| one.is_body()) {
        let answers = known(&material.kept_method(), &material.uri);
        let mut fitting = answers.into_iter().filter(|answer| fits(material, answer)).peekable();
        if fitting.peek().is_none() {
            missing.push(material.clone());
        }
        for answer in fitting {
            let key = (answer.url.clone(), answer.method.clone(), answer.digest);
            let variant = answer.variant.clone();
            found.insert((key, variant), StoredAnswer { checked: 0, ..answer });
        }
    }
    Matched { answers: found.into_values().collect(), missing }
}

/// Did this answer bring this material? A pack is known by its commit, as git computes the ids of what is in it.
#[must_use]
pub fn fits(material: &Material, answer: &StoredAnswer) -> bool {
    answer.url == material.uri
        && answer.method == material.kept_method()
        && (material.sort == Sort::Git || Some(answer.digest) == material.digest)
        && u64::from(answer.status) == material.status.unwrap_or(200)
}

impl Artifact {
    /// Ties answers to `subject`. The same answers give the same bytes, so that storing them twice stores them
    /// once.
    ///
    /// # Errors
    /// Never for answers; JSON refuses only maps whose keys are not text.
    pub fn new(answers: &[StoredAnswer], subject: &Descriptor) -> Result<Self, serde_json::Error> {
        let listing = serde_json::to_vec(&Listing { answers: answers.to_vec() })?;
        let bodies: BTreeSet<(Digest, u64)> =
            answers.iter().map(|answer| (answer.digest, answer.size)).collect();
        let body = |(digest, size): (Digest, u64)| Descriptor::new(BODY_TYPE, digest, size);
        let bodies: Vec<Descriptor> = bodies.into_iter().map(body).collect();
        let manifest = Manifest {
            artifact_type: Some(ARTIFACT_TYPE.into()),
            subject: Some(Descriptor::new(
                subject.media_type.clone(),
                subject.digest,
                subject.size,
            )),
            ..Manifest::image(Descriptor::of(LISTING_TYPE, &listing), bodies.clone())
        };
        let manifest = serde_json::to_vec(&manifest)?;
        let mut entry = Descriptor::of(media_type::MANIFEST, &manifest);
        entry.artifact_type = Some(ARTIFACT_TYPE.into());
        Ok(Self { listing, bodies, manifest, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(url: &str, body: &[u8]) -> StoredAnswer {
        StoredAnswer {
            method: "GET".into(),
            url: url.into(),
            fetched_url: "http://mirror.example/x".into(),
            variant: BTreeMap::new(),
            status: 200,
            headers: vec![("content-type".into(), "text/plain".into())],
            digest: Digest::of(body),
            size: body.len() as u64,
            checked: 77,
        }
    }

    fn material(url: &str, body: &[u8]) -> Material {
        Material {
            sort: Sort::File,
            origin: "p.example".into(),
            mirror: None,
            ecosystem: None,
            name: "x".into(),
            uri: url.into(),
            fetched_from: None,
            method: None,
            status: None,
            line: None,
            digest: Some(Digest::of(body)),
            manifest: None,
            commit: None,
            size: None,
            purl: None,
            verified_by: None,
            incomplete: None,
        }
    }

    #[test]
    fn only_answers_with_the_recorded_bytes_are_taken() {
        let (a, b) = ("http://p.example/a", "http://p.example/b");
        let materials = [material(a, b"1"), material(b, b"2")];
        let known = |_: &str, url: &str| vec![answer(url, b"new"), answer(url, b"1")];
        let Matched { answers, missing } = matched(&materials, known);
        assert_eq!(answers, [StoredAnswer { checked: 0, ..answer(a, b"1") }]);
        assert_eq!(missing, [material(b, b"2")]);
        let gone = StoredAnswer { status: 404, ..answer(a, b"1") };
        assert!(!fits(&material(a, b"1"), &gone));
        assert!(fits(&Material { status: Some(404), ..material(a, b"1") }, &gone));
    }

    #[test]
    fn the_manifest_refers_to_the_image_and_has_each_body_once() {
        let subject = Descriptor::of(media_type::MANIFEST, b"image");
        let same = [answer("http://p.example/a", b"1"), answer("http://p.example/b", b"1")];
        let artifact = Artifact::new(&same, &subject).unwrap();
        let expected = format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""artifactType":"application/vnd.touchmark.materials.v1","#,
                r#""config":{{"mediaType":"application/vnd.touchmark.materials.listing.v1+json","digest":"{listing}","size":{size}}},"#,
                r#""layers":[{{"mediaType":"application/octet-stream","digest":"{body}","size":1}}],"#,
                r#""subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{subject}","size":5}}}}"#
            ),
            listing = Digest::of(&artifact.listing),
            size = artifact.listing.len(),
            body = Digest::of(b"1"),
            subject = subject.digest,
        );
        assert_eq!(String::from_utf8(artifact.manifest.clone()).unwrap(), expected);
        let read: Listing = serde_json::from_slice(&artifact.listing).unwrap();
        assert_eq!(read.answers, same);
    }
}
