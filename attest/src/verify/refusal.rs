//! Why a bundle is not evidence.

use crate::{
    bundle::BundleError,
    excerpt::Excerpt,
    image_digest::ImageDigest,
    key::KeyHint,
    statement::{PAYLOAD_TYPE, StatementError},
};

/// The first check that a bundle failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are not a bundle of the one accepted form.
    #[error(transparent)]
    NotABundle(#[from] BundleError),
    /// The verifier was given no key.
    #[error("there is no trusted key to verify it with; give one with --key")]
    NoTrustedKey,
    /// The bundle names a key that is not trusted, and no trusted key signed it.
    #[error("signed by another key ({}), which is not trusted", Excerpt(.hint))]
    AnotherKey {
        /// The key that the bundle names.
        hint: String,
    },
    /// A trusted key signed it, but the bundle names another: the bundle was changed after signing.
    #[error(
        "the bundle names the key {}, but the signature was made by {signer}: the bundle was altered",
        Excerpt(.hint)
    )]
    HintMismatch {
        /// The key that the bundle names.
        hint: String,
        /// The trusted key that did sign.
        signer: KeyHint,
    },
    /// The bundle names a trusted key, but the signature does not fit.
    #[error(
        "the signature does not fit the trusted key {key}: payload, payload type or signature was altered"
    )]
    Altered {
        /// The trusted key that the bundle names.
        key: KeyHint,
    },
    /// The bundle names no key, and no trusted key signed it.
    #[error("no trusted key made its signature, and it does not name the key that did")]
    UnknownSigner,
    /// Signed, but not as a statement.
    #[error("the payload type is '{}', not '{PAYLOAD_TYPE}'", Excerpt(.found))]
    PayloadType {
        /// What it is instead.
        found: String,
    },
    /// Signed, but not a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A statement about something else.
    #[error("the statement is about {}, not about this image ({image})", Excerpt(.found))]
    OtherSubject {
        /// The image that was asked about.
        image: ImageDigest,
        /// The digests that the statement names.
        found: String,
    },
    /// A predicate type that has no role here.
    #[error("the predicate type '{}' has no role here, so it proves nothing", Excerpt(.found))]
    PredicateType {
        /// The predicate type.
        found: String,
    },
    /// The label outside says something else than the signed statement.
    #[error(
        "it is labelled '{}', but the signed statement's predicate type is '{}'",
        Excerpt(.declared),
        Excerpt(.signed)
    )]
    Mislabelled {
        /// The predicate type of the annotation.
        declared: String,
        /// The predicate type of the statement.
        signed: String,
    },
}

impl Refusal {
    /// A short name that does not change between versions, for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotABundle(_) => "not-a-bundle",
            Self::NoTrustedKey => "no-trusted-key",
            Self::AnotherKey { .. } => "another-key",
            Self::HintMismatch { .. } => "hint-mismatch",
            Self::Altered { .. } => "altered",
            Self::UnknownSigner => "unknown-signer",
            Self::PayloadType { .. } => "payload-type",
            Self::Statement(_) => "not-a-statement",
            Self::OtherSubject { .. } => "other-subject",
            Self::PredicateType { .. } => "unknown-predicate-type",
            Self::Mislabelled { .. } => "mislabelled",
        }
    }
}
