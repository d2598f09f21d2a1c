//! `touchmark`: build, harden, sign and verify container images.
//!
//! `args` is the command line, `commands/` has one file per subcommand, `config` is the only reader of
//! the environment, `invocation` how the program was called, `signing_key` of key files (`sleeping_key`: opened late), `ui/` the one door to standard output and standard error, `error` the table from
//! errors to exit codes.

mod amount;
mod args;
mod commands;
mod config;
mod content_check;
mod error;
mod image;
mod index;
mod inside;
mod invocation;
mod policy_file;
mod registries;
mod runtime;
mod signing_key;
mod sleeping_key;
mod statement;
mod telemetry;
mod ui;
mod user_file;
mod verdict_json;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let printer = ui::printer::Printer::stdio(&config::surroundings());
    let given = invocation::arguments();
    if let Some(answer) = invocation::metadata(&given) {
        return printer
            .data(&answer)
            .map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS);
    }
    let arguments = parse(&given);
    match arguments.command.run(&printer) {
        Ok(code) => code,
        Err(error) => {
            let error = error.with_room(None);
            printer.error(&error);
            error.exit_code()
        }
    }
}

/// Reads the command line; help and faults end the program here.
fn parse(given: &[OsString]) -> args::Arguments {
    let name = invocation::name();
    let all = std::iter::once(name.into()).chain(given.iter().cloned());
    let matches = args::Arguments::command().bin_name(name).get_matches_from(all);
    args::Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
