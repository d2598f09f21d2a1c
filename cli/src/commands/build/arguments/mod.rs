//! The flags of `touchmark build`, by what they are about.

pub(super) mod call;
pub(super) mod evidence;
pub(super) mod legacy;
pub(super) mod progress;
pub(super) mod result;
pub(super) mod shared_cache;
pub(super) mod source;
pub(super) mod steps;

use std::path::PathBuf;

use clap::Args;

use self::{
    call::CallArgs, evidence::EvidenceArgs, legacy::LegacyArgs, progress::ProgressArgs,
    result::ResultArgs, shared_cache::SharedCacheArgs, source::SourceArgs, steps::StepArgs,
};

/// Build an image from a Dockerfile.
///
/// Each step runs on a rootless containerd that starts by itself, as a user that is neither you nor
/// root, and reaches only allowlisted mirrors. The last stage is hardened, and is pushed together with
/// its signed SBOM, its signed provenance and a signature before any tag points at it.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Files that COPY and ADD can reach: a directory, a repository (`URL#ref:subdirectory`), an archive's
    /// address, or `-` for an archive or a Dockerfile on standard input
    #[arg(value_name = "CONTEXT")]
    pub(crate) context: PathBuf,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) steps: StepArgs,
    #[command(flatten)]
    pub(crate) shared_cache: SharedCacheArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) call: CallArgs,
    #[command(flatten)]
    pub(crate) legacy: LegacyArgs,
}
