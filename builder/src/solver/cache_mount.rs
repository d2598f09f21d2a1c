//! The directories of `RUN --mount=type=cache`. They outlive the build, are named by what makes them
//! different, and are locked by the kernel, so that a killed build leaves none of them locked.

use std::{
    fs::{self, File, FileTimes, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::error::SolveError;
use crate::{graph::Sharing, oci::digest::Digest, snapshot::OWNER_SHIFT};

/// How long a step waits before it asks again for a cache that another one holds.
const PATIENCE: Duration = Duration::from_millis(50);

/// What makes a cache directory another one. As in BuildKit, the owner and mode of a new directory do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheName {
    /// `id`, or the target.
    pub id: String,
    /// Permission bits of a new one.
    pub mode: u32,
    /// Owner of a new one, as the step sees it.
    pub uid: u32,
    /// Group of a new one.
    pub gid: u32,
    /// The layers that a new one begins with, and the path in them.
    pub seed: Option<(Vec<Digest>, String)>,
}

impl CacheName {
    /// The name of its files: of its directory, with `.lock` and `.json` of what stands beside it.
    pub(super) fn stem(&self) -> Result<String, SolveError> {
        Ok(Digest::of(&serde_json::to_vec(self)?).hex())
    }
}

/// A cache directory that a step may use as long as this value lives.
#[derive(Debug)]
pub(super) struct CacheDir {
    path: PathBuf,
    #[allow(dead_code, reason = "held for the lock, which ends with it")]
    lock: File,
}

impl CacheDir {
    /// Locks the directory below `root`; waits for it when `sharing` says so, after it said so to `busy`.
    ///
    /// # Errors
    /// When the build is cancelled while it waits, or the lock file cannot be made.
    pub(super) async fn lock(
        root: &Path,
        name: &CacheName,
        sharing: Sharing,
        cancel: &CancellationToken,
        busy: impl Fn(&str),
    ) -> Result<Self, SolveError> {
        let stem = name.stem()?;
        let operation = match sharing {
            Sharing::Shared => FlockOperation::NonBlockingLockShared,
            Sharing::Locked | Sharing::Private => FlockOperation::NonBlockingLockExclusive,
        };
        let (mut number, mut told) = (0, false);
        loop {
            let stem = if number == 0 { stem.clone() } else { format!("{stem}-{number}") };
            let lock = root.join(format!("{stem}.lock"));
            let file = open_lock(&lock).map_err(SolveError::store(&lock))?;
            match flock(&file, operation) {
                // Who made space removed it between opening and locking it.
                Ok(()) if is_nameless(&file) => {}
                Ok(()) => return Ok(Self::locked(root.join(stem), file)),
                Err(Errno::WOULDBLOCK) if sharing == Sharing::Private => number += 1,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    if !std::mem::replace(&mut told, true) {
                        busy(&name.id);
                    }
                    tokio::select! {
                        () = cancel.cancelled() => return Err(SolveError::Cancelled),
                        () = tokio::time::sleep(PATIENCE) => {}
                    }
                }
                Err(errno) => return Err(SolveError::store(&lock)(errno.into())),
            }
        }
    }

    /// Locks the directory against every step, without waiting on a runtime.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub(super) fn lock_alone(
        root: &Path,
        name: &CacheName,
        busy: &dyn Fn(&str),
    ) -> Result<Self, SolveError> {
        let stem = name.stem()?;
        let lock = root.join(format!("{stem}.lock"));
        let file = open_lock(&lock).map_err(SolveError::store(&lock))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            busy(&name.id);
            flock(&file, FlockOperation::LockExclusive)
                .map_err(|errno| SolveError::store(&lock)(errno.into()))?;
        }
        if is_nameless(&file) {
            return Self::lock_alone(root, name, busy);
        }
        Ok(Self::locked(root.join(stem), file))
    }

    /// The time of the lock file tells when the cache was used last; it is in nothing that is built.
    fn locked(path: PathBuf, lock: File) -> Self {
        let _ = lock.set_times(FileTimes::new().set_modified(SystemTime::now()));
        Self { path, lock }
    }

    /// Where it is on this machine.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory where it is missing; `fill` puts in what a new one begins with. Another step
    /// sees either none or the whole.
    ///
    /// # Errors
    /// What `fill` says, or when the directory cannot be made.
    pub(super) fn make(
        &self,
        name: &CacheName,
        fill: impl FnOnce(&Path) -> Result<(), SolveError>,
    ) -> Result<(), SolveError> {
        if self.path.is_dir() {
            return Ok(());
        }
        let root = self.path.parent().unwrap_or(&self.path);
        let fresh = tempfile::Builder::new().prefix("new-").tempdir_in(root);
        let fresh = fresh.map_err(SolveError::store(root))?;
        fill(fresh.path())?;
        self.describe(name)?;
        let publish = || -> io::Result<()> {
            let id = |id: u32| Some(id.saturating_add(OWNER_SHIFT));
            chown(fresh.path(), id(name.uid), id(name.gid))?;
            fs::set_permissions(fresh.path(), Permissions::from_mode(name.mode))?;
            let kept = RenameFlags::NOREPLACE;
            match renameat_with(CWD, fresh.path(), CWD, &self.path, kept) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        };
        publish().map_err(SolveError::store(&self.path))
    }

    /// Writes its name beside it, for those who list caches.
    pub(super) fn describe(&self, name: &CacheName) -> Result<(), SolveError> {
        let path = self.path.with_extension("json");
        let root = self.path.parent().unwrap_or(&self.path);
        let json = serde_json::to_vec(name)?;
        let write = || -> io::Result<()> {
            let mut fresh = tempfile::NamedTempFile::new_in(root)?;
            io::Write::write_all(&mut fresh, &json)?;
            fresh.persist(&path)?;
            Ok(())
        };
        write().map_err(SolveError::store(&path))
    }
}

fn is_nameless(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

fn open_lock(path: &Path) -> io::Result<File> {
    if let Some(root) = path.parent() {
        fs::create_dir_all(root)?;
    }
    File::options().write(true).create(true).truncate(false).open(path)
}

#[cfg(test)]
mod tests;
