//! Who signs, and what is signed: a key in memory, or later a token or a key service, over an envelope.

use crate::{
    envelope::{Envelope, pre_authentication_encoding},
    key::{PrivateKey, PublicKey, SignatureMismatch},
    statement::StatementError,
};

/// Makes ECDSA P-256/SHA-256 signatures.
///
/// Contract: `sign` may be called from several threads and any number of times; every signature must
/// verify with `public_key` (the caller checks each before it uses it); a failure leaves nothing to
/// clean up and may be tried again.
pub trait Signer: Send + Sync {
    /// The key that verifies what this signer signs.
    fn public_key(&self) -> &PublicKey;

    /// The DER ECDSA signature over the SHA-256 of `message`.
    ///
    /// # Errors
    /// When the key cannot be used (a token was pulled, a service did not answer).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key's keeper refused or failed; its words.
    #[error("nothing was signed: {0}")]
    Backend(String),
    /// The signer returned a signature that its own public key refuses: a fault in a device, or the
    /// wrong key. Without this, only the verifier would find out.
    #[error("the signer made a signature that its own public key does not verify")]
    Own(#[from] SignatureMismatch),
    /// The statement cannot be written.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Self::sign(self, message).map_err(|error| SignError::Backend(error.to_string()))
    }
}

impl Envelope {
    /// Signs `payload` as it is: not one byte of it is changed or looked at.
    ///
    /// # Errors
    /// When the signer fails, or returns a signature that its public key does not verify.
    pub fn sign(
        payload: Vec<u8>,
        payload_type: &str,
        signer: &dyn Signer,
    ) -> Result<Self, SignError> {
        let message = pre_authentication_encoding(payload_type, &payload);
        let signature = signer.sign(&message)?;
        signer.public_key().verify(&message, &signature)?;
        Ok(Self::assemble(payload, payload_type, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_random(&[byte; 32]).unwrap()
    }

    #[test]
    fn signing_twice_gives_the_same_envelope() {
        let sign = || Envelope::sign(b"body".to_vec(), "a", &key(1)).unwrap();
        assert_eq!(sign(), sign());
        assert!(sign().verify(key(1).public()).is_ok());
    }

    #[test]
    fn a_signer_that_signs_with_another_key_is_found_out() {
        struct Faulty(PrivateKey, PrivateKey);
        impl Signer for Faulty {
            fn public_key(&self) -> &PublicKey {
                self.0.public()
            }
            fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
                Signer::sign(&self.1, message)
            }
        }
        let fault = Envelope::sign(vec![1], "a", &Faulty(key(1), key(2))).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the signer made a signature that its own public key does not verify"
        );
    }
}
