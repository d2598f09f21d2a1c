//! Digests by algorithm (in-toto attestation, spec/v1/digest_set.md): the one thing that ties a
//! statement to an artifact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::excerpt::Excerpt;

/// The algorithms that this crate believes, each with its number of hex digits. `gitCommit` and
/// `gitTree` name git objects (SHA-1 or SHA-256). MD5 and bare SHA-1 are carried but prove nothing.
const KNOWN: [(&str, &[usize]); 5] = [
    ("gitCommit", &[40, 64]),
    ("gitTree", &[40, 64]),
    ("sha256", &[64]),
    ("sha384", &[96]),
    ("sha512", &[128]),
];

/// A map from algorithm to digest, sorted by algorithm, never with a malformed digest of a known one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct DigestSet(BTreeMap<String, String>);

/// A digest that its algorithm cannot have made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a {} digest in lower-case hex", Excerpt(.digest), Excerpt(.algorithm))]
pub struct DigestSetError {
    algorithm: String,
    digest: String,
}

impl DigestSet {
    /// One SHA-256 digest, given as its 64 lower-case hex digits.
    ///
    /// # Errors
    /// When `hex` is anything else.
    pub fn sha256(hex: &str) -> Result<Self, DigestSetError> {
        let mut set = Self::default();
        set.insert("sha256", hex)?;
        Ok(set)
    }

    /// As [`DigestSet::sha256`], of a digest that its owner has checked before.
    pub(crate) fn checked_sha256(hex: &str) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), hex.to_owned())]))
    }

    /// Adds or replaces the digest of one algorithm.
    ///
    /// # Errors
    /// When the algorithm is known and `digest` has not its length or is not lower-case hex, or when
    /// either is empty.
    pub fn insert(&mut self, algorithm: &str, digest: &str) -> Result<(), DigestSetError> {
        if !well_formed(algorithm, digest) {
            return Err(DigestSetError { algorithm: algorithm.into(), digest: digest.into() });
        }
        self.0.insert(algorithm.into(), digest.into());
        Ok(())
    }

    /// The digest of one algorithm.
    #[must_use]
    pub fn get(&self, algorithm: &str) -> Option<&str> {
        self.0.get(algorithm).map(String::as_str)
    }

    /// Pairs of algorithm and digest, sorted by algorithm.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(algorithm, digest)| (algorithm.as_str(), digest.as_str()))
    }

    /// Whether there is a digest that can identify content, that is one of a known algorithm.
    #[must_use]
    pub fn identifies(&self) -> bool {
        self.0.keys().any(|algorithm| known(algorithm).is_some())
    }

    /// Whether both sets name the same content: they share at least one known algorithm, and agree on
    /// every algorithm that they share. Two empty sets do not match.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let shared =
            || self.0.iter().filter_map(|(name, ours)| Some((name, ours, other.get(name)?)));
        shared().any(|(name, ..)| known(name).is_some()) && shared().all(|(_, a, b)| a == b)
    }
}

impl TryFrom<BTreeMap<String, String>> for DigestSet {
    type Error = DigestSetError;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, DigestSetError> {
        let mut set = Self::default();
        map.iter().try_for_each(|(algorithm, digest)| set.insert(algorithm, digest))?;
        Ok(set)
    }
}

fn known(algorithm: &str) -> Option<&'static [usize]> {
    KNOWN.iter().find(|(name, _)| *name == algorithm).map(|(_, lengths)| *lengths)
}

fn well_formed(algorithm: &str, digest: &str) -> bool {
    let lower_hex = || digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match known(algorithm) {
        Some(lengths) => lengths.contains(&digest.len()) && lower_hex(),
        None => !algorithm.is_empty() && !digest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(entries: &[(&str, &str)]) -> DigestSet {
        let mut set = DigestSet::default();
        entries.iter().for_each(|(algorithm, digest)| set.insert(algorithm, digest).unwrap());
        set
    }

    #[test]
    fn matching_needs_a_known_shared_algorithm_and_no_contradiction() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let only = set(&[("sha256", &a)]);
        assert!(only.matches(&set(&[("sha256", &a), ("md5", "1")])));
        assert!(!only.matches(&set(&[("sha256", &b)])));
        assert!(!only.matches(&set(&[("sha512", &a.repeat(2))])));
        assert!(!set(&[("md5", "1")]).matches(&set(&[("md5", "1")])));
        assert!(
            !set(&[("sha256", &a), ("md5", "1")]).matches(&set(&[("sha256", &a), ("md5", "2")]))
        );
        assert!(!DigestSet::default().matches(&DigestSet::default()));
    }

    #[test]
    fn malformed_digests_of_known_algorithms_are_refused() {
        for hex in ["", "ab", &"A".repeat(64), &"g".repeat(64), &"a".repeat(65)] {
            assert!(DigestSet::sha256(hex).is_err(), "{hex}");
        }
        let fault = serde_json::from_str::<DigestSet>(r#"{"sha256":"ab"}"#).unwrap_err();
        assert_eq!(fault.to_string(), "'ab' is not a sha256 digest in lower-case hex");
    }

    #[test]
    fn written_sorted_whatever_the_order_of_insertion() {
        let json = serde_json::to_string(&set(&[("x", "2"), ("md5", "1")])).unwrap();
        assert_eq!(json, r#"{"md5":"1","x":"2"}"#);
        assert!(set(&[("gitCommit", &"a".repeat(40))]).identifies());
        assert!(!set(&[("sha1", &"a".repeat(40))]).identifies());
    }
}
