//! Manifests and indexes as registries serve them: what is it, and does it contradict itself?

use serde::{Deserialize, de::IgnoredAny};

use super::answer::printable;
use crate::oci::{
    descriptor::Descriptor,
    manifest::{Index, Manifest},
    media_type::{self, is_index, is_manifest},
};

/// A manifest or index with the bytes it was read from; the digest in the descriptor is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// The bytes as served.
    pub bytes: Vec<u8>,
    /// The bytes as understood.
    pub document: Document,
}

/// One of the two kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image, or an artifact.
    Manifest(Box<Manifest>),
    /// A list of manifests.
    Index(Index),
}

/// Why bytes are no document: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoDocument {
    /// What is wrong, a clause.
    pub reason: String,
    /// What to do.
    pub help: &'static str,
}

const CHECK_ADDRESS: &str =
    "the address may lead to a web page, or to a proxy's login page, instead of a registry";
const DO_NOT_USE: &str = "two programs could read it as two different images: do not use it, and report it to whoever pushed it";
const PUSH_AGAIN: &str = "push the image again with a current tool";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: String,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Resolved {
    /// Reads a document. `content_type` is what it came with, if anything.
    ///
    /// image-spec 1.1, "mediaType": the field "SHOULD match" the type it was served with, and a
    /// document with the fields of both kinds is to be refused (CVE-2021-41190): a signature over such
    /// bytes would stand for two images.
    ///
    /// # Errors
    /// [`NoDocument`].
    pub fn read(content_type: Option<&str>, bytes: Vec<u8>) -> Result<Self, NoDocument> {
        let served = content_type.map(bare).and_then(|kind| Some((kind, known(kind)?)));
        if let Some((kind, false)) = served {
            return Err(foreign(kind));
        }
        let served = served.map(|(kind, _)| kind);
        let shape: Shape = json(&bytes)?;
        let stated = Some(shape.media_type.as_str()).filter(|kind| !kind.is_empty());
        if let Some(kind) = stated.filter(|kind| known(kind) != Some(true)) {
            return Err(foreign(kind));
        }
        if let (Some(served), Some(stated)) = (served, stated)
            && served != stated
        {
            let reason = format!("it was served as '{served}', but calls itself '{stated}'");
            return Err(NoDocument { reason, help: DO_NOT_USE });
        }
        if shape.fs_layers.is_some() || shape.schema_version != Some(2) {
            let reason = "its schemaVersion is not 2".into();
            return Err(NoDocument { reason, help: PUSH_AGAIN });
        }
        let lists = shape.manifests.is_some();
        if lists && (shape.config.is_some() || shape.layers.is_some()) {
            let reason = "it is both a manifest and an index".into();
            return Err(NoDocument { reason, help: DO_NOT_USE });
        }
        let inferred = if lists { media_type::INDEX } else { media_type::MANIFEST };
        let kind = served.or(stated).unwrap_or(inferred).to_owned();
        let document = match is_index(&kind) {
            true => Document::Index(json(&bytes)?),
            false => Document::Manifest(Box::new(json(&bytes)?)),
        };
        Ok(Self { descriptor: Descriptor::of(kind, &bytes), bytes, document })
    }

    /// The index, where it is one.
    #[must_use]
    pub fn index(&self) -> Option<&Index> {
        if let Document::Index(index) = &self.document { Some(index) } else { None }
    }

    /// The manifest, where it is one.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        if let Document::Manifest(manifest) = &self.document { Some(manifest) } else { None }
    }
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NoDocument> {
    serde_json::from_slice(bytes).map_err(|error| {
        let reason = printable(&format!("its JSON cannot be used: {error}"));
        NoDocument { reason, help: PUSH_AGAIN }
    })
}

fn bare(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Is this one of the four document types? `None`: it says nothing (plain file servers).
fn known(kind: &str) -> Option<bool> {
    match kind {
        "" | "application/json" | "application/octet-stream" | "text/plain" => None,
        kind => Some(is_index(kind) || is_manifest(kind)),
    }
}

fn foreign(kind: &str) -> NoDocument {
    let kind = printable(kind);
    if kind.starts_with("application/vnd.docker.distribution.manifest.v1") {
        let reason =
            format!("it is in Docker's schema 1 form ('{kind}'), which is not in use any more");
        return NoDocument { reason, help: PUSH_AGAIN };
    }
    let reason = format!("its media type '{kind}' is neither that of a manifest nor of an index");
    NoDocument { reason, help: CHECK_ADDRESS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;

    fn manifest(media_type: &str) -> String {
        let descriptor = format!(r#"{{"mediaType":"x","digest":"{}","size":0}}"#, Digest::of(b""));
        format!(
            r#"{{"schemaVersion":2,{media_type}"config":{descriptor},"layers":[{descriptor}]}}"#
        )
    }

    fn read(content_type: Option<&str>, text: &str) -> Result<Resolved, NoDocument> {
        Resolved::read(content_type, text.as_bytes().to_vec())
    }

    #[test]
    fn the_type_comes_from_the_header_the_document_or_its_shape() {
        let kind =
            |content_type, text: &str| read(content_type, text).unwrap().descriptor.media_type;
        let docker = format!(r#""mediaType":"{}","#, media_type::DOCKER_MANIFEST);
        assert_eq!(kind(Some(media_type::MANIFEST), &manifest("")), media_type::MANIFEST);
        assert_eq!(
            kind(Some("application/json; charset=utf-8"), &manifest("")),
            media_type::MANIFEST
        );
        assert_eq!(kind(None, &manifest(&docker)), media_type::DOCKER_MANIFEST);
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(kind(None, index), media_type::INDEX);
        assert!(read(None, index).unwrap().index().is_some());
        let served = read(None, &manifest("")).unwrap();
        assert_eq!(served.descriptor.digest, Digest::of(&served.bytes));
        assert_eq!(served.manifest().unwrap().layers.len(), 1);
    }

    #[test]
    fn what_is_no_document_says_so() {
        let reason = |content_type, text: &str| read(content_type, text).unwrap_err().reason;
        let oci = format!(r#""mediaType":"{}","#, media_type::MANIFEST);
        assert_eq!(
            reason(Some("text/html; charset=utf-8"), "<html>"),
            "its media type 'text/html' is neither that of a manifest nor of an index"
        );
        assert_eq!(
            reason(Some("application/vnd.docker.distribution.manifest.v1+prettyjws"), "{}"),
            "it is in Docker's schema 1 form \
             ('application/vnd.docker.distribution.manifest.v1+prettyjws'), which is not in use any more"
        );
        assert_eq!(
            reason(Some(media_type::INDEX), &manifest(&oci)),
            "it was served as 'application/vnd.oci.image.index.v1+json', but calls itself \
             'application/vnd.oci.image.manifest.v1+json'"
        );
        let both = manifest(r#""manifests":[],"#);
        assert_eq!(reason(Some(media_type::INDEX), &both), "it is both a manifest and an index");
        assert_eq!(reason(None, r#"{"schemaVersion":1}"#), "its schemaVersion is not 2");
        assert_eq!(
            reason(Some(media_type::MANIFEST), r#"{"schemaVersion":2,"manifests":[]}"#),
            "its JSON cannot be used: missing field `config` at line 1 column 34"
        );
        assert_eq!(
            reason(None, "not json"),
            "its JSON cannot be used: expected ident at line 1 column 2"
        );
    }
}
