//! How a step comes to trust the build's own authority, and how nothing of that stays behind.
//! `needle`, `pem`, `java_store`, `places` ← `variables`, `lower` ← `scrub` ← `step_trust`.
//!
//! The step sees one more read-only directory right under what it writes: the image's bundles of certificates with
//! ours at their end, ours as an anchor for the programs that make such bundles anew, and `/run/touchmark` for the
//! programs that are told by a variable where to look. What the step made of it is taken out again of what it wrote.
//!
//! Absent: making the authority (`egress` does), any trust of the builder itself.

mod java_store;
mod lower;
mod needle;
mod pem;
mod places;
mod scrub;
mod step_trust;
mod variables;

pub use step_trust::StepTrust;

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a step was not given the trust, or why what it wrote cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file could not be read or written.
    #[error("the certificates of a step cannot be prepared: {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate is in a file of a kind that it cannot be taken out of.
    #[error(
        "the step wrote the build's own certificate into '/{}', which would differ in every build\nhelp: remove \
         the file at the end of the step, or let the step leave TLS certificates out of it",
        path.display()
    )]
    Left {
        /// The file, as the step sees it, without the slash in front.
        path: PathBuf,
    },
}

impl TrustError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
