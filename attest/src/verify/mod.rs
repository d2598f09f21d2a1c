//! Verification of one bundle: a chain of checks, one per file. Each takes the proof of the one before
//! and gives its own, so none can be left out and no two can be about different bundles:
//!
//! ```text
//! Bundle ──signature──▶ SignedPayload ──payload_type──▶ InTotoPayload ──statement──▶ ProvenStatement
//!        ──subject──▶ StatementAboutImage ──role──▶ StatementInRole ──▶ Verified<Statement>
//! ```
//!
//! A forgotten check does not compile; here the payload's type is not looked at:
//!
//! ```compile_fail,E0308
//! use touchmark_attest::{bundle::Bundle, trust::Trust, verify::{signature, statement, Refusal}};
//!
//! fn careless(bundle: &Bundle, trust: &Trust) -> Result<(), Refusal> {
//!     statement::check(signature::check(bundle, trust)?)?;
//!     Ok(())
//! }
//! ```
//!
//! The same with it does:
//!
//! ```
//! use touchmark_attest::{bundle::Bundle, trust::Trust, verify::{payload_type, signature, statement, Refusal}};
//!
//! fn careful(bundle: &Bundle, trust: &Trust) -> Result<(), Refusal> {
//!     statement::check(payload_type::check(signature::check(bundle, trust)?)?)?;
//!     Ok(())
//! }
//! ```

pub mod payload_type;
mod refusal;
pub mod role;
pub mod signature;
pub mod statement;
pub mod subject;

pub use refusal::Refusal;
pub use role::Role;

use crate::{
    bundle::Bundle, image_digest::ImageDigest, key::KeyHint, statement::Statement, trust::Trust,
};

/// A value that passed every check. Only [`verify`] makes one, from the last proof of the chain.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    value: T,
    role: Role,
    key: KeyHint,
}

impl<T> Verified<T> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// What the value may be used for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The trusted key that signed it.
    #[must_use]
    pub fn key(&self) -> &KeyHint {
        &self.key
    }
}

impl From<role::StatementInRole> for Verified<Statement> {
    fn from(proof: role::StatementInRole) -> Self {
        let (value, role, key) = proof.into_parts();
        Self { value, role, key }
    }
}

/// Verifies one bundle as evidence about `image`. `declared_predicate_type` is what the place where the
/// bundle was found says of it (a manifest annotation), when it says anything.
///
/// # Errors
/// The first check that does not hold.
pub fn verify(
    bundle: &Bundle,
    image: &ImageDigest,
    declared_predicate_type: Option<&str>,
    trust: &Trust,
) -> Result<Verified<Statement>, Refusal> {
    let signed = signature::check(bundle, trust)?; //               by a trusted key
    let payload = payload_type::check(signed)?; //                  bytes that claim to be a statement
    let statement = statement::check(payload)?; //                  that are one
    let about_image = subject::check(statement, image)?; //         about this image
    let in_role = role::check(about_image, declared_predicate_type)?; // of a known kind
    Ok(in_role.into())
}
