//! The first difference between two images.

use std::fmt;

use serde::Serialize;

use crate::oci::digest::Digest;

/// What differs, `old` in the first image and `new` in the second one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "where", rename_all = "kebab-case")]
pub enum Difference {
    /// A field of a document, `config.Env[1]`; an absent one is empty.
    Field {
        /// `configuration` or `manifest`.
        document: &'static str,
        /// Which field.
        field: String,
        /// JSON.
        old: String,
        /// JSON.
        new: String,
    },
    /// One image has more layers.
    LayerCount {
        /// How many the first one has.
        old: usize,
        /// How many the second one has.
        new: usize,
    },
    /// Something in a layer.
    Layer {
        /// Which one, counted from 1, lowest first.
        layer: usize,
        /// The path in the layer.
        path: String,
        /// What of it.
        #[serde(flatten)]
        what: EntryDifference,
    },
    /// The layers hold the same, but were compressed otherwise.
    Compression {
        /// Which one, counted from 1.
        layer: usize,
        /// The first blob.
        old: Digest,
        /// The second one.
        new: Digest,
    },
    /// The layers' entries are the same, but not the archive's bytes around them.
    Archive {
        /// Which one, counted from 1.
        layer: usize,
        /// The first archive.
        old: Digest,
        /// The second one.
        new: Digest,
    },
}

/// What differs about an entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum EntryDifference {
    /// Only the first layer has it at this place.
    OnlyOld,
    /// Only the second layer has it at this place.
    OnlyNew,
    /// A field of its header: `mode`, `uid`, `mtime`, …
    Header {
        /// Which.
        field: String,
        /// In the first one.
        old: String,
        /// In the second one.
        new: String,
    },
    /// A byte of its contents.
    Byte {
        /// Counted from 0.
        offset: u64,
        /// In the first one.
        old: u8,
        /// In the second one.
        new: u8,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { document, field, old, new } => {
                write!(f, "{document}, field {field}: {} became {}", shown(old), shown(new))
            }
            Self::LayerCount { old, new } => write!(f, "{old} layers became {new}"),
            Self::Layer { layer, path, what } => write!(f, "layer {layer}, {path}: {what}"),
            Self::Compression { layer, old, new } => write!(
                f,
                "layer {layer}: the contents are the same, compressed otherwise: {old} became {new}"
            ),
            Self::Archive { layer, old, new } => write!(
                f,
                "layer {layer}: the entries are the same, but not the archive around them: {old} became {new}"
            ),
        }
    }
}

impl fmt::Display for EntryDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyOld => f.write_str("it is no longer there"),
            Self::OnlyNew => f.write_str("it was not there"),
            Self::Header { field, old, new } => write!(f, "{field}: {old} became {new}"),
            Self::Byte { offset, old, new } => {
                write!(f, "byte {offset}: 0x{old:02x} became 0x{new:02x}")
            }
        }
    }
}

fn shown(json: &str) -> &str {
    if json.is_empty() { "nothing" } else { json }
}
