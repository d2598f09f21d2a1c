//! A directory as the root of a small world: every path is resolved inside it. Symbolic links are
//! resolved here, name by name, and clamped at the root; the kernel is then only asked for paths
//! without links, and told so (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS), so that a link
//! that appears in between cannot lead out either.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, statat},
    io::Errno,
};

/// Links followed on one path before it counts as a loop; the kernel's own limit.
const MAX_LINKS: usize = 40;

/// What kind of file an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Fifo,
    Socket,
    Device,
}

/// The facts about one file that a copy or a digest needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// Seconds and nanoseconds.
    pub(super) mtime: (i64, i64),
    pub(super) ctime: (i64, i64),
    pub(super) inode: (u64, u64),
    pub(super) links: u64,
}

impl Meta {
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "the fields' widths differ between architectures"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            _ => Kind::Device,
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: (stat.st_dev as u64, stat.st_ino as u64),
            links: stat.st_nlink as u64,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Do these describe the same, untouched file?
    pub(super) fn same_content(&self, other: &Self) -> bool {
        (self.size, self.mtime, self.ctime, self.inode)
            == (other.size, other.mtime, other.ctime, other.inode)
    }
}

/// A directory that paths cannot leave. Paths are relative to it, without `..`; empty is itself.
#[derive(Debug)]
pub(super) struct Rooted {
    root: Arc<OwnedFd>,
    path: PathBuf,
    /// The folder used last: most calls for one folder's entries come one after another.
    recent: Mutex<Option<(PathBuf, Arc<OwnedFd>)>>,
}

impl Rooted {
    /// Opens `path`; links in `path` itself are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { root: Arc::new(root), path: path.to_owned(), recent: Mutex::new(None) })
    }

    /// Where the root is on this machine, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a path that holds no links.
    pub(super) fn open_plain(&self, rel: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let rel = if rel.as_os_str().is_empty() { Path::new(".") } else { rel };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat2(&self.root, rel, flags, Mode::empty(), resolve)?)
    }

    /// The same directory, for another thread.
    pub(super) fn again(&self) -> Self {
        Self { root: Arc::clone(&self.root), path: self.path.clone(), recent: Mutex::new(None) }
    }

    /// Opens the folder `rel` to list it.
    pub(super) fn open_dir(&self, rel: &Path) -> Result<OwnedFd, Errno> {
        let rel = if rel.as_os_str().is_empty() { Path::new(".") } else { rel };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(&self.root, rel, flags, Mode::empty(), resolve)
    }

    /// The folder that holds `rel`, opened, and the name of `rel` in it (`.` for the root).
    pub(super) fn parent<'p>(&self, rel: &'p Path) -> io::Result<(Arc<OwnedFd>, &'p OsStr)> {
        let (Some(parent), Some(name)) = (rel.parent(), rel.file_name()) else {
            return Ok((Arc::clone(&self.root), OsStr::new(".")));
        };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, fd)) = recent.as_ref()
            && path == parent
        {
            return Ok((Arc::clone(fd), name));
        }
        let fd = Arc::new(self.open_plain(parent, OFlags::PATH | OFlags::DIRECTORY)?);
        *recent = Some((parent.to_owned(), Arc::clone(&fd)));
        Ok((fd, name))
    }

    /// The facts about `rel` itself; `None` when nothing is there.
    pub(super) fn lstat(&self, rel: &Path) -> io::Result<Option<Meta>> {
        let found = self
            .parent(rel)
            .and_then(|(dir, name)| Ok(statat(&*dir, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(stat) => Ok(Some(Meta::of(&stat))),
            Err(cause) if missing(&cause) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// The target of the link `rel`.
    pub(super) fn read_link(&self, rel: &Path) -> io::Result<PathBuf> {
        let (dir, name) = self.parent(rel)?;
        let target = rustix::fs::readlinkat(&*dir, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// The names in the folder `rel`, sorted by their bytes.
    pub(super) fn names(&self, rel: &Path) -> io::Result<Vec<OsString>> {
        let fd = self.open_dir(rel)?;
        let mut names = Vec::new();
        for entry in Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens the regular file `rel` for reading; a fifo in its place does not block.
    pub(super) fn open_file(&self, rel: &Path) -> io::Result<File> {
        let (dir, name) = self.parent(rel)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(rustix::fs::openat(&*dir, name, flags, Mode::empty())?.into())
    }

    /// Where `path` leads inside the root: links followed, absolute ones from the root, `..` stopped
    /// at the root. What does not exist is kept as it is. `follow_last` is about the last name only.
    pub(super) fn resolve(&self, path: &Path, follow_last: bool) -> io::Result<PathBuf> {
        self.resolve_each(path, follow_last, &mut |_| {})
    }

    /// As [`Rooted::resolve`]; tells each link that was followed.
    pub(super) fn resolve_each(
        &self,
        path: &Path,
        follow_last: bool,
        link: &mut dyn FnMut(&Path),
    ) -> io::Result<PathBuf> {
        let target = |path: &Path| match self.lstat(path)? {
            Some(Meta { kind: Kind::Link, .. }) => {
                link(path);
                self.read_link(path).map(Some)
            }
            _ => Ok(None),
        };
        resolve_by(target, path, follow_last)
    }
}

/// Where `path` leads in a tree of which `target` tells where a path leads that is a link. See
/// [`Rooted::resolve`].
pub(super) fn resolve_by(
    mut target: impl FnMut(&Path) -> io::Result<Option<PathBuf>>,
    path: &Path,
    follow_last: bool,
) -> io::Result<PathBuf> {
    let mut todo: VecDeque<OsString> = names_of(path).collect();
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            done.pop();
            continue;
        }
        done.push(&name);
        if todo.is_empty() && !follow_last {
            break;
        }
        let Some(target) = target(&done)? else { continue };
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::from(Errno::LOOP));
        }
        if target.is_absolute() {
            done = PathBuf::new();
        } else {
            done.pop();
        }
        names_of(&target).rev().for_each(|name| todo.push_front(name));
    }
    Ok(done)
}

/// Is this the answer for a path that is not there (also below something that is no directory)?
pub(super) fn missing(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn names_of(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_clamped_at_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        std::fs::write(dir.path().join("passwd"), "inside").unwrap();
        symlink("/passwd", dir.path().join("abs")).unwrap();
        symlink("../../../../passwd", dir.path().join("real/up")).unwrap();
        symlink("real", dir.path().join("alias")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        let root = Rooted::open(dir.path()).unwrap();
        let resolve = |path: &str| root.resolve(Path::new(path), true);
        assert_eq!(resolve("abs").unwrap(), Path::new("passwd"));
        assert_eq!(resolve("alias/up").unwrap(), Path::new("passwd"));
        assert_eq!(resolve("/alias/sub/../new/x").unwrap(), Path::new("real/new/x"));
        assert_eq!(resolve("../../x").unwrap(), Path::new("x"));
        assert!(resolve("loop").is_err());
        assert_eq!(root.resolve(Path::new("abs"), false).unwrap(), Path::new("abs"));
    }

    #[test]
    fn the_kernel_refuses_a_link_that_was_not_resolved() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc", dir.path().join("etc")).unwrap();
        let root = Rooted::open(dir.path()).unwrap();
        assert!(root.open_file(Path::new("etc/passwd")).is_err());
        assert!(root.open_file(Path::new("etc")).is_err());
        assert!(root.names(Path::new("etc")).is_err());
    }
}
