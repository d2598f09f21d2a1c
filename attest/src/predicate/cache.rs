//! A shared build cache: who wrote it, when, and from what kind of build. The subject is the cache's
//! manifest, which names every layer and the index of results by digest.
//!
//! ```json
//! {"builder":{"id":"https://…","version":{"touchmark":"0.1.0"}},"createdOn":"2026-01-31T12:00:00Z",
//!  "epoch":0,"mode":"max","platforms":["linux/amd64"],"policyDigest":"sha256:…",
//!  "invocationId":"urn:…","steps":12,"layers":9}
//! ```

use serde::{Deserialize, Serialize};

use super::{Timestamp, slsa::Builder};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://touchmark.dev/cache/v1";

/// The predicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedCache {
    /// Who ran the steps.
    pub builder: Builder,
    /// When the cache was written.
    pub created_on: Timestamp,
    /// SOURCE_DATE_EPOCH of the build, in seconds.
    pub epoch: i64,
    /// Which steps are in it.
    pub mode: CacheMode,
    /// `os/architecture[/variant]` of the build, each once.
    pub platforms: Vec<String>,
    /// The policy file's bytes (`sha256:…`), where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<String>,
    /// Names the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub invocation_id: String,
    /// Results of steps that are in it.
    pub steps: u64,
    /// Layers that are in it.
    pub layers: u64,
}

/// Which steps a cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// Those whose layers are in the image.
    #[default]
    Min,
    /// Those of all stages.
    Max,
}

impl CacheMode {
    /// Its name in predicates and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cache_always_gives_the_same_bytes() {
        let json = concat!(
            r#"{"builder":{"id":"https://b.example"},"createdOn":"2026-01-31T12:00:00Z","epoch":0,"#,
            r#""mode":"max","platforms":["linux/amd64"],"policyDigest":"sha256:ab","#,
            r#""invocationId":"urn:x","steps":12,"layers":9}"#
        );
        let read: SharedCache = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert_eq!(read.mode.as_str(), "max");
    }
}
