//! `touchmark policy check`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{
    error::CliError,
    policy_file::{self, NAME},
    ui::printer::Printer,
};

/// Read a policy file and say what is wrong with it.
///
/// All faults are shown at once, each with its line; the exit code is then 2.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The policy file
    #[arg(value_name = "PATH", default_value = NAME)]
    path: PathBuf,
}

/// Runs `touchmark policy check`.
pub(super) fn run(args: &CheckArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let _ = policy_file::read(Some(&args.path))?;
    printer.talk(&format!("{}: no faults", args.path.display()));
    Ok(ExitCode::SUCCESS)
}
