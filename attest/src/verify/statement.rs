//! Third check: the signed bytes are a statement. The only place on the verify path that parses one.

use super::{Refusal, payload_type::InTotoPayload};
use crate::{key::KeyHint, statement::Statement};

/// Proof that a trusted key signed this statement.
#[derive(Debug)]
pub struct ProvenStatement {
    statement: Statement,
    key: KeyHint,
}

/// in-toto attestation, spec/v1/statement.md: `_type` is exactly `https://in-toto.io/Statement/v1`, or
/// that of the version before, `https://in-toto.io/Statement/v0.1`.
///
/// # Errors
/// When the payload is not such a statement.
pub fn check(payload: InTotoPayload) -> Result<ProvenStatement, Refusal> {
    let (payload, key) = payload.into_parts();
    Ok(ProvenStatement { statement: Statement::from_json(&payload)?, key })
}

impl ProvenStatement {
    /// The statement; what it is about is not known yet.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    pub(super) fn into_parts(self) -> (Statement, KeyHint) {
        (self.statement, self.key)
    }
}
