//! Second check: the signed bytes were signed **as** an in-toto statement. A key may sign other things;
//! none of them may be read as a statement because they happen to look like one.

use super::{Refusal, signature::SignedPayload};
use crate::{key::KeyHint, statement::PAYLOAD_TYPE};

/// Proof that these bytes were signed as an in-toto statement.
#[derive(Debug)]
pub struct InTotoPayload {
    payload: Vec<u8>,
    key: KeyHint,
}

/// in-toto attestation, spec/v1/envelope.md: `payloadType` is `application/vnd.in-toto+json`.
///
/// # Errors
/// When it is anything else.
pub fn check(signed: SignedPayload) -> Result<InTotoPayload, Refusal> {
    if signed.payload_type() != PAYLOAD_TYPE {
        return Err(Refusal::PayloadType { found: signed.payload_type().into() });
    }
    let (payload, key) = signed.into_parts();
    Ok(InTotoPayload { payload, key })
}

impl InTotoPayload {
    pub(super) fn into_parts(self) -> (Vec<u8>, KeyHint) {
        (self.payload, self.key)
    }
}
