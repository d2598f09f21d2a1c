//! What hardening says about what it did.

use serde::{Deserialize, Serialize};

use super::Look;
use crate::oci::{config::ImageConfig, descriptor::Descriptor, digest::Digest};

/// What was done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The entry is gone from the layer.
    Removed,
    /// Its mode lost bits.
    ModeChanged,
    /// Its file capabilities are gone.
    CapabilitiesDropped,
    /// Its content is another one (package databases).
    ContentChanged,
    /// A rule applies, an exception of the policy holds.
    Kept,
    /// A command of the configuration was rewritten.
    CommandRewritten,
    /// Nothing was done; somebody should look at it.
    Warned,
}

/// One thing that hardening did or saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Number of the rule, or `policy` for the policy's own `remove`.
    pub rule: String,
    /// Real path with leading slash, or the configuration field.
    pub path: String,
    /// Number of the layer, the lowest is 0; `None` for the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// What was done.
    pub action: Action,
    /// SHA-256 of the content before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Mode before (0o7777).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mode: Option<u32>,
    /// Mode after, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_mode: Option<u32>,
    /// One sentence without a full stop: why.
    pub detail: String,
}

/// A package that is no longer in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExcludedPackage {
    /// `deb` or `apk`, the purl type.
    pub ecosystem: String,
    /// Its name.
    pub name: String,
    /// Its version as the database wrote it.
    pub version: String,
    /// Its architecture as the database wrote it; may be empty.
    pub architecture: String,
    /// Number of the rule that removed its program.
    pub rule: String,
}

/// A hardened image. It follows from the layers, the configuration and the options alone, so it can be
/// kept by their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardened {
    /// The layers, lowest first. Those that needed nothing have their old descriptor.
    pub layers: Vec<Descriptor>,
    /// The configuration with the new `diff_ids` and commands.
    pub config: ImageConfig,
    /// What was done, in the order of layers and paths.
    pub findings: Vec<Finding>,
    /// Packages whose program was removed, and with it all the rest of them.
    pub excluded: Vec<ExcludedPackage>,
    /// What is in the layers now, in this order; those of which something wanted is too large are left out.
    #[serde(skip)]
    pub looks: Vec<Look>,
}
