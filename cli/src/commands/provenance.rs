//! `touchmark provenance`.

use std::process::ExitCode;

use clap::Args;
use touchmark_attest::verify::Role;

use crate::{
    error::CliError,
    statement::{self, StatementArgs},
    ui::printer::Printer,
};

/// Print an image's provenance.
///
/// With --key it is printed only if it was signed by that key and is about the image; without one it is
/// printed with a warning that nobody checked it.
#[derive(Debug, Args)]
pub(crate) struct ProvenanceArgs {
    #[command(flatten)]
    statement: StatementArgs,
}

/// Runs `touchmark provenance`.
pub(crate) fn run(args: &ProvenanceArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    statement::print(&args.statement, Role::Provenance, printer)
}
