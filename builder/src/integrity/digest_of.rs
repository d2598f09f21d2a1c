//! The hashes that indexes state.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};

/// How a hash was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-1, which Maven and old npm packages have. It names a file, but a patient attacker can make two with one.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// Go's hash over the names and contents of the files of an archive.
    GoZip,
    /// Go's hash over a single `go.mod`.
    GoMod,
}

/// One hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash {
    /// How it was made.
    pub algorithm: Algorithm,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Algorithm {
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 | Self::GoZip | Self::GoMod => 32,
            Self::Sha512 => 64,
        }
    }

    /// Its name in notes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::GoZip | Self::GoMod => "h1",
        }
    }
}

impl Hash {
    /// A hash of these bytes, if they are as many as it has.
    #[must_use]
    pub fn new(algorithm: Algorithm, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == algorithm.len()).then_some(Self { algorithm, bytes })
    }

    /// From hexadecimal digits.
    #[must_use]
    pub fn hex(algorithm: Algorithm, digits: &str) -> Option<Self> {
        Self::new(algorithm, hex::decode(digits.trim()).ok()?)
    }

    /// From base64.
    #[must_use]
    pub fn base64(algorithm: Algorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, BASE64_STANDARD.decode(text.trim()).ok()?)
    }

    /// The strongest known one of W3C's Subresource Integrity: `sha512-… sha1-…`.
    #[must_use]
    pub fn sri(text: &str) -> Option<Self> {
        let known = text.split_ascii_whitespace().filter_map(|word| {
            let (name, rest) = word.split_once('-')?;
            let algorithm = match name {
                "sha1" => Algorithm::Sha1,
                "sha256" => Algorithm::Sha256,
                "sha512" => Algorithm::Sha512,
                _ => return None,
            };
            Self::base64(algorithm, rest.split('?').next()?)
        });
        known.max_by_key(|hash| hash.algorithm)
    }
}

impl fmt::Display for Hash {
    /// As Go and everybody else write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.algorithm {
            Algorithm::GoZip | Algorithm::GoMod => BASE64_STANDARD.encode(&self.bytes),
            _ => hex::encode(&self.bytes),
        };
        write!(f, "{}:{text}", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_in_each_writing_and_the_strongest_counts() {
        let sha1 = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
        let text = format!("md5-xx {} sha1-{sha1}?x", "sha512-AAAA");
        assert_eq!(
            Hash::sri(&text).unwrap().to_string(),
            "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
        let long = format!("sha1-{sha1} sha512-{}", BASE64_STANDARD.encode([7; 64]));
        assert_eq!(Hash::sri(&long).unwrap().algorithm, Algorithm::Sha512);
        assert_eq!(Hash::sri("sha512-"), None);
        assert_eq!(Hash::hex(Algorithm::Sha256, "00"), None);
        assert_eq!(Hash::hex(Algorithm::Sha1, "zz"), None);
        let go = Hash::new(Algorithm::GoZip, vec![0; 32]).unwrap();
        assert_eq!(go.to_string(), "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    }
}
