//! `--lock`, `--locked` and `--offline`: the lock file, read before and written after.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use touchmark_builder::{
    build::Build,
    downloads::{Lock, Terms, lock::MAX_BYTES},
};

use super::arguments::source::SourceArgs;
use crate::{config::read_file, error::CliError, ui::printer::Printer};

/// The file's name, where none is given.
const NAME: &str = "touchmark.lock";

/// What is said about addresses that cannot be locked.
const SHOWN: usize = 20;

/// What the flags ask for.
#[derive(Debug, Default)]
pub(super) struct Locking {
    /// What the build is held to.
    pub(super) terms: Terms,
    /// The file to write.
    write: Option<PathBuf>,
}

impl Locking {
    /// Reads the lock file where the build is held to one. `usual` are the places of the policy file, which stands
    /// beside it. A `foreign` context is gone after the build: a lock file that it brought is read, a new one is
    /// written into the current directory.
    pub(super) fn read(
        args: &SourceArgs,
        usual: &[PathBuf],
        foreign: bool,
    ) -> Result<Self, CliError> {
        let beside = |path: &PathBuf| path.with_file_name(NAME);
        let there = || usual.iter().map(beside).find(|path| path.exists());
        let place = |given: &Option<PathBuf>| given.clone().or_else(there);
        let first = || usual.first().map_or_else(|| PathBuf::from(NAME), beside);
        let lock = match &args.locked {
            Some(given) => Some(Arc::new(lock(&place(given).unwrap_or_else(first))?)),
            None => None,
        };
        let write = args.lock.as_ref().map(|given| match (given, foreign) {
            (None, true) => PathBuf::from(NAME),
            _ => place(given).unwrap_or_else(first),
        });
        Ok(Self { terms: Terms { offline: args.offline, lock }, write })
    }

    /// Writes the lock file, if one is asked for.
    pub(super) fn write(&self, built: &Build, printer: &Printer) -> Result<(), CliError> {
        let Some(path) = &self.write else { return Ok(()) };
        let fault = |error: std::io::Error| {
            CliError::failed(format!("{} cannot be written: {error}", path.display()))
        };
        let text = built.lock.text();
        if fs::read(path).ok().as_deref() != Some(text.as_bytes()) {
            let fresh = path.with_extension("lock.new");
            fs::write(&fresh, &text).and_then(|()| fs::rename(&fresh, path)).map_err(fault)?;
        }
        let (images, files) = (built.lock.images.len(), built.lock.files.len());
        printer.talk(&format!("=> wrote {}: {images} images, {files} addresses", path.display()));
        for open in built.unpinned.iter().take(SHOWN) {
            printer.warning(&format!("not locked: {open}"));
        }
        if built.unpinned.len() > SHOWN {
            printer.warning(&format!("not locked: {} more", built.unpinned.len() - SHOWN));
        }
        Ok(())
    }
}

fn lock(path: &Path) -> Result<Lock, CliError> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let bytes = read_file(path, MAX_BYTES).map_err(|reason| {
        CliError::usage(format!("the lock file '{}' cannot be read: {reason}", path.display()))
            .hint("write it with: touchmark build --lock")
    })?;
    Lock::parse(&name, &String::from_utf8_lossy(&bytes)).map_err(|error| {
        let text = error.to_string();
        let (first, help) = text.split_once("\nhelp: ").unwrap_or((&text, ""));
        CliError::usage(first).hint(help)
    })
}
