//! The command line. Each subcommand's arguments stand beside its code; their doc comments are the help.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    commands::{
        build::{self, arguments::BuildArgs},
        cache::{self, CacheArgs},
        completion::{self, CompletionArgs},
        key::{self, KeyArgs},
        lint::{self, LintArgs},
        materials::{self, MaterialsArgs},
        policy::{self, PolicyArgs},
        provenance::{self, ProvenanceArgs},
        rebuild::{self, RebuildArgs},
        sbom::{self, SbomArgs},
        verify::{self, VerifyArgs},
        worker::{self, WorkerArgs},
    },
    error::CliError,
    ui::printer::Printer,
};

/// Build container images from Dockerfiles without root, let every step reach only allowlisted
/// mirrors, harden the result, and push it together with its signed SBOM and provenance.
#[derive(Debug, Parser)]
#[command(name = "touchmark", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from a Dockerfile
    Build(Box<BuildArgs>),
    /// Look at a Dockerfile without building it
    Lint(LintArgs),
    /// Check an image's signature, provenance and SBOM
    Verify(VerifyArgs),
    /// Print an image's SBOM, and say whether it was verified
    Sbom(SbomArgs),
    /// Print an image's provenance, and say whether it was verified
    Provenance(ProvenanceArgs),
    /// Build an image again from its provenance, and compare bit for bit
    ///
    /// The provenance says how the image was built and out of what: base images are taken by the digests that it
    /// names, downloads from beside the image (`touchmark materials push`) or from this machine's store, and the
    /// steps run again without a network and without the cache. The source is yours to bring, unless it is a commit
    /// of a repository that can be fetched. Of an image index each image is built again, and then the index. The exit
    /// code is 0 when all of it is the same, and 1 when it is not; then the first difference is told.
    Rebuild(RebuildArgs),
    /// Keep what a build fetched beside its image, and bring it back
    Materials(MaterialsArgs),
    /// Propose a policy from a build, or check one
    Policy(PolicyArgs),
    /// Make signing keys
    Key(KeyArgs),
    /// Show, export and import what outlives a build
    Cache(CacheArgs),
    /// Start, stop or show the rootless worker
    Worker(WorkerArgs),
    /// Print a script that completes commands and flags
    Completion(CompletionArgs),
}

impl Command {
    /// Runs the subcommand that was asked for.
    pub(crate) fn run(&self, printer: &Printer) -> Result<ExitCode, CliError> {
        match self {
            Self::Build(args) => build::run(args, printer),
            Self::Lint(args) => lint::run(args, printer),
            Self::Verify(args) => verify::run(args, printer),
            Self::Sbom(args) => sbom::run(args, printer),
            Self::Provenance(args) => provenance::run(args, printer),
            Self::Rebuild(args) => rebuild::run(args, printer),
            Self::Materials(args) => materials::run(args, printer),
            Self::Policy(args) => policy::run(args, printer),
            Self::Key(args) => key::run(args, printer),
            Self::Cache(args) => cache::run(args, printer),
            Self::Worker(args) => worker::run(args, printer),
            Self::Completion(args) => completion::run(args, Arguments::command(), printer),
        }
    }
}
