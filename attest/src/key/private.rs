//! Private keys: what a signer holds in memory.

use std::fmt;

use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer as _},
    elliptic_curve::zeroize::Zeroizing,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, SecretDocument, der::pem},
};

use super::{KeyError, MAX_KEY_FILE, Password, PublicKey, SealRandom, sealed};

const PLAIN_LABEL: &str = "PRIVATE KEY";

/// An ECDSA P-256 private key; cleared from memory when dropped, never shown.
pub struct PrivateKey {
    key: SigningKey,
    public: PublicKey,
}

impl PrivateKey {
    /// The key whose secret number is `random`. The caller draws the bytes from the system.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the number is zero or not below the curve's order: draw again.
    pub fn from_random(random: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_slice(random).map_err(|_| KeyError::Random)?)
    }

    /// Reads a key file: cosign's encrypted form (either header), or an unencrypted PKCS#8
    /// `PRIVATE KEY` (RFC 5958), for which the password is not looked at.
    ///
    /// # Errors
    /// [`KeyError::PasswordNeeded`], [`KeyError::WrongPassword`], or what is wrong with the file.
    pub fn from_pem(text: &str, password: Option<&Password>) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_FILE {
            return Err(KeyError::TooLarge { bytes: text.len() });
        }
        let (label, body) =
            pem::decode_vec(text.trim_end().as_bytes()).map_err(|_| KeyError::NotPem)?;
        let body = Zeroizing::new(body);
        if label == PLAIN_LABEL {
            return Self::from_pkcs8(&body);
        }
        if !sealed::LABELS.contains(&label) {
            let wanted = "a private key ('ENCRYPTED SIGSTORE PRIVATE KEY' or 'PRIVATE KEY')";
            return Err(KeyError::Label { found: label.into(), wanted });
        }
        Self::from_pkcs8(&sealed::open(&body, password.ok_or(KeyError::PasswordNeeded)?)?)
    }

    /// The encrypted key file, as cosign writes it. `random` must be fresh for each file.
    ///
    /// # Errors
    /// Only in theory: every key that was made can be written.
    pub fn to_sealed_pem(
        &self,
        password: &Password,
        random: &SealRandom,
    ) -> Result<String, KeyError> {
        sealed::seal(self.to_pkcs8()?.as_bytes(), password, random)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The DER ECDSA signature over the SHA-256 of `message`. RFC 6979: the nonce comes from the key and
    /// the message, so signing needs no randomness and the same message has the same signature.
    ///
    /// # Errors
    /// [`KeyError::Sign`], only in theory.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: DerSignature = self.key.try_sign(message).map_err(|_| KeyError::Sign)?;
        Ok(signature.as_bytes().to_vec())
    }

    pub(super) fn to_pkcs8(&self) -> Result<SecretDocument, KeyError> {
        self.key.to_pkcs8_der().map_err(|_| KeyError::Write)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_pkcs8_der(der).map_err(|_| KeyError::Algorithm)?)
    }

    fn new(key: SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::new(*key.verifying_key())?;
        Ok(Self { key, public })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(hidden, public {})", self.public.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::from_random(&[7; 32]).unwrap()
    }

    #[test]
    fn a_signature_verifies_with_its_own_key_and_bytes_only() {
        let signature = key().sign(b"message").unwrap();
        assert_eq!(signature, key().sign(b"message").unwrap());
        assert!(key().public().verify(b"message", &signature).is_ok());
        assert!(key().public().verify(b"massage", &signature).is_err());
        let other = PrivateKey::from_random(&[8; 32]).unwrap();
        assert!(other.public().verify(b"message", &signature).is_err());
        assert!(key().public().verify(b"message", &[&signature[..], b"x"].concat()).is_err());
    }

    #[test]
    fn random_bytes_outside_the_field_are_refused() {
        assert_eq!(PrivateKey::from_random(&[0; 32]).unwrap_err(), KeyError::Random);
        assert_eq!(PrivateKey::from_random(&[255; 32]).unwrap_err(), KeyError::Random);
    }

    #[test]
    fn a_plain_pkcs8_file_is_read() {
        let pem = key().to_pkcs8().unwrap().to_pem(PLAIN_LABEL, Default::default()).unwrap();
        assert_eq!(PrivateKey::from_pem(&pem, None).unwrap().public(), key().public());
        assert_eq!(
            format!("{:?}", key()),
            format!("PrivateKey(hidden, public {})", key().public.hint())
        );
    }

    #[test]
    fn other_key_files_are_refused_with_their_reason() {
        let sec1 = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        assert_eq!(
            PrivateKey::from_pem(sec1, None).unwrap_err().to_string(),
            "the file holds a 'EC PRIVATE KEY', where a private key ('ENCRYPTED SIGSTORE PRIVATE KEY' or 'PRIVATE KEY') is wanted"
        );
        let junk = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(PrivateKey::from_pem(junk, None).unwrap_err(), KeyError::Algorithm);
    }
}
