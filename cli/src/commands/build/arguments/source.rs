//! What is built.

use std::path::PathBuf;

use clap::Args;

/// What is built.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// Dockerfile: a path, `-` or an address [default: CONTEXT/Dockerfile]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Value of an ARG; without `=VALUE` it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// Files or an image under a name, for FROM, `COPY --from` and `RUN --mount`: a directory,
    /// `docker-image://NAME`, `oci-layout://DIRECTORY[:TAG|@DIGEST]`, a repository or an archive
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_context: Vec<String>,
    /// Platforms to build for, separated by commas; several make an image index [default: this
    /// machine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Vec<String>,
    /// Write what the build took from elsewhere, by digest, to a lock file [default: touchmark.lock beside the policy]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, conflicts_with = "locked")]
    pub(crate) lock: Option<Option<PathBuf>>,
    /// Fail unless everything that the build takes from elsewhere is as the lock file says
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    pub(crate) locked: Option<Option<PathBuf>>,
    /// Ask nobody: take base images and downloads from what earlier builds kept
    #[arg(long)]
    pub(crate) offline: bool,
    /// Ask registries for newer base images (touchmark always does)
    #[arg(long)]
    pub(crate) pull: bool,
    /// Policy file [default: touchmark.toml beside the Dockerfile, else in the context]
    #[arg(long, value_name = "PATH")]
    pub(crate) policy: Option<PathBuf>,
}
