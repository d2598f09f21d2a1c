//! File operations that cannot leave one directory. The kernel resolves each path with that directory
//! as its root (`openat2`, `RESOLVE_IN_ROOT`), so an absolute or climbing symbolic link leads to a
//! place inside it, and the last component is never followed.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    rc::Rc,
};

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// A directory that nothing is written outside of.
pub(super) struct Root {
    fd: Rc<OwnedFd>,
    /// The directory used last: archives go directory by directory.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let fd = Rc::new(fs::open(path, DIRECTORY, Mode::empty())?);
        Ok(Self { fd, last: None })
    }

    /// Opens a directory by its components, following links inside the root. Missing directories are
    /// made with mode 0755 and this owner.
    pub(super) fn directory(&mut self, parts: &[&[u8]], owner: u32) -> io::Result<Rc<OwnedFd>> {
        if parts.is_empty() {
            return Ok(Rc::clone(&self.fd));
        }
        let path = parts.join(&b'/');
        if let Some((_, fd)) = self.last.as_ref().filter(|(last, _)| *last == path) {
            return Ok(Rc::clone(fd));
        }
        let fd = match self.existing(&path) {
            Ok(fd) => fd,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => self.make(parts, owner)?,
            Err(fault) => return Err(fault),
        };
        let fd = Rc::new(fd);
        self.last = Some((path, Rc::clone(&fd)));
        Ok(fd)
    }

    /// Opens a directory that exists, following links inside the root.
    pub(super) fn existing(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() { b"." } else { path };
        Ok(fs::openat2(&self.fd, path, DIRECTORY, Mode::empty(), resolve)?)
    }

    /// Forgets the directory used last, because it may have been removed.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Makes the missing ones of a chain of directories, from the first to the last.
    fn make(&self, parts: &[&[u8]], owner: u32) -> io::Result<OwnedFd> {
        let mut path = Vec::new();
        let mut parent = self.existing(b"")?;
        for part in parts {
            path.extend_from_slice(part);
            parent = match self.existing(&path) {
                Ok(fd) => fd,
                Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                    fs::mkdirat(&parent, *part, Mode::from_raw_mode(0o755))?;
                    fs::chownat(&parent, *part, uid(owner), gid(owner), AtFlags::SYMLINK_NOFOLLOW)?;
                    self.existing(&path)?
                }
                Err(fault) => return Err(fault),
            };
            path.push(b'/');
        }
        Ok(parent)
    }
}

pub(super) fn uid(id: u32) -> Option<rustix::fs::Uid> {
    Some(rustix::fs::Uid::from_raw(id))
}

pub(super) fn gid(id: u32) -> Option<rustix::fs::Gid> {
    Some(rustix::fs::Gid::from_raw(id))
}

/// Opens one directory for reading its names or setting its attributes; not through links.
pub(super) fn open_directory(parent: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let path = if path.is_empty() { b"." } else { path };
    Ok(fs::openat2(parent, path, flags, Mode::empty(), resolve)?)
}

/// The names in a directory with their types, unsorted.
pub(super) fn names(directory: impl AsFd) -> io::Result<Vec<(CString, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(names)
}

/// Removes whatever stands at a name, a directory with all that it holds. Nothing there is fine.
/// Directories are opened by their path from `parent` one at a time, so that a deep tree exhausts
/// neither the stack nor the file descriptors.
pub(super) fn remove_all(parent: impl AsFd, name: &[u8]) -> io::Result<()> {
    let parent = parent.as_fd();
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(fault) => return Err(fault.into()),
    }
    let mut directories = vec![name.to_vec()];
    let mut next = 0;
    while let Some(path) = directories.get(next).cloned() {
        next += 1;
        let directory = open_directory(parent, &path)?;
        for (name, kind) in names(&directory)? {
            if is_directory(&directory, &name, kind)? {
                directories.push([&path, &b"/"[..], name.to_bytes()].concat());
            } else {
                fs::unlinkat(&directory, &name, AtFlags::empty())?;
            }
        }
    }
    for path in directories.iter().rev() {
        fs::unlinkat(parent, path, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn is_directory(parent: &OwnedFd, name: &CString, kind: FileType) -> io::Result<bool> {
    if kind != FileType::Unknown {
        return Ok(kind == FileType::Directory);
    }
    let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
