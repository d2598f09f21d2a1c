//! DSSE v1 (secure-systems-lab/dsse, envelope.md and protocol.md): bytes, the type that they claim, and
//! a signature over both. This file never looks into the payload.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    excerpt::Excerpt,
    key::{PublicKey, SignatureMismatch},
};

/// Signed bytes with exactly one signature. A bundle has one verification material, so a second
/// signature would be one that nobody checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    payload_type: String,
    signature: Vec<u8>,
}

/// Why a JSON envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// A required part is missing.
    #[error("the envelope has no {0}")]
    Absent(&'static str),
    /// A part is not standard base64 with padding (RFC 4648, section 4).
    #[error("the envelope's {0} is not base64")]
    Base64(&'static str),
    /// Not exactly one signature.
    #[error("the envelope has {count} signatures, where exactly one is wanted")]
    Signatures {
        /// How many there are.
        count: usize,
    },
    /// A key id: an unsigned second name beside the bundle's own hint. cosign refuses it too.
    #[error("the envelope's signature names a key id ('{}'), which a bundle must not", Excerpt(.0))]
    KeyId(String),
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvelopeJson {
    #[serde(default)]
    payload: Option<String>,
    #[serde(default)]
    payload_type: Option<String>,
    #[serde(default)]
    signatures: Option<Vec<SignatureJson>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureJson {
    #[serde(default)]
    sig: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

impl Envelope {
    /// Puts together what was just signed and checked; signing itself is [`crate::sign`]'s.
    pub(crate) fn assemble(payload: Vec<u8>, payload_type: &str, signature: Vec<u8>) -> Self {
        Self { payload, payload_type: payload_type.into(), signature }
    }

    /// Checks the signature over payload and payload type.
    ///
    /// # Errors
    /// When another key made it, or over other bytes.
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureMismatch> {
        let message = pre_authentication_encoding(&self.payload_type, &self.payload);
        key.verify(&message, &self.signature)
    }

    /// The type that the payload claims, unverified until [`Envelope::verify`] says so.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload. Private to the crate: outside, a payload is had through [`crate::verify`].
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn to_wire(&self) -> EnvelopeJson {
        let signature = SignatureJson { sig: Some(STANDARD.encode(&self.signature)), keyid: None };
        EnvelopeJson {
            payload: Some(STANDARD.encode(&self.payload)),
            payload_type: Some(self.payload_type.clone()),
            signatures: Some(vec![signature]),
        }
    }

    pub(crate) fn from_wire(wire: EnvelopeJson) -> Result<Self, EnvelopeError> {
        let payload = required(wire.payload, "payload")?;
        let payload_type = required(wire.payload_type, "payloadType")?;
        let signatures = wire.signatures.ok_or(EnvelopeError::Absent("signatures"))?;
        let [signature] = <[SignatureJson; 1]>::try_from(signatures)
            .map_err(|all| EnvelopeError::Signatures { count: all.len() })?;
        if let Some(id) = signature.keyid.filter(|id| !id.is_empty()) {
            return Err(EnvelopeError::KeyId(id));
        }
        let signature = required(signature.sig, "signature")?;
        let decode = |text, part| STANDARD.decode(text).map_err(|_| EnvelopeError::Base64(part));
        Ok(Self {
            payload: decode(payload, "payload")?,
            payload_type,
            signature: decode(signature, "signature")?,
        })
    }
}

fn required(text: Option<String>, part: &'static str) -> Result<String, EnvelopeError> {
    text.filter(|text| !text.is_empty()).ok_or(EnvelopeError::Absent(part))
}

/// protocol.md: `PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`. The lengths
/// keep one pair of type and body from being read as another.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_random(&[byte; 32]).unwrap()
    }

    #[test]
    fn the_encoding_is_the_one_of_the_standards_example() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(pre_authentication_encoding("é", b""), "DSSEv1 2 é 0 ".as_bytes());
    }

    #[test]
    fn payload_and_type_are_both_signed() {
        let signature = key(1).sign(b"DSSEv1 1 a 4 body").unwrap();
        let envelope = Envelope::assemble(b"body".to_vec(), "a", signature);
        assert!(envelope.verify(key(1).public()).is_ok());
        assert!(envelope.verify(key(2).public()).is_err());
        let altered = |edit: &dyn Fn(&mut Envelope)| {
            let mut other = envelope.clone();
            edit(&mut other);
            other.verify(key(1).public())
        };
        assert_eq!(altered(&|e| e.payload[0] ^= 1), Err(SignatureMismatch));
        assert_eq!(altered(&|e| e.payload_type.push('b')), Err(SignatureMismatch));
        assert_eq!(altered(&|e| e.signature.clear()), Err(SignatureMismatch));
    }
}
