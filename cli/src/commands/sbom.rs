//! `touchmark sbom`.

use std::process::ExitCode;

use clap::Args;
use touchmark_attest::verify::Role;

use crate::{
    error::CliError,
    statement::{self, StatementArgs},
    ui::printer::Printer,
};

/// Print an image's SBOM.
///
/// With --key it is printed only if it was signed by that key and is about the image; without one it is
/// printed with a warning that nobody checked it.
#[derive(Debug, Args)]
pub(crate) struct SbomArgs {
    #[command(flatten)]
    statement: StatementArgs,
}

/// Runs `touchmark sbom`.
pub(crate) fn run(args: &SbomArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    statement::print(&args.statement, Role::Sbom, printer)
}
