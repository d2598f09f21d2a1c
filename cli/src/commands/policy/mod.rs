//! `touchmark policy`.

mod check;
mod init;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::{error::CliError, ui::printer::Printer};

/// Propose a policy from a build, or check one.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the tightest policy with which a recorded build passes again
    Init(init::InitArgs),
    /// Read a policy file and say what is wrong with it
    Check(check::CheckArgs),
}

/// Runs `touchmark policy`.
pub(crate) fn run(args: &PolicyArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Init(args) => init::run(args, printer),
        Command::Check(args) => check::run(args, printer),
    }
}
