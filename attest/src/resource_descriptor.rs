//! A thing that went into or came out of a build (in-toto attestation, spec/v1/resource_descriptor.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest_set::DigestSet;

/// One resource. At least one of `uri` and `digest` should be there; a verifier asks for a digest, or
/// for the annotation [`INCOMPLETE`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceDescriptor {
    /// What it is called among its fellows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which resource it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Its content.
    #[serde(skip_serializing_if = "no_digest")]
    pub digest: DigestSet,
    /// Where it was really fetched, when that is not its `uri` (a mirror).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub download_location: String,
    /// The kind of content.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// Anything else, sorted by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// The annotation of a resource whose digest could not be had (a tunnelled connection, say). Its value
/// is the reason, in words. It is there so that a gap is said, not hidden.
pub const INCOMPLETE: &str = "https://touchmark.dev/annotation/incomplete";

impl ResourceDescriptor {
    /// Why the digest is missing, when the resource says so.
    #[must_use]
    pub fn incomplete(&self) -> Option<&str> {
        self.annotations.get(INCOMPLETE)?.as_str().filter(|reason| !reason.trim().is_empty())
    }
}

fn no_digest(digest: &DigestSet) -> bool {
    digest.iter().next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_parts_are_not_written() {
        let bare = ResourceDescriptor { uri: "pkg:deb/hello".into(), ..Default::default() };
        let json = serde_json::to_string(&bare).unwrap();
        assert_eq!(json, r#"{"uri":"pkg:deb/hello"}"#);
        assert_eq!(serde_json::from_str::<ResourceDescriptor>(&json).unwrap(), bare);
    }

    #[test]
    fn incomplete_needs_a_reason() {
        let with = |value: Value| ResourceDescriptor {
            annotations: BTreeMap::from([(INCOMPLETE.to_owned(), value)]),
            ..Default::default()
        };
        assert_eq!(with("tunnelled".into()).incomplete(), Some("tunnelled"));
        assert_eq!(with(" ".into()).incomplete(), None);
        assert_eq!(with(true.into()).incomplete(), None);
    }
}
