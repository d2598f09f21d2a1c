//! The image that is asked about: the SHA-256 of its manifest's bytes.

use std::{fmt, str::FromStr};

use crate::{digest_set::DigestSet, excerpt::Excerpt};

/// The SHA-256 digest of an image manifest or index, displayed as `sha256:<64 lower-case hex digits>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageDigest(String);

/// Why a text is not an image digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not an image digest of the form sha256:<64 hex digits>", Excerpt(.0))]
pub struct ImageDigestError(String);

impl ImageDigest {
    /// The 64 hex digits without the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// The digest set of a subject that names this image.
    #[must_use]
    pub fn digests(&self) -> DigestSet {
        DigestSet::checked_sha256(&self.0)
    }

    /// Whether `digests` name this image: their `sha256` entry is this digest. No other algorithm
    /// counts, because a registry names an image by SHA-256 only.
    #[must_use]
    pub fn is_named_by(&self, digests: &DigestSet) -> bool {
        digests.get("sha256") == Some(self.hex())
    }
}

impl FromStr for ImageDigest {
    type Err = ImageDigestError;

    /// Reads `sha256:<hex>` or the bare hex digits.
    fn from_str(text: &str) -> Result<Self, ImageDigestError> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        DigestSet::sha256(hex).map_err(|_| ImageDigestError(text.into()))?;
        Ok(Self(hex.into()))
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let hex = "0123456789abcdef".repeat(4);
        let image: ImageDigest = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(image, hex.parse().unwrap());
        assert!(image.is_named_by(&DigestSet::sha256(&hex).unwrap()));
        for text in ["", "sha256:", &format!("sha512:{hex}"), &hex.to_uppercase(), "latest"] {
            assert!(text.parse::<ImageDigest>().is_err(), "{text}");
        }
    }
}
