//! `touchmark`: build, harden, sign and verify container images.
//!
//! `args` is the command line, `commands/` has one file per subcommand, `config` is the only reader of
//! the environment, `signing_key` of key files, `ui/` the one door to standard output and standard error, `error` the table from
//! errors to exit codes.

mod args;
mod commands;
mod config;
mod content_check;
mod error;
mod image;
mod index;
mod inside;
mod policy_file;
mod registries;
mod runtime;
mod signing_key;
mod statement;
mod ui;
mod verdict_json;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let printer = ui::printer::Printer::stdio();
    match arguments.command.run(&printer) {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error);
            error.exit_code()
        }
    }
}
