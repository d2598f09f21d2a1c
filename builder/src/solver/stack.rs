//! What a stack of layers is, for those who list what takes up space.

use serde::{Deserialize, Serialize};

use super::key::chain_id;
use crate::{
    content::{index::Table, records::Records},
    oci::digest::Digest,
};

/// A stack of layers by what its top layer is. It is kept under the stack's chain id, and its time of use is
/// the stack's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The top layer.
    pub layer: Digest,
    /// The instruction that made it, or the image that it is of.
    pub about: String,
    /// It is of an image that a registry has.
    pub base: bool,
}

/// An instruction may be as long as a file; this much tells which one it is.
const MAX_TEXT: usize = 200;

impl Stack {
    /// Keeps what the stack `chain` is, beside other `records`.
    pub(super) fn note(records: &Records, chain: &[Digest], about: &str, base: bool) {
        let (Some(layer), Some(id)) = (chain.last(), chain_id(chain)) else { return };
        let about = about.chars().take(MAX_TEXT).collect();
        // Without it the stack is listed without a name.
        let _ = records.of(Table::Stacks).put(&id, &Self { layer: *layer, about, base });
    }
}
