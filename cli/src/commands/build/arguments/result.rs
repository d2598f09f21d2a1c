//! What becomes of the result.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What becomes of the result.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Result")]
pub(crate) struct ResultArgs {
    /// Name for the image, `name:tag`; may be given several times
    #[arg(short, long, value_name = "NAME")]
    pub(crate) tag: Vec<String>,
    /// Label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// Annotation of the image's manifest, or of the document named before it; may be given several
    /// times
    #[arg(long, value_name = "[DOCUMENT:]KEY=VALUE")]
    pub(crate) annotation: Vec<String>,
    /// What to make: `type=image|registry|oci|docker|containerd|local|tar|cacheonly` with its keys, or
    /// a directory for the files alone, or `-` for a tar archive of them; may be given several times
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) output: Vec<String>,
    /// Load the image into Docker; short for `--output type=docker`
    #[arg(long)]
    pub(crate) load: bool,
    /// Push the image; short for `--output type=registry`
    #[arg(long)]
    pub(crate) push: bool,
    /// Hardening of the exported stage [default: what the policy says, else baseline]
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub(crate) harden: Option<HardenArg>,
    /// Write the image's configuration digest to this file
    #[arg(long, value_name = "PATH")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write digests and names of the result to this file, as JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) metadata_file: Option<PathBuf>,
}

/// Levels of hardening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HardenArg {
    /// Change nothing
    Off,
    /// No setuid bits, file capabilities, shells or network tools
    Baseline,
}
