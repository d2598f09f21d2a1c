//! The outcome, for people and machines.
//!
//! # JSON, `schemaVersion` 1
//!
//! Fields are only ever added; order and spelling are fixed, and the same evidence gives the same bytes.
//!
//! ```json
//! {"schemaVersion":1,
//!  "image":"sha256:…",
//!  "passed":false,
//!  "checks":[{"name":"signature","status":"done","detail":"signed by …","evidence":["sha256:…"]}, …],
//!  "accepted":[{"origin":"sha256:…","bundle":"sha256:…","role":"sbom","predicateType":"https://…","key":"…"}, …],
//!  "rejected":[{"origin":"sha256:…","bundle":"sha256:…","reason":"another-key","detail":"signed by …"}, …],
//!  "platforms":[{"platform":"linux/arm64","image":"sha256:…","signature":"own","provenance":"own","sbom":"own",
//!                "hardening":"not-required","rebuild":"not-required","accepted":[…],"rejected":[…]}, …]}
//! ```
//!
//! - `passed`: true when no check failed. The only field to decide by.
//! - `checks`: always all names of [`CheckName`], in that order; `coverage` of an index only. `status` is `done` (it holds), `failed`,
//!   `skipped` (it could not be made or was left out; `detail` says why) or `not-required`. `evidence`
//!   lists the `origin` of what it rests on.
//! - `accepted`, `rejected`: every piece of evidence is in exactly one of the two. `origin` is where it
//!   was found, `bundle` the SHA-256 of its bytes, `key` the hint of the trusted key that signed it;
//!   `reason` is a stable code ([`Refusal::code`], [`Unfit::code`]), `detail` a sentence for people.
//! - `platforms`: of an index only. The five roles are `own`, `index` (a statement about the index),
//!   `missing` or `not-required` ([`super::Cover`]).

use serde::Serialize;

use super::{Covered, Unfit};
use crate::verify::{Refusal, Role};

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// Whether an image passed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    schema_version: u32,
    pub(super) image: String,
    pub(super) passed: bool,
    pub(super) checks: Vec<Check>,
    pub(super) accepted: Vec<Accepted>,
    pub(super) rejected: Vec<Rejected>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) platforms: Vec<Covered>,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The question.
    pub name: CheckName,
    /// The answer.
    pub status: Status,
    /// The answer in words.
    pub detail: String,
    /// The origins of the evidence that it rests on.
    pub evidence: Vec<String>,
}

/// The questions, in the order in which a verdict lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// Is anything asked for? A verdict on nothing would be a pass that means nothing.
    Requirement,
    /// Is the image signed?
    Signature,
    /// Is the evidence about this image?
    Subject,
    /// Is there a whole provenance?
    Provenance,
    /// Was it built by the builder that was asked for?
    Builder,
    /// In the way that was asked for?
    BuildType,
    /// From the source that was asked for?
    Source,
    /// Is everything known that went into it, where that was asked for?
    Hermetic,
    /// Is there a whole bill of materials?
    Sbom,
    /// Is there a hardening report?
    Hardening,
    /// Was it built again, and was it the same?
    Rebuild,
    /// Is the signature in a transparency log?
    TransparencyLog,
    /// Is there a signed time stamp?
    Timestamp,
    /// Of an index only: does each platform have what was asked for?
    Coverage,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was checked and holds.
    Done,
    /// It was checked and does not hold.
    Failed,
    /// It was not checked; the detail says why.
    Skipped,
    /// Nobody asked.
    NotRequired,
}

/// Evidence that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// Where it was found.
    pub origin: String,
    /// The SHA-256 of the bundle's bytes, `sha256:…`.
    pub bundle: String,
    /// What it is evidence of.
    pub role: Role,
    /// Its predicate type.
    pub predicate_type: String,
    /// The hint of the trusted key that signed it.
    pub key: String,
}

/// Evidence that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Where it was found.
    pub origin: String,
    /// The SHA-256 of its bytes, `sha256:…`.
    pub bundle: String,
    /// A stable code.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: String,
}

impl Verdict {
    /// Draws the conclusion: passed when no check failed.
    pub(super) fn new(
        image: String,
        checks: Vec<Check>,
        mut accepted: Vec<Accepted>,
        mut rejected: Vec<Rejected>,
    ) -> Self {
        // A registry lists referrers in any order; the verdict is the same all the same.
        accepted
            .sort_by(|a, b| (a.role, &a.origin, &a.bundle).cmp(&(b.role, &b.origin, &b.bundle)));
        rejected.sort_by(|a, b| {
            (&a.origin, &a.bundle, a.reason).cmp(&(&b.origin, &b.bundle, b.reason))
        });
        let passed = checks.iter().all(|check| check.status != Status::Failed);
        let platforms = Vec::new();
        Self {
            schema_version: SCHEMA_VERSION,
            image,
            passed,
            checks,
            accepted,
            rejected,
            platforms,
        }
    }

    /// Whether the image passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// The digest of the image that was asked about, `sha256:…`.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// All questions with their answers.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The evidence that counts, by role.
    #[must_use]
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// Of an index: each platform in it, in its order.
    #[must_use]
    pub fn platforms(&self) -> &[Covered] {
        &self.platforms
    }

    /// The evidence that does not count, each with its reason.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }
}

impl CheckName {
    /// The name as in the JSON form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requirement => "requirement",
            Self::Signature => "signature",
            Self::Subject => "subject",
            Self::Provenance => "provenance",
            Self::Builder => "builder",
            Self::BuildType => "build-type",
            Self::Source => "source",
            Self::Hermetic => "hermetic",
            Self::Sbom => "sbom",
            Self::Hardening => "hardening",
            Self::Rebuild => "rebuild",
            Self::TransparencyLog => "transparency-log",
            Self::Timestamp => "timestamp",
            Self::Coverage => "coverage",
        }
    }
}

impl Status {
    /// The status as in the JSON form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotRequired => "not-required",
        }
    }
}

/// Either kind of reason, as a code and words.
pub(super) trait Reason: std::fmt::Display {
    /// The stable code.
    fn code(&self) -> &'static str;
}

impl Reason for Refusal {
    fn code(&self) -> &'static str {
        Refusal::code(self)
    }
}

impl Reason for Unfit {
    fn code(&self) -> &'static str {
        Unfit::code(self)
    }
}
