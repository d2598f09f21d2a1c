//! The file system that is copied into: a mounted root whose links lead nowhere but inside it. Ids on
//! disk are those of the image + `shift`.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, fchmod, fchown,
        futimens, linkat, mkdirat, mkfifoat, openat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::{
    context::SourceRoot,
    destination::{Destination, Facts, FactsOf},
    error::SourceError,
    path::text,
    rooted::{Meta, Rooted},
    steady,
    walk::Entry,
    xattrs::{self, Xattr},
};
use crate::oci::digest::Hashing;

/// A root to copy into. Paths are relative to it and hold no links, as [`Target::resolve`] gives
/// them.
#[derive(Debug)]
pub(super) struct Target {
    rooted: Rooted,
    shift: u32,
}

impl Target {
    pub(super) fn open(dir: &Path, shift: u32) -> Result<Self, SourceError> {
        let rooted =
            Rooted::open(dir).map_err(SourceError::io("open the root of the image", dir))?;
        Ok(Self { rooted, shift })
    }

    /// Makes an empty file, or empties the one that this copy made before.
    fn create(&self, path: &Path) -> Result<File, SourceError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let made = self.rooted.parent(path).and_then(|(dir, name)| {
            Ok(openat(&*dir, name, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?.into())
        });
        made.map_err(self.fault("write", path))
    }

    /// Sets the facts of an open file: owner first, because a change of owner clears setuid bits and
    /// capabilities; the time last.
    fn finish_file(&self, path: &Path, file: &File, facts: &Facts) -> Result<(), SourceError> {
        let (uid, gid) = self.ids(path, facts.owner)?;
        fchown(file, Some(uid), Some(gid)).map_err(|e| self.owner_fault(path, facts.owner, e))?;
        let mode = fchmod(file, Mode::from_raw_mode(facts.mode));
        mode.map_err(self.fault("change the mode of", path))?;
        self.set_xattrs(path, &facts.xattrs)?;
        match facts.mtime {
            Some(time) => futimens(file, &times(time)).map_err(self.fault("set the time of", path)),
            None => Ok(()),
        }
    }

    fn set_xattrs(&self, path: &Path, xattrs: &[Xattr]) -> Result<(), SourceError> {
        if xattrs.is_empty() {
            return Ok(());
        }
        let set = self.rooted.parent(path);
        let set = set.and_then(|(dir, name)| xattrs::write(&dir, name, xattrs, self.shift));
        set.map_err(self.fault("set the attributes of", path))
    }

    fn ids(&self, path: &Path, (uid, gid): (u32, u32)) -> Result<(Uid, Gid), SourceError> {
        let on_disk = |id: u32| id.checked_add(self.shift).filter(|id| *id != u32::MAX);
        match (on_disk(uid), on_disk(gid)) {
            (Some(uid), Some(gid)) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
            _ => Err(self.owner_fault(path, (uid, gid), Errno::INVAL)),
        }
    }

    fn owner_fault(&self, path: &Path, (uid, gid): (u32, u32), cause: Errno) -> SourceError {
        match cause {
            Errno::INVAL => {
                SourceError::OwnerOutOfRange { path: format!("/{}", text(path)), uid, gid }
            }
            cause => self.fault("change the owner of", path)(cause),
        }
    }

    fn fault<E: Into<io::Error>>(
        &self,
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> SourceError + use<E> {
        SourceError::io(action, Path::new("/").join(path))
    }
}

impl Destination for Target {
    fn resolve(&self, path: &str) -> Result<PathBuf, SourceError> {
        let found = self.rooted.resolve(Path::new(path), true);
        found.map_err(self.fault("find", Path::new(path)))
    }

    fn on_disk(&self, path: &Path) -> Result<PathBuf, SourceError> {
        Ok(self.rooted.path().join(path))
    }

    fn lstat(&self, path: &Path) -> Result<Option<Meta>, SourceError> {
        self.rooted.lstat(path).map_err(self.fault("read", path))
    }

    fn make_dir(&self, path: &Path) -> Result<(), SourceError> {
        let made = self
            .rooted
            .parent(path)
            .and_then(|(dir, name)| mkdirat(&*dir, name, Mode::RWXU).map_err(io::Error::from));
        made.map_err(self.fault("make the directory", path))
    }

    fn chmod(&self, path: &Path, mode: u32) -> Result<(), SourceError> {
        let set = self.rooted.parent(path).and_then(|(dir, name)| {
            chmodat(&*dir, name, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(Into::into)
        });
        set.map_err(self.fault("change the mode of", path))
    }

    fn remove(&self, path: &Path) -> Result<(), SourceError> {
        let removed = self.rooted.parent(path).and_then(|(dir, name)| {
            unlinkat(&*dir, name, AtFlags::empty()).map_err(io::Error::from)
        });
        removed.map_err(self.fault("replace", path))
    }

    fn write(&self, path: &Path, bytes: &[u8], facts: &Facts) -> Result<(), SourceError> {
        let mut file = self.create(path)?;
        file.write_all(bytes).map_err(self.fault("write", path))?;
        self.finish_file(path, &file, facts)
    }

    fn file(
        &self,
        place: &Path,
        (source, entry): (&SourceRoot<'_>, &Entry<'_>),
        facts: &FactsOf<'_>,
    ) -> Result<u64, SourceError> {
        let mut made = None;
        let on_disk = source.rooted.path().join(entry.path);
        let promised = steady::promised(source, entry);
        let meta = steady::read(source, (entry.path, entry.meta), &mut |file: &mut File| {
            let mut out = self.create(place)?;
            if let Some(promised) = promised {
                let mut hashing = Hashing::new(&mut out);
                let count = steady::pour(file, &mut hashing, entry.meta.size);
                let count = count.map_err(SourceError::io("copy", &on_disk))?;
                if hashing.finish().1 != promised {
                    return Err(steady::changed(entry.path));
                }
                made = Some(out);
                return Ok(count);
            }
            // On Linux this copies inside the kernel, and shares blocks where the file system can.
            let count = io::copy(file, &mut out).map_err(SourceError::io("copy", &on_disk))?;
            made = Some(out);
            Ok(count)
        })?;
        match made {
            Some(file) => self.finish_file(place, &file, &facts(&meta)?)?,
            None => return Err(SourceError::Changed { path: text(entry.path).into_owned() }),
        }
        Ok(meta.size)
    }

    fn hard_link(&self, first: &Path, path: &Path) -> Result<(), SourceError> {
        let linked = self.rooted.parent(first).and_then(|(from, name)| {
            let (dir, new) = self.rooted.parent(path)?;
            linkat(&*from, name, &*dir, new, AtFlags::empty()).map_err(io::Error::from)
        });
        linked.map_err(self.fault("link", path))
    }

    fn symlink(&self, path: &Path, to: &Path) -> Result<(), SourceError> {
        let made = self
            .rooted
            .parent(path)
            .and_then(|(dir, name)| symlinkat(to, &*dir, name).map_err(io::Error::from));
        made.map_err(self.fault("make the link", path))
    }

    fn fifo(&self, path: &Path) -> Result<(), SourceError> {
        let made = self.rooted.parent(path).and_then(|(dir, name)| {
            mkfifoat(&*dir, name, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)
        });
        made.map_err(self.fault("make the fifo", path))
    }

    fn set_facts(&self, path: &Path, facts: &Facts, is_link: bool) -> Result<(), SourceError> {
        let (uid, gid) = self.ids(path, facts.owner)?;
        let (dir, name) = self.rooted.parent(path).map_err(self.fault("find", path))?;
        chownat(&*dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.owner_fault(path, facts.owner, e))?;
        if !is_link {
            self.chmod(path, facts.mode)?;
            self.set_xattrs(path, &facts.xattrs)?;
        }
        facts.mtime.map_or(Ok(()), |time| self.set_mtime(path, time))
    }

    fn set_mtime(&self, path: &Path, time: (i64, i64)) -> Result<(), SourceError> {
        let set = self.rooted.parent(path).and_then(|(dir, name)| {
            utimensat(&*dir, name, &times(time), AtFlags::SYMLINK_NOFOLLOW).map_err(Into::into)
        });
        set.map_err(self.fault("set the time of", path))
    }
}

fn times((seconds, nanoseconds): (i64, i64)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Timestamps { last_access: time, last_modification: time }
}
