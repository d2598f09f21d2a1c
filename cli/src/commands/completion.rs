//! `touchmark completion`.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{error::CliError, ui::printer::Printer};

/// Print a script that completes commands and flags.
///
/// For example: touchmark completion bash > ~/.local/share/bash-completion/completions/touchmark
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs `touchmark completion` for the command line `all`.
pub(crate) fn run(
    args: &CompletionArgs,
    mut all: Command,
    printer: &Printer,
) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut all, "touchmark", &mut script);
    printer.data(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
