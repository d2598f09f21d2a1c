//! Mount points that must not stay behind. Where the image has no file to mount over, the OCI runtime makes
//! an empty one in the root file system, and the directory it lies in is copied up with it. Both would end up
//! in the step's layer although the step did nothing.

use std::{
    ffi::OsStr,
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};

use super::{ExecError, mounts};

/// Links followed on the way to one mount point.
const MAX_LINKS: usize = 40;

/// Extended attributes that overlayfs itself gives to a directory that it copies up.
const OVERLAY_OWN: [&str; 3] = ["user.overlay.origin", "user.overlay.impure", "user.overlay.uuid"];

/// What was not there before the step, and what the directories above it were.
#[derive(Debug, Default)]
pub(super) struct Stubs {
    upper: Option<PathBuf>,
    /// Paths relative to the root, each after its parents.
    missing: Vec<PathBuf>,
    /// Directories of the layers below, which are not yet in the upper directory.
    below: Vec<Directory>,
}

#[derive(Debug, PartialEq, Eq)]
struct Directory {
    path: PathBuf,
    owner: (u32, u32),
    mode: u32,
}

impl Stubs {
    /// Notes which of `targets` are missing from the root file system, which is mounted at `root` and whose
    /// changes go to `upper`. Looking leaves no trace in there.
    pub(super) fn before(
        root: &Path,
        upper: Option<PathBuf>,
        targets: &[&Path],
    ) -> Result<Self, ExecError> {
        if upper.is_none() {
            return Ok(Self::default());
        }
        let mut stubs = Self { upper, ..Self::default() };
        let root = open(root).map_err(ExecError::file("open", root))?;
        for target in targets {
            // Whatever cannot be looked at is left to the OCI runtime, which then says why.
            let _ = stubs.note(&root, target);
        }
        Ok(stubs)
    }

    /// Follows `target` from the root as far as it goes and notes the rest.
    fn note(&mut self, root: &OwnedFd, target: &Path) -> io::Result<()> {
        let mut rest = names(target);
        let mut place = PathBuf::new();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                place.pop();
                continue;
            }
            let next = place.join(&name);
            let Some(kind) = kind_of(root, &next)? else {
                rest.push(name);
                break;
            };
            if kind != FileType::Symlink {
                place = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::from(rustix::io::Errno::LOOP));
            }
            let link = rustix::fs::readlinkat(root, &next, Vec::new())?;
            let link = PathBuf::from(link.to_string_lossy().into_owned());
            if link.is_absolute() {
                place = PathBuf::new();
            }
            rest.extend(names(&link));
        }
        self.note_missing(root, &place, rest)
    }

    fn note_missing(
        &mut self,
        root: &OwnedFd,
        place: &Path,
        mut rest: Vec<std::ffi::OsString>,
    ) -> io::Result<()> {
        if rest.is_empty() || rest.iter().any(|name| name == "..") {
            return Ok(());
        }
        for above in place.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            let stat = rustix::fs::statat(root, above, AtFlags::SYMLINK_NOFOLLOW)?;
            let directory = Directory {
                path: above.to_owned(),
                owner: (stat.st_uid, stat.st_gid),
                mode: stat.st_mode,
            };
            let in_upper = self.upper.as_ref().map(|upper| upper.join(above));
            let copied = in_upper.is_some_and(|path| fs::symlink_metadata(path).is_ok());
            if !copied && !self.below.contains(&directory) {
                self.below.push(directory);
            }
        }
        let mut path = place.to_owned();
        while let Some(name) = rest.pop() {
            path.push(name);
            if !self.missing.contains(&path) {
                self.missing.push(path.clone());
            }
        }
        Ok(())
    }

    /// Takes out of the upper directory what is still as the OCI runtime made it. A step may have put links in
    /// the way: none is followed, so nothing outside is touched.
    pub(super) fn remove(&self) {
        let Some(root) = self.upper.as_deref().and_then(|upper| open(upper).ok()) else { return };
        for path in self.missing.iter().rev() {
            let _ = remove_stub(&root, path);
        }
        let mut below: Vec<_> = self.below.iter().collect();
        below.sort_by_key(|directory| std::cmp::Reverse(directory.path.components().count()));
        for directory in below {
            let _ = remove_copy(&root, directory);
        }
    }
}

/// Makes the mount points that stay in the layer of a bare image. Left to itself, each OCI runtime gives them
/// a mode of its own, and the layer would tell which one it was.
pub(super) fn make_standard_points(root: &Path) -> Result<(), ExecError> {
    let fault = || ExecError::file("make mount points in", root);
    let directory = open(root).map_err(fault())?;
    for name in ["dev", "proc", "sys"] {
        let made = rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755));
        match made {
            Err(rustix::io::Errno::EXIST) => continue,
            other => other.map_err(|errno| fault()(errno.into()))?,
        }
        let path = root.join(name);
        // Whatever the umask of this process is.
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, mode).map_err(fault())?;
        mounts::give(&path, (0, 0)).map_err(fault())?;
    }
    Ok(())
}

/// The names of a path, the last first, so that the next one can be popped.
fn names(path: &Path) -> Vec<std::ffi::OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// What is at `path`, no link followed; `None` when nothing is.
fn kind_of(root: &OwnedFd, path: &Path) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The directory that holds `path` and the last name, without following any link.
fn parent_of<'a>(root: &OwnedFd, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let above = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let above = above.unwrap_or(Path::new("."));
    Ok((rustix::fs::openat2(root, above, flags, Mode::empty(), resolve)?, name))
}

fn remove_stub(root: &OwnedFd, path: &Path) -> io::Result<()> {
    let (parent, name) = parent_of(root, path)?;
    let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let flags = match FileType::from_raw_mode(stat.st_mode) {
        // Fails when the step has put something in it: then it stays.
        FileType::Directory => AtFlags::REMOVEDIR,
        FileType::RegularFile if stat.st_size == 0 => AtFlags::empty(),
        _ => return Ok(()),
    };
    Ok(rustix::fs::unlinkat(&parent, name, flags)?)
}

/// Removes an empty directory that says nothing that the layers below do not say.
fn remove_copy(root: &OwnedFd, directory: &Directory) -> io::Result<()> {
    let (parent, name) = parent_of(root, &directory.path)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = fs::File::from(rustix::fs::openat(&parent, name, flags, Mode::empty())?);
    let metadata = copy.metadata()?;
    let same =
        (metadata.uid(), metadata.gid()) == directory.owner && metadata.mode() == directory.mode;
    if same && has_only_overlays_own(&copy)? {
        rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn has_only_overlays_own(directory: impl AsFd) -> io::Result<bool> {
    let mut names = vec![0_u8; 64 << 10];
    let length = rustix::fs::flistxattr(directory, names.as_mut_slice())?;
    let all = names.get(..length).unwrap_or_default();
    let mut each = all.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(each.all(|name| OVERLAY_OWN.iter().any(|own| own.as_bytes() == name)))
}

#[cfg(test)]
mod tests;
