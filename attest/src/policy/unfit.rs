//! Why a verified statement does not count.

use crate::{
    excerpt::Excerpt, predicate::spdx, resource_descriptor::INCOMPLETE, strict_json::JsonFault,
};

/// The statement is the key holder's, and about this image; but it does not say what is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The predicate has not the form of its type.
    #[error("its {kind} cannot be read: {fault}")]
    Form {
        /// Which predicate.
        kind: &'static str,
        /// What the parser says.
        fault: JsonFault,
    },
    /// A required field is empty.
    #[error("the provenance has no {0}")]
    ProvenanceLacks(&'static str),
    /// An input without a digest could be anything.
    #[error(
        "the provenance's dependency '{}' has no digest and is not marked '{INCOMPLETE}'",
        Excerpt(.which)
    )]
    DependencyWithoutDigest {
        /// Its name or URI.
        which: String,
    },
    /// Built by another builder.
    #[error("built by '{}', not by '{expected}'", Excerpt(.found))]
    Builder {
        /// The builder of the provenance.
        found: String,
        /// The builder that was asked for.
        expected: String,
    },
    /// Built in another way.
    #[error("the build type is '{}', not '{expected}'", Excerpt(.found))]
    BuildType {
        /// The build type of the provenance.
        found: String,
        /// The build type that was asked for.
        expected: String,
    },
    /// Built from another source, or from one that the provenance does not name.
    #[error("built from '{}', not from '{expected}'", Excerpt(.found))]
    Source {
        /// The context's URI.
        found: String,
        /// The source that was asked for.
        expected: String,
    },
    /// Not everything that went in is known.
    #[error("the build was not hermetic: {reason}")]
    NotHermetic {
        /// How that is known.
        reason: String,
    },
    /// Another version of SPDX.
    #[error("the SBOM's spdxVersion is '{}', not '{}'", Excerpt(.found), spdx::VERSION)]
    SbomVersion {
        /// What it is instead.
        found: String,
    },
    /// A required field is empty.
    #[error("the SBOM has no {0}")]
    SbomLacks(&'static str),
    /// The document is a list about nothing.
    #[error("the SBOM does not say which of its packages it describes")]
    SbomDescribesNothing,
    /// A test result, but of another test.
    #[error("it is the result of another test than a rebuild")]
    OtherTest,
    /// The image was built again, and something else came out.
    #[error("the image was built again and was not the same: {}", Excerpt(.reason))]
    NotRebuilt {
        /// The first difference.
        reason: String,
    },
}

impl Unfit {
    /// A short name that does not change between versions, for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "predicate-form",
            Self::ProvenanceLacks(_) | Self::DependencyWithoutDigest { .. } => {
                "provenance-incomplete"
            }
            Self::Builder { .. } => "unexpected-builder",
            Self::BuildType { .. } => "unexpected-build-type",
            Self::Source { .. } => "unexpected-source",
            Self::NotHermetic { .. } => "not-hermetic",
            Self::SbomVersion { .. } | Self::SbomLacks(_) | Self::SbomDescribesNothing => {
                "sbom-incomplete"
            }
            Self::OtherTest => "other-test",
            Self::NotRebuilt { .. } => "not-rebuilt",
        }
    }
}
