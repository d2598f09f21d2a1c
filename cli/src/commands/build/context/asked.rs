//! What CONTEXT and `--file` name.

use std::path::{Path, PathBuf};

use touchmark_builder::remote::{GitAddress, Remote, Url};

use super::super::arguments::BuildArgs;
use crate::error::CliError;

/// What CONTEXT names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum ContextAsk {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A tar archive, or a Dockerfile alone.
    Stdin,
    /// A commit of a repository.
    Git(GitAddress),
    /// A tar archive, or a Dockerfile alone.
    Http(Url),
}

/// What `--file` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum FileAsk {
    /// Nothing: `Dockerfile` in the context.
    Usual,
    /// A path.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// An address.
    Url(Url),
}

/// Both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Asked {
    pub(in super::super) context: ContextAsk,
    pub(in super::super) file: FileAsk,
}

impl Asked {
    /// Reads the arguments.
    pub(in super::super) fn new(args: &BuildArgs) -> Result<Self, CliError> {
        let asked =
            Self { context: context(&args.context)?, file: file(args.source.file.as_deref())? };
        if asked == (Self { context: ContextAsk::Stdin, file: FileAsk::Stdin }) {
            return Err(CliError::usage(
                "the context and the Dockerfile cannot both come from standard input",
            )
            .hint("put the Dockerfile into the archive, or give one of them as a file"));
        }
        Ok(asked)
    }

    /// Does something have to be read or fetched before the build can be planned?
    pub(in super::super) fn is_remote(&self) -> bool {
        !matches!(self.context, ContextAsk::Directory(_))
            || matches!(self.file, FileAsk::Stdin | FileAsk::Url(_))
    }
}

fn context(given: &Path) -> Result<ContextAsk, CliError> {
    let text = given.to_str().unwrap_or_default();
    if text == "-" {
        return Ok(ContextAsk::Stdin);
    }
    // A directory goes before `github.com/…`.
    if given.is_dir() {
        return Ok(ContextAsk::Directory(given.to_owned()));
    }
    let remote = Remote::parse_context(text).map_err(|error| CliError::usage(error.to_string()))?;
    Ok(match remote {
        Some(Remote::Git(address)) => ContextAsk::Git(address),
        Some(Remote::Http(url)) => ContextAsk::Http(url),
        None => ContextAsk::Directory(given.to_owned()),
    })
}

fn file(given: Option<&Path>) -> Result<FileAsk, CliError> {
    let Some(path) = given else { return Ok(FileAsk::Usual) };
    let text = path.to_str().unwrap_or_default();
    if text == "-" {
        return Ok(FileAsk::Stdin);
    }
    match text.starts_with("http://") || text.starts_with("https://") {
        true => match Url::parse(text) {
            Ok(url) => Ok(FileAsk::Url(url)),
            Err(error) => Err(CliError::usage(format!("--file: '{text}': {error}"))),
        },
        false => Ok(FileAsk::Path(path.to_owned())),
    }
}
