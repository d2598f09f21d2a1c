//! Where the context and the Dockerfile come from: `asked` reads the arguments, `gather` brings what is
//! not a directory of this machine to one, `found` finds the files in it, `named` are the other contexts.

mod asked;
mod found;
mod gather;
mod named;

pub(super) use asked::Asked;
pub(super) use found::{Found, found};
pub(super) use gather::{Gathered, fetcher, gather};
pub(super) use named::NamedContexts;

use crate::{config, error::CliError};

/// Is `.git` of a repository part of the context? BuildKit's build argument says so.
pub(super) fn keep_git_dir(build_args: &[String]) -> Result<bool, CliError> {
    const NAME: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
    let given = build_args.iter().rev().find_map(|arg| match arg.split_once('=') {
        Some((NAME, value)) => Some(Some(value.to_owned())),
        None if arg == NAME => Some(None),
        _ => None,
    });
    let value = match given {
        None => return Ok(false),
        Some(Some(value)) => value,
        Some(None) => config::text_variable_or_empty(NAME)?.unwrap_or_default(),
    };
    match value.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "" | "0" | "f" | "false" => Ok(false),
        _ => Err(CliError::usage(format!("--build-arg {NAME}: '{value}' is not 0 or 1"))),
    }
}
