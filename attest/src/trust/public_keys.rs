//! A set of public keys.

use std::collections::BTreeMap;

use crate::key::{KeyHint, PublicKey};

/// Public keys by their hint, each once.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(BTreeMap<KeyHint, PublicKey>);

impl PublicKeys {
    /// The key that a bundle's hint names.
    #[must_use]
    pub fn named(&self, hint: &str) -> Option<&PublicKey> {
        self.0.iter().find(|(name, _)| name.as_str() == hint).map(|(_, key)| key)
    }

    /// All keys, in the order of their hints.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.values()
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<PublicKey> for PublicKeys {
    fn from_iter<T: IntoIterator<Item = PublicKey>>(keys: T) -> Self {
        Self(keys.into_iter().map(|key| (key.hint(), key)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;

    #[test]
    fn a_key_is_held_once_and_found_by_its_hint() {
        let key = PrivateKey::from_random(&[1; 32]).unwrap().public().clone();
        let keys: PublicKeys = [key.clone(), key.clone()].into_iter().collect();
        assert_eq!(keys.iter().count(), 1);
        assert_eq!(keys.named(key.hint().as_str()), Some(&key));
        assert_eq!(keys.named(""), None);
    }
}
