//! The read-only directory that goes right under what a step writes. Where it stands over a directory of the image it
//! looks the same: the kernel shows the uppermost one's owner, mode and times.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::TrustError;
use crate::snapshot::OWNER_SHIFT;

/// Files and directories that are only ours.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// The directory while it is being filled.
pub(super) struct Lower<'a> {
    image: &'a Path,
    dir: &'a Path,
    /// Directories that were made; their times are set when nothing more comes into them.
    made: Vec<PathBuf>,
}

impl<'a> Lower<'a> {
    /// Fills the empty directory `dir` for a step on the file system at `image`.
    pub(super) fn new(image: &'a Path, dir: &'a Path) -> Self {
        Self { image, dir, made: Vec::new() }
    }

    /// Adds a file at `path`, relative and without links on the way.
    pub(super) fn file(&mut self, path: &Path, content: &[u8]) -> Result<(), TrustError> {
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        let own = self.dir.join(path);
        let write = || {
            fs::write(&own, content)?;
            self.liken(path, FILE_MODE)
        };
        write().map_err(TrustError::file(&own))
    }

    fn directory(&mut self, path: &Path) -> Result<(), TrustError> {
        if path.as_os_str().is_empty() || self.made.iter().any(|made| made == path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        let own = self.dir.join(path);
        fs::create_dir(&own).map_err(TrustError::file(&own))?;
        self.made.push(path.to_owned());
        Ok(())
    }

    /// Ends it.
    pub(super) fn finish(self) -> Result<(), TrustError> {
        // The deepest first: what is done to a directory changes the one above.
        let like = |path: &PathBuf| {
            self.liken(path, DIRECTORY_MODE).map_err(TrustError::file(&self.dir.join(path)))
        };
        self.made.iter().rev().try_for_each(like)
    }

    /// Gives ours the looks of what the image has at `path`, or else those of a file of the system.
    fn liken(&self, path: &Path, mode: u32) -> io::Result<()> {
        let own = self.dir.join(path);
        match fs::symlink_metadata(self.image.join(path)) {
            Ok(theirs) => {
                chown(&own, Some(theirs.uid()), Some(theirs.gid()))?;
                fs::set_permissions(&own, PermissionsExt::from_mode(theirs.mode() & 0o7777))?;
                set_time(&own, &theirs)
            }
            Err(_) => {
                chown(&own, Some(OWNER_SHIFT), Some(OWNER_SHIFT))?;
                fs::set_permissions(&own, PermissionsExt::from_mode(mode))?;
                set_times(&own, (0, 0))
            }
        }
    }
}

/// Gives `path` the time of change that another file has.
pub(super) fn set_time(path: &Path, like: &Metadata) -> io::Result<()> {
    set_times(path, (like.mtime(), like.mtime_nsec()))
}

fn set_times(path: &Path, (tv_sec, tv_nsec): (i64, i64)) -> io::Result<()> {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
