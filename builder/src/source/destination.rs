//! What a copy writes to: a mounted root (`target`), or the list of what a layer will hold (`layout`).
//! Paths are relative to the root and hold no links, as [`Destination::resolve`] gives them.

use std::path::{Path, PathBuf};

use super::{
    context::SourceRoot, error::SourceError, path::text, rooted::Meta, walk::Entry, xattrs::Xattr,
};

/// Owner, mode, time and attributes that a copied entry gets.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Ids in the image.
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
    /// Seconds and nanoseconds; `None` leaves the time of the copy.
    pub(super) mtime: Option<(i64, i64)>,
    pub(super) xattrs: Vec<Xattr>,
}

/// Owner (ids in the image) and mode of directories that are made on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
}

/// The facts that a file gets, from what it is in the source.
pub(super) type FactsOf<'a> = dyn Fn(&Meta) -> Result<Facts, SourceError> + 'a;

pub(super) trait Destination {
    /// Where `path` is, links followed inside the root.
    fn resolve(&self, path: &str) -> Result<PathBuf, SourceError>;

    /// The path on this machine of a resolved path; an error where there is none.
    fn on_disk(&self, path: &Path) -> Result<PathBuf, SourceError>;

    fn lstat(&self, path: &Path) -> Result<Option<Meta>, SourceError>;

    /// Makes one directory, closed to others until its facts are set.
    fn make_dir(&self, path: &Path) -> Result<(), SourceError>;

    /// Changes the mode of a directory.
    fn chmod(&self, path: &Path, mode: u32) -> Result<(), SourceError>;

    /// Removes what is at `path`, which is no directory.
    fn remove(&self, path: &Path) -> Result<(), SourceError>;

    /// Writes a whole small file.
    fn write(&self, path: &Path, bytes: &[u8], facts: &Facts) -> Result<(), SourceError>;

    /// Copies a file; returns its size.
    fn file(
        &self,
        path: &Path,
        from: (&SourceRoot<'_>, &Entry<'_>),
        facts: &FactsOf<'_>,
    ) -> Result<u64, SourceError>;

    /// A second name for the file at `first`.
    fn hard_link(&self, first: &Path, path: &Path) -> Result<(), SourceError>;

    fn symlink(&self, path: &Path, to: &Path) -> Result<(), SourceError>;

    fn fifo(&self, path: &Path) -> Result<(), SourceError>;

    /// Sets the facts of what is not a file.
    fn set_facts(&self, path: &Path, facts: &Facts, is_link: bool) -> Result<(), SourceError>;

    /// Sets the time of the last change of contents.
    fn set_mtime(&self, path: &Path, time: (i64, i64)) -> Result<(), SourceError>;

    /// Makes `path` and what is missing above it. What is there stays as it is.
    fn ensure_dir(&self, path: &Path, made: Made) -> Result<(), SourceError> {
        let mut prefix = PathBuf::new();
        for name in path {
            prefix.push(name);
            match self.lstat(&prefix)? {
                Some(meta) if meta.is_dir() => {}
                Some(_) => return Err(not_a_directory(&prefix)),
                None => {
                    self.make_dir(&prefix)?;
                    let Made { owner, mode } = made;
                    let facts = Facts { owner, mode, mtime: None, xattrs: Vec::new() };
                    self.set_facts(&prefix, &facts, false)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what is at `path`; a directory is not removed but an error.
    fn clear(&self, path: &Path, source: &Path) -> Result<(), SourceError> {
        match self.lstat(path)? {
            None => Ok(()),
            Some(meta) if meta.is_dir() => Err(SourceError::ReplacesDirectory {
                source_path: text(source).into_owned(),
                path: format!("/{}", text(path)),
            }),
            Some(_) => self.remove(path),
        }
    }
}

/// The error for a path where a directory is needed.
pub(super) fn not_a_directory(path: &Path) -> SourceError {
    SourceError::NotADirectory { path: format!("/{}", text(path)) }
}
