//! Fifth check: what the statement may be used for. Each known predicate type has one role and every
//! other has none, so a bill of materials never counts as a signature of the image.

use std::fmt;

use serde::Serialize;

use super::{Refusal, subject::StatementAboutImage};
use crate::{
    key::KeyHint,
    predicate::{cache, cosign_sign, hardening, slsa, spdx, test_result},
    statement::Statement,
};

/// What a statement is evidence of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The key's holder stands for the image.
    Signature,
    /// How the image was built.
    Provenance,
    /// What is in the image.
    Sbom,
    /// What was taken out of the image.
    Hardening,
    /// The image was built again, and what came out.
    Rebuild,
    /// The key's holder stands for a shared build cache. It fills no role of an image.
    Cache,
}

/// Proof that a trusted key signed this statement about the image, and what it may be used for.
#[derive(Debug)]
pub struct StatementInRole {
    statement: Statement,
    role: Role,
    key: KeyHint,
}

impl Role {
    /// The role of a predicate type. Whole strings are compared: a longer or shorter URI is another
    /// type.
    #[must_use]
    pub fn of(predicate_type: &str) -> Option<Self> {
        match predicate_type {
            cosign_sign::PREDICATE_TYPE => Some(Self::Signature),
            slsa::PREDICATE_TYPE => Some(Self::Provenance),
            spdx::PREDICATE_TYPE => Some(Self::Sbom),
            hardening::PREDICATE_TYPE => Some(Self::Hardening),
            test_result::PREDICATE_TYPE => Some(Self::Rebuild),
            cache::PREDICATE_TYPE => Some(Self::Cache),
            _ => None,
        }
    }

    /// The name in verdicts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Provenance => "provenance",
            Self::Sbom => "sbom",
            Self::Hardening => "hardening",
            Self::Rebuild => "rebuild",
            Self::Cache => "cache",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Gives the statement its role. The label outside must say the same, where there is one: other tools
/// choose by it.
///
/// # Errors
/// When the predicate type has no role, or the label says something else.
pub fn check(
    about_image: StatementAboutImage,
    declared: Option<&str>,
) -> Result<StatementInRole, Refusal> {
    let (statement, key) = about_image.into_parts();
    let signed = statement.predicate_type();
    if let Some(declared) = declared.filter(|declared| *declared != signed) {
        return Err(Refusal::Mislabelled { declared: declared.into(), signed: signed.into() });
    }
    let role = Role::of(signed).ok_or_else(|| Refusal::PredicateType { found: signed.into() })?;
    Ok(StatementInRole { statement, role, key })
}

impl StatementInRole {
    pub(super) fn into_parts(self) -> (Statement, Role, KeyHint) {
        (self.statement, self.role, self.key)
    }
}
