//! First check: a trusted key signed the payload together with its type.

use super::Refusal;
use crate::{bundle::Bundle, key::KeyHint, trust::Trust};

/// Proof that a trusted key signed these bytes with this payload type.
#[derive(Debug)]
pub struct SignedPayload {
    payload: Vec<u8>,
    payload_type: String,
    key: KeyHint,
}

/// Verifies the envelope's signature.
///
/// The bundle's hint is not signed, so it chooses nothing: each trusted key is tried (DSSE protocol.md,
/// "verification"). But an honest hint is right, so a wrong one means that the bundle was changed, and
/// a missing trusted key can be told from an altered payload by it.
///
/// # Errors
/// When no trusted key made the signature, or the bundle names another key than the one that did.
pub fn check(bundle: &Bundle, trust: &Trust) -> Result<SignedPayload, Refusal> {
    if trust.keys().is_empty() {
        return Err(Refusal::NoTrustedKey);
    }
    let envelope = bundle.envelope();
    let signer = trust.keys().iter().find(|key| envelope.verify(key).is_ok());
    let key = match (signer, bundle.hint()) {
        (Some(signer), Some(hint)) if signer.hint().as_str() != hint => {
            return Err(Refusal::HintMismatch { hint: hint.into(), signer: signer.hint() });
        }
        (Some(signer), _) => signer.hint(),
        (None, None) => return Err(Refusal::UnknownSigner),
        (None, Some(hint)) => {
            return Err(match trust.keys().named(hint) {
                Some(key) => Refusal::Altered { key: key.hint() },
                None => Refusal::AnotherKey { hint: hint.into() },
            });
        }
    };
    let payload_type = envelope.payload_type().to_owned();
    Ok(SignedPayload { payload: envelope.payload().to_vec(), payload_type, key })
}

impl SignedPayload {
    /// The payload type that was signed.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    pub(super) fn into_parts(self) -> (Vec<u8>, KeyHint) {
        (self.payload, self.key)
    }
}
