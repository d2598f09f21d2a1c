//! One look at a context, shared by everybody who asks about it in a build: names, what `stat` says of each, where
//! links lead, and what the ignore file hides. Directories are listed by several threads; what comes out does
//! not depend on how they took turns. A digest and the layer that it names are made from the same look, so that they
//! cannot differ in anything but the contents of files, which are compared with it when they are read.

mod lister;

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::io::Errno;

use super::{
    ignore::Ignore,
    rooted::{Meta, Rooted},
    xattrs::Xattr,
};
use crate::oci::digest::Digest;

/// A file that changed less than this before the look, in seconds, can change again without another time:
/// the resolution of file systems' clocks, with much to spare.
pub(super) const SETTLED: i64 = 2;

/// A context as it was at one moment.
#[derive(Debug)]
pub struct Survey {
    top: Item,
    /// By the number that [`Item::folder`] gives; the context itself is the first.
    folders: Vec<Folder>,
    /// When the look began, in seconds since 1970.
    taken: i64,
}

/// What is in a directory, sorted by the bytes of names, or why that cannot be told.
type Folder = Result<Vec<Item>, Errno>;

/// One entry.
#[derive(Debug)]
pub(super) struct Item {
    name: Box<OsStr>,
    seen: Result<Meta, Errno>,
    hidden: bool,
    folder: Option<u32>,
    link: Option<Box<Path>>,
    /// Once somebody asked.
    xattrs: OnceLock<Box<[Xattr]>>,
    digest: OnceLock<Box<Digest>>,
}

impl Item {
    fn new(name: &[u8], seen: Result<Meta, Errno>, hidden: bool) -> Self {
        Self {
            name: OsStr::from_bytes(name).into(),
            seen,
            hidden,
            folder: None,
            link: None,
            xattrs: OnceLock::new(),
            digest: OnceLock::new(),
        }
    }

    /// Its name in its directory; empty for the context itself.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// What it is.
    ///
    /// # Errors
    /// The system does not say.
    pub(super) fn meta(&self) -> io::Result<Meta> {
        Ok(self.seen?)
    }

    /// Does the ignore file hide it?
    pub(super) fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// Is it a directory into which the look went? It goes into no hidden one without exceptions.
    pub(super) fn is_open(&self) -> bool {
        self.folder.is_some()
    }

    /// Where it leads, if it is a link.
    pub(super) fn link(&self) -> Option<&Path> {
        self.link.as_deref()
    }

    /// Its attributes, which are read once.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn xattrs<E>(
        &self,
        read: impl FnOnce() -> Result<Vec<Xattr>, E>,
    ) -> Result<Vec<Xattr>, E> {
        if let Some(known) = self.xattrs.get() {
            return Ok(known.to_vec());
        }
        let found = read()?;
        Ok(self.xattrs.get_or_init(|| found.into()).to_vec())
    }

    /// The digest of its contents, if it was read for a key of this build.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest.get().map(|digest| **digest)
    }

    /// Keeps the digest of its contents. The first one stays, and is what holds for this build.
    pub(super) fn keep(&self, digest: Digest) -> Digest {
        **self.digest.get_or_init(|| Box::new(digest))
    }
}

impl Survey {
    /// Looks at everything in `rooted` that `ignore` does not hide.
    pub(super) fn of(rooted: &Rooted, ignore: Option<&Ignore>) -> io::Result<Self> {
        Self::by(lister::threads(), rooted, ignore)
    }

    fn by(threads: usize, rooted: &Rooted, ignore: Option<&Ignore>) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let top = rooted.lstat(Path::new(""))?.ok_or(Errno::NOENT)?;
        let folders = lister::list(rooted, ignore, threads);
        let top = Item { folder: Some(0), ..Item::new(b"", Ok(top), false) };
        Ok(Self { top, folders, taken: i64::try_from(now).unwrap_or(i64::MAX) })
    }

    /// The entry at `path`, if there was one that could be seen.
    pub(super) fn find(&self, path: &Path) -> Option<&Item> {
        let mut at = &self.top;
        for component in path.components() {
            let Component::Normal(name) = component else { return None };
            let items = self.items(at).ok()?;
            let found = items.binary_search_by(|item| item.name().as_bytes().cmp(name.as_bytes()));
            at = &items[found.ok()?];
        }
        Some(at)
    }

    /// What is in a directory.
    ///
    /// # Errors
    /// It could not be read.
    pub(super) fn items(&self, folder: &Item) -> io::Result<&[Item]> {
        let folder = folder.folder.and_then(|number| self.folders.get(number as usize));
        match folder {
            Some(Ok(items)) => Ok(items),
            Some(Err(cause)) => Err((*cause).into()),
            None => Ok(&[]),
        }
    }

    /// Had it been left alone for so long that whatever changed it since shows in its times?
    pub(super) fn has_settled(&self, meta: &Meta) -> bool {
        self.has_passed(meta.mtime.0.max(meta.ctime.0))
    }

    /// Was this time, in seconds since 1970, well past then?
    pub(super) fn has_passed(&self, time: i64) -> bool {
        time.saturating_add(SETTLED) < self.taken
    }
}

/// A path to a directory that a thread will list.
#[derive(Debug, Default)]
struct Place {
    number: u32,
    path: PathBuf,
}

#[cfg(test)]
mod tests;
