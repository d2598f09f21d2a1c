//! A copy that is only written down: the entries that a layer will hold, as they would stand in the
//! directory of an overlay. `below` is what lies under it, `ground` where that is not unpacked; `write` makes the layer's archive, and reads the
//! files only then. So a COPY whose result no later step mounts needs no snapshot.
//!
//! Whatever would make the layer depend on more than names, facts and contents (a file that may be the
//! same as the one below, capabilities of another form, owners that a build cannot have) is an error here,
//! for the caller to copy into a snapshot instead; and so is every fault, which is then told from there.

mod below;
mod ground;
mod write;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use self::below::key;
pub use self::{
    below::{Below, Laid},
    ground::Ground,
};
use super::{
    context::SourceRoot,
    copy::{CopySpec, copy_to},
    destination::{Destination, Facts, FactsOf},
    error::SourceError,
    path::text,
    rooted::{Kind, Meta, resolve_by},
    steady,
    walk::Entry,
};
use crate::{layer::member::CAPABILITY_XATTR, oci::digest::Digest};

/// What a COPY will put into its layer.
#[derive(Debug)]
pub struct Layout {
    below: Below,
    /// What is added to an id of the image on disk.
    shift: u32,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sorted as the layer is.
    names: BTreeMap<Vec<u8>, usize>,
    inodes: Vec<Inode>,
}

/// One file, which may have several names.
#[derive(Debug)]
struct Inode {
    content: Content,
    mode: u32,
    /// On disk.
    owner: (u32, u32),
    /// `None` is the time of the build.
    mtime: Option<(i64, i64)>,
    capability: Option<Vec<u8>>,
    names: usize,
}

#[derive(Debug)]
enum Content {
    Directory,
    Link(PathBuf),
    Fifo,
    /// A path in the source, what stood there, and what is in it where that cannot tell.
    File(PathBuf, Meta, Option<Digest>),
    Text(Vec<u8>),
}

impl Inode {
    fn new(content: Content, mode: u32) -> Self {
        Self { content, mode, owner: (0, 0), mtime: None, capability: None, names: 1 }
    }

    fn meta(&self) -> Meta {
        let (kind, size) = match &self.content {
            Content::Directory => (Kind::Directory, 0),
            Content::Link(to) => (Kind::Link, to.as_os_str().len() as u64),
            Content::Fifo => (Kind::Fifo, 0),
            Content::File(_, meta, _) => (Kind::File, meta.size),
            Content::Text(text) => (Kind::File, text.len() as u64),
        };
        let (uid, gid) = self.owner;
        let mtime = self.mtime.unwrap_or_default();
        let links = self.names as u64;
        Meta { kind, mode: self.mode, uid, gid, size, mtime, ctime: (0, 0), inode: (0, 0), links }
    }
}

/// Writes down what `spec` copies out of `source` over `below`.
///
/// # Errors
/// Those of [`copy`](super::copy::copy), and [`SourceError::Unsupported`] for what only a snapshot does.
pub fn lay(source: &SourceRoot<'_>, spec: &CopySpec, below: Below) -> Result<Layout, SourceError> {
    let layout = Layout { below, shift: spec.shift, state: RefCell::default() };
    copy_to(source, spec, &layout)?;
    Ok(layout)
}

/// The highest id that every build has.
const MAX_ID: u32 = 65_535;

fn unsuited(path: &Path) -> SourceError {
    SourceError::Unsupported { path: text(path).into_owned(), kind: "entry for a layout" }
}

impl Layout {
    fn below(&self, path: &Path) -> Result<Option<Meta>, SourceError> {
        self.below.lstat(path).map_err(SourceError::io("read", Path::new("/").join(path)))
    }

    /// Makes the directories above `path` part of the layer, as an overlay copies them up, and marks the
    /// one it is in as changed now.
    fn touch_parent(&self, path: &Path) -> Result<(), SourceError> {
        let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return Ok(());
        };
        self.change(parent, |directory| directory.mtime = None)
    }

    /// Changes the directory at `path`, which becomes part of the layer.
    fn change(&self, path: &Path, change: impl FnOnce(&mut Inode)) -> Result<(), SourceError> {
        if path.as_os_str().is_empty() {
            // The root itself has no entry in a layer.
            return Ok(());
        }
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        for directory in above.into_iter().filter(|path| !path.as_os_str().is_empty()) {
            if self.state.borrow().names.contains_key(&key(directory)) {
                continue;
            }
            let there = self.below(directory)?.filter(Meta::is_dir);
            let there = there.ok_or_else(|| unsuited(directory))?;
            let mut inode = Inode::new(Content::Directory, there.mode);
            (inode.owner, inode.mtime) = ((there.uid, there.gid), Some(there.mtime));
            self.state.borrow_mut().put(directory, inode);
        }
        let mut state = self.state.borrow_mut();
        let inode = state.at(path).ok_or_else(|| unsuited(path))?;
        change(inode);
        Ok(())
    }

    fn make(&self, path: &Path, inode: Inode) -> Result<(), SourceError> {
        self.touch_parent(path)?;
        self.state.borrow_mut().put(path, inode);
        Ok(())
    }

    /// Checks `facts` and gives them to `inode`.
    fn give(&self, path: &Path, facts: &Facts, inode: &mut Inode) -> Result<(), SourceError> {
        let (uid, gid) = facts.owner;
        if uid > MAX_ID || gid > MAX_ID {
            return Err(unsuited(path));
        }
        inode.owner = (uid + self.shift, gid + self.shift);
        inode.mode = facts.mode;
        inode.mtime = facts.mtime;
        let capability = facts.xattrs.iter().find(|(name, _)| name == CAPABILITY_XATTR);
        inode.capability = capability.map(|(_, value)| value.clone());
        // Revision 2 (capability.h): the form that layers have.
        let is_plain = |value: &Vec<u8>| value.len() == 20 && value[3] == 2;
        match inode.capability.as_ref().is_none_or(is_plain) {
            true => Ok(()),
            false => Err(unsuited(path)),
        }
    }
}

impl State {
    fn put(&mut self, path: &Path, inode: Inode) {
        self.inodes.push(inode);
        self.names.insert(key(path), self.inodes.len() - 1);
    }

    fn at(&mut self, path: &Path) -> Option<&mut Inode> {
        let number = self.names.get(&key(path))?;
        self.inodes.get_mut(*number)
    }
}

impl Destination for Layout {
    fn resolve(&self, path: &str) -> Result<PathBuf, SourceError> {
        let target = |path: &Path| -> io::Result<Option<PathBuf>> {
            if let Some(inode) = self.state.borrow_mut().at(path) {
                return Ok(match &inode.content {
                    Content::Link(to) => Some(to.clone()),
                    _ => None,
                });
            }
            match self.below.lstat(path)? {
                Some(Meta { kind: Kind::Link, .. }) => self.below.read_link(path).map(Some),
                _ => Ok(None),
            }
        };
        resolve_by(target, Path::new(path), true).map_err(SourceError::io("find", path))
    }

    fn on_disk(&self, path: &Path) -> Result<PathBuf, SourceError> {
        Err(unsuited(path))
    }

    fn lstat(&self, path: &Path) -> Result<Option<Meta>, SourceError> {
        let mut state = self.state.borrow_mut();
        if let Some(inode) = state.at(path) {
            return Ok(Some(inode.meta()));
        }
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            if state.at(above).is_some_and(|inode| !inode.meta().is_dir()) {
                return Ok(None);
            }
        }
        drop(state);
        self.below(path)
    }

    fn make_dir(&self, path: &Path) -> Result<(), SourceError> {
        self.make(path, Inode::new(Content::Directory, 0o700))
    }

    fn chmod(&self, path: &Path, mode: u32) -> Result<(), SourceError> {
        self.change(path, |directory| directory.mode = mode)
    }

    fn remove(&self, path: &Path) -> Result<(), SourceError> {
        self.touch_parent(path)?;
        let mut state = self.state.borrow_mut();
        if let Some(number) = state.names.remove(&key(path)) {
            state.inodes[number].names -= 1;
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8], facts: &Facts) -> Result<(), SourceError> {
        let mut inode = Inode::new(Content::Text(bytes.to_vec()), 0);
        self.give(path, facts, &mut inode)?;
        self.make(path, inode)
    }

    fn file(
        &self,
        path: &Path,
        (source, entry): (&SourceRoot<'_>, &Entry<'_>),
        facts: &FactsOf<'_>,
    ) -> Result<u64, SourceError> {
        let (meta, promised) = (*entry.meta, steady::promised(source, entry));
        let mut inode = Inode::new(Content::File(entry.path.to_owned(), meta, promised), 0);
        self.give(path, &facts(&meta)?, &mut inode)?;
        self.make(path, inode)?;
        Ok(meta.size)
    }

    fn hard_link(&self, first: &Path, path: &Path) -> Result<(), SourceError> {
        self.touch_parent(path)?;
        let mut state = self.state.borrow_mut();
        let number = *state.names.get(&key(first)).ok_or_else(|| unsuited(first))?;
        state.inodes[number].names += 1;
        state.names.insert(key(path), number);
        Ok(())
    }

    fn symlink(&self, path: &Path, to: &Path) -> Result<(), SourceError> {
        self.make(path, Inode::new(Content::Link(to.to_owned()), 0o777))
    }

    fn fifo(&self, path: &Path) -> Result<(), SourceError> {
        self.make(path, Inode::new(Content::Fifo, 0o600))
    }

    fn set_facts(&self, path: &Path, facts: &Facts, is_link: bool) -> Result<(), SourceError> {
        let mut given = Inode::new(Content::Fifo, 0);
        self.give(path, facts, &mut given)?;
        let take = |inode: &mut Inode| {
            inode.owner = given.owner;
            if !is_link {
                (inode.mode, inode.capability) = (given.mode, given.capability);
            }
            if given.mtime.is_some() {
                inode.mtime = given.mtime;
            }
        };
        if let Some(inode) = self.state.borrow_mut().at(path) {
            take(inode);
            return Ok(());
        }
        self.change(path, take)
    }

    fn set_mtime(&self, path: &Path, time: (i64, i64)) -> Result<(), SourceError> {
        self.change(path, |directory| directory.mtime = Some(time))
    }
}

#[cfg(test)]
mod tests;
