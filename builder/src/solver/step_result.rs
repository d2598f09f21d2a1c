//! What a step produced, as far as a later build needs it; kept under the step's cache key.

use serde::{Deserialize, Serialize};

use crate::{egress::RequestRecord, oci::digest::Digest};

/// A step's result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The layer it added, by the digest of its uncompressed tar; none where nothing changed.
    pub layer: Option<Digest>,
    /// What it fetched. It belongs to the result, so that a cache hit still lists it.
    pub requests: Vec<RequestRecord>,
    /// The ids of the caches that it could read; nobody recorded what was in them.
    #[serde(default)]
    pub caches: Vec<String>,
    /// The rights that it had beyond those of every step (`--allow`), by name.
    #[serde(default)]
    pub entitlements: Vec<String>,
}
