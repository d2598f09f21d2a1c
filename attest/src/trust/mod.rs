//! What a verifier believes before it looks at any evidence. So far: public keys.

mod public_keys;

pub use public_keys::PublicKeys;

use crate::key::PublicKey;

/// The trust root of one verification. Empty trust believes nobody.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: PublicKeys,
}

impl Trust {
    /// Believes statements signed by any of these keys.
    #[must_use]
    pub fn in_keys(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    /// The believed keys.
    #[must_use]
    pub fn keys(&self) -> &PublicKeys {
        &self.keys
    }
}
