//! What lies below a layer, and whether an entry of the layer says anything new about it. An overlay's
//! upper directory holds more than what changed: the directories on the way, and files that were
//! written or changed back to what they were. Such entries are no part of a layer, as in BuildKit.

use std::{
    ffi::{CString, OsStr},
    fs::File,
    io::{self, BufRead, BufReader},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    rc::Rc,
};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};

use super::{
    member::CAPABILITY_XATTR,
    root::{names, open_directory},
};

/// The merged tree under a layer.
pub(super) struct Below {
    root: OwnedFd,
    /// Times are compared as layers have them, none later than this; else as they are on disk.
    epoch: Option<i64>,
    /// The directory used last, and what was found there: none is a missing one.
    last: Option<(Vec<u8>, Option<Rc<OwnedFd>>)>,
}

impl Below {
    pub(super) fn open(path: &Path, epoch: Option<i64>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: fs::open(path, flags, Mode::empty())?, epoch, last: None })
    }

    /// The names in the directory at `path`; none when there is no directory.
    pub(super) fn names(&mut self, path: &[u8]) -> io::Result<Vec<CString>> {
        let Some(directory) = self.directory(path)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (name, _) in names(&*directory)? {
            if self.stat(&join(path, name.to_bytes()))?.is_some() {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// What stands at `path`.
    pub(super) fn stat(&mut self, path: &[u8]) -> io::Result<Option<Stat>> {
        let (parent, name) = split(path);
        let Some(parent) = self.directory(parent)? else { return Ok(None) };
        match fs::statat(&*parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_whiteout(&stat) => Ok(None),
            Ok(stat) => Ok(Some(stat)),
            Err(fault) if is_missing(fault.into()) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Does the entry `name` in `parent` say the same as what stands at `path` here? Directories are
    /// compared by mode and owner, everything else by time and content too.
    pub(super) fn is_same(
        &mut self,
        path: &[u8],
        parent: &OwnedFd,
        name: &[u8],
        stat: &Stat,
    ) -> io::Result<bool> {
        let Some(old) = self.stat(path)? else { return Ok(false) };
        let facts = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
        if facts(&old) != facts(stat) {
            return Ok(false);
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return Ok(true);
        }
        // What a layer was unpacked from says no more, so that it does not matter whether the directory below
        // is the one that its step wrote.
        let time = |stat: &Stat| match self.epoch {
            Some(epoch) => (stat.st_size, stat.st_mtime.min(epoch).max(0), 0),
            None => (stat.st_size, stat.st_mtime, stat.st_mtime_nsec),
        };
        if time(&old) != time(stat) {
            return Ok(false);
        }
        let Some(old_parent) = self.directory(split(path).0)? else { return Ok(false) };
        match kind {
            FileType::RegularFile => {
                let (old_file, file) = (open_file(&old_parent, name)?, open_file(parent, name)?);
                if capability(&old_file)? != capability(&file)? {
                    return Ok(false);
                }
                same_content(old_file, file)
            }
            FileType::Symlink => {
                let target = |dir: &OwnedFd| fs::readlinkat(dir, name, Vec::new());
                Ok(target(&old_parent)? == target(parent)?)
            }
            _ => Ok(true),
        }
    }

    fn directory(&mut self, path: &[u8]) -> io::Result<Option<Rc<OwnedFd>>> {
        if let Some((_, found)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(found.clone());
        }
        let found = match open_directory(self.root.as_fd(), path) {
            Ok(fd) => Some(Rc::new(fd)),
            Err(fault) if is_missing(io::Error::from_raw_os_error(raw(&fault))) => None,
            Err(fault) => return Err(fault),
        };
        self.last = Some((path.to_vec(), found.clone()));
        Ok(found)
    }
}

/// Overlayfs's mark for a name that is gone: a character device 0:0.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// The parent and the name of a path.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The path of a name in a directory.
pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        b"" => name.to_vec(),
        _ => [path, b"/", name].concat(),
    }
}

fn raw(fault: &io::Error) -> i32 {
    fault.raw_os_error().unwrap_or_default()
}

/// Nothing there, or a link or a file where a directory would have to be.
fn is_missing(fault: io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    let is_link = raw(&fault) == rustix::io::Errno::LOOP.raw_os_error();
    is_link || matches!(fault.kind(), NotFound | NotADirectory)
}

fn open_file(parent: &OwnedFd, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(fs::openat(parent, OsStr::from_bytes(name), flags, Mode::empty())?))
}

fn capability(file: &File) -> io::Result<Option<Vec<u8>>> {
    xattr::FileExt::get_xattr(file, CAPABILITY_XATTR)
}

fn same_content(one: File, other: File) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let count = left.len().min(right.len());
        if count == 0 || left[..count] != right[..count] {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(count);
        other.consume(count);
    }
}
