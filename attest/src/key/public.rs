//! Public keys: what a verifier trusts.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{Signature, VerifyingKey, signature::Verifier as _},
    pkcs8::{
        DecodePublicKey as _, EncodePublicKey as _,
        der::pem::{self, LineEnding},
    },
};
use sha2::{Digest as _, Sha256};

use super::{KeyError, MAX_KEY_FILE};

const LABEL: &str = "PUBLIC KEY";

/// How a bundle names a key: base64 of the SHA-256 of its DER SubjectPublicKeyInfo, as cosign does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHint(String);

impl KeyHint {
    /// The base64 text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ECDSA P-256 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    der: Vec<u8>,
}

/// The signature was not made with this key over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the key and the signed bytes")]
pub struct SignatureMismatch;

impl PublicKey {
    pub(super) fn new(key: VerifyingKey) -> Result<Self, KeyError> {
        let der = key.to_public_key_der().map_err(|_| KeyError::Write)?.into_vec();
        Ok(Self { key, der })
    }

    /// Reads a PEM `PUBLIC KEY` (SubjectPublicKeyInfo, RFC 5280 section 4.1).
    ///
    /// # Errors
    /// When it is something else, or not a P-256 key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_FILE {
            return Err(KeyError::TooLarge { bytes: text.len() });
        }
        let (label, der) =
            pem::decode_vec(text.trim_end().as_bytes()).map_err(|_| KeyError::NotPem)?;
        if label != LABEL {
            let wanted = "a public key ('PUBLIC KEY')";
            return Err(KeyError::Label { found: label.into(), wanted });
        }
        Self::from_der(&der)
    }

    /// Reads a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is not one of a P-256 key.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::new(VerifyingKey::from_public_key_der(der).map_err(|_| KeyError::Algorithm)?)
    }

    /// The PEM form, byte for byte what `cosign public-key` prints.
    ///
    /// # Errors
    /// Only in theory: a key that was read can be written.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        pem::encode_string(LABEL, LineEnding::LF, &self.der).map_err(|_| KeyError::Write)
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// How a bundle names this key.
    #[must_use]
    pub fn hint(&self) -> KeyHint {
        KeyHint(STANDARD.encode(Sha256::digest(&self.der)))
    }

    /// Checks a DER ECDSA signature over the SHA-256 of `message`.
    ///
    /// # Errors
    /// When the signature is malformed or was made by another key or over other bytes.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        let signature = Signature::from_der(signature).map_err(|_| SignatureMismatch)?;
        self.key.verify(message, &signature).map_err(|_| SignatureMismatch)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by cosign 3.1.1, with the hint that its bundles carry for it.
    const PEM: &str = include_str!("../../golden/cosign/cosign.pub");
    const HINT: &str = "Oz1xIWkJQAsf+cRtq/KCVCJRCL+d3M2TUJwdjpcNINg=";

    #[test]
    fn the_hint_is_cosigns() {
        let key = PublicKey::from_pem(PEM).unwrap();
        assert_eq!(key.hint().as_str(), HINT);
        assert_eq!(key.to_pem().unwrap(), PEM);
        let edited = PublicKey::from_pem(&format!("{PEM}\n \n"));
        assert_eq!(edited.unwrap(), key, "blank lines at the end are an editor's");
        assert_eq!(format!("{key:?}"), format!("PublicKey({HINT})"));
    }

    #[test]
    fn what_is_not_a_p256_public_key_is_refused_with_its_reason() {
        let reason = |text: &str| PublicKey::from_pem(text).unwrap_err().to_string();
        assert_eq!(reason("hello"), "this is not a PEM file; a key file starts with '-----BEGIN'");
        assert_eq!(
            reason(include_str!("../../golden/cosign/cosign.key")),
            "the file holds a 'ENCRYPTED SIGSTORE PRIVATE KEY', where a public key ('PUBLIC KEY') is wanted"
        );
        // RFC 8410, section 10.1: an Ed25519 key.
        let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(
            reason(ed25519),
            "the key is not an ECDSA key on the curve P-256; make one with 'touchmark key generate'"
        );
        assert_eq!(
            reason(&"x".repeat(MAX_KEY_FILE + 1)),
            "the key file has 65537 bytes; a key file has at most 65536"
        );
    }
}
