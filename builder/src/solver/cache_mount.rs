//! The directories of `RUN --mount=type=cache`. They outlive the build, are named by what makes them
//! different, and are locked by the kernel, so that a killed build leaves none of them locked.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with},
    io::Errno,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::error::SolveError;
use crate::{graph::Sharing, oci::digest::Digest, snapshot::OWNER_SHIFT};

/// How long a step waits before it asks again for a cache that another one holds.
const PATIENCE: Duration = Duration::from_millis(50);

/// What makes a cache directory another one. As in BuildKit, the owner and mode of a new directory do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct CacheName<'a> {
    /// `id`, or the target.
    pub(super) id: &'a str,
    /// Permission bits of a new one.
    pub(super) mode: u32,
    /// Owner of a new one, as the step sees it.
    pub(super) uid: u32,
    /// Group of a new one.
    pub(super) gid: u32,
    /// The layers that a new one begins with, and the path in them.
    pub(super) seed: Option<(&'a [Digest], &'a str)>,
}

/// A cache directory that a step may use as long as this value lives.
#[derive(Debug)]
pub(super) struct CacheDir {
    path: PathBuf,
    #[allow(dead_code, reason = "held for the lock, which ends with it")]
    lock: File,
}

impl CacheDir {
    /// Locks the directory below `root`; waits for it when `sharing` says so.
    ///
    /// # Errors
    /// When the build is cancelled while it waits, or the lock file cannot be made.
    pub(super) async fn lock(
        root: &Path,
        name: &CacheName<'_>,
        sharing: Sharing,
        cancel: &CancellationToken,
    ) -> Result<Self, SolveError> {
        let stem = Digest::of(&serde_json::to_vec(name)?).hex();
        let operation = match sharing {
            Sharing::Shared => FlockOperation::NonBlockingLockShared,
            Sharing::Locked | Sharing::Private => FlockOperation::NonBlockingLockExclusive,
        };
        let mut number = 0;
        loop {
            let stem = if number == 0 { stem.clone() } else { format!("{stem}-{number}") };
            let lock = root.join(format!("{stem}.lock"));
            let file = open_lock(&lock).map_err(SolveError::store(&lock))?;
            match flock(&file, operation) {
                Ok(()) => return Ok(Self { path: root.join(stem), lock: file }),
                Err(Errno::WOULDBLOCK) if sharing == Sharing::Private => number += 1,
                Err(Errno::WOULDBLOCK | Errno::INTR) => tokio::select! {
                    () = cancel.cancelled() => return Err(SolveError::Cancelled),
                    () = tokio::time::sleep(PATIENCE) => {}
                },
                Err(errno) => return Err(SolveError::store(&lock)(errno.into())),
            }
        }
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
        name: &CacheName<'_>,
        fill: impl FnOnce(&Path) -> Result<(), SolveError>,
    ) -> Result<(), SolveError> {
        if self.path.is_dir() {
            return Ok(());
        }
        let root = self.path.parent().unwrap_or(&self.path);
        let fresh = tempfile::Builder::new().prefix("new-").tempdir_in(root);
        let fresh = fresh.map_err(SolveError::store(root))?;
        fill(fresh.path())?;
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
}

fn open_lock(path: &Path) -> io::Result<File> {
    if let Some(root) = path.parent() {
        fs::create_dir_all(root)?;
    }
    File::options().write(true).create(true).truncate(false).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: CacheName<'static> =
        CacheName { id: "apt", mode: 0o755, uid: 0, gid: 0, seed: None };

    async fn lock(root: &Path, sharing: Sharing) -> Option<CacheDir> {
        let cancel = CancellationToken::new();
        let wait = Duration::from_millis(200);
        let locked = CacheDir::lock(root, &NAME, sharing, &cancel);
        tokio::time::timeout(wait, locked).await.ok().map(Result::unwrap)
    }

    #[tokio::test]
    async fn sharing_decides_who_waits() {
        let root = tempfile::tempdir().unwrap();
        let first = lock(root.path(), Sharing::Shared).await.unwrap();
        let second = lock(root.path(), Sharing::Shared).await.unwrap();
        assert_eq!(first.path(), second.path());
        assert!(lock(root.path(), Sharing::Locked).await.is_none(), "it waits for the others");
        let own = lock(root.path(), Sharing::Private).await.unwrap();
        assert_ne!(own.path(), first.path(), "a busy cache is not waited for");
        drop((first, second));
        let alone = lock(root.path(), Sharing::Locked).await.unwrap();
        assert!(lock(root.path(), Sharing::Shared).await.is_none());
        drop(alone);
        assert!(lock(root.path(), Sharing::Shared).await.is_some());
    }

    #[tokio::test]
    async fn a_cancelled_build_does_not_wait() {
        let root = tempfile::tempdir().unwrap();
        let _held = lock(root.path(), Sharing::Locked).await.unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let refused = CacheDir::lock(root.path(), &NAME, Sharing::Locked, &cancel).await;
        assert!(refused.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn another_owner_or_seed_is_another_cache() {
        let root = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let seed = [Digest::of(b"layer")];
        let names = [
            NAME,
            CacheName { id: "npm", ..NAME },
            CacheName { uid: 7, ..NAME },
            CacheName { mode: 0o700, ..NAME },
            CacheName { seed: Some((&seed, "/")), ..NAME },
        ];
        let mut found = Vec::new();
        for name in &names {
            let taken = CacheDir::lock(root.path(), name, Sharing::Shared, &cancel).await.unwrap();
            assert!(!found.contains(&taken.path));
            found.push(taken.path);
        }
    }
}
