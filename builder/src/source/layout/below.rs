//! The tree that a layout is laid over: a mounted root or the archives of one, and layers above it that have no
//! snapshot.

use std::{
    collections::BTreeMap,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::rooted::{Kind, Meta, Rooted},
    ground::Ground,
};

/// What a layer holds at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) meta: Meta,
    /// Where a symbolic link leads.
    pub(super) link: PathBuf,
}

/// The entries of a layer that was written without a snapshot.
#[derive(Debug, Default)]
pub struct Laid {
    pub(super) entries: BTreeMap<Vec<u8>, Seen>,
}

impl Laid {
    /// Has the layer anything at exactly this path, given without its leading slash?
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(&key(Path::new(path)))
    }

    /// What the layer says about a path: nothing, that nothing is there, or what is.
    fn look(&self, path: &Path) -> Option<Option<&Seen>> {
        if let Some(seen) = self.entries.get(&key(path)) {
            return Some(Some(seen));
        }
        let above = path.ancestors().skip(1).filter_map(|above| self.entries.get(&key(above)));
        above.into_iter().any(|seen| !seen.meta.is_dir()).then_some(None)
    }
}

/// The merged tree below a layer.
#[derive(Debug)]
pub struct Below {
    base: Base,
    laid: Vec<Arc<Laid>>,
}

#[derive(Debug)]
enum Base {
    Mounted(Rooted),
    Ground(Arc<Ground>),
}

impl Below {
    /// The mounted tree `root`, and these layers on it, the lowest first.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn open(root: &Path, laid: Vec<Arc<Laid>>) -> io::Result<Self> {
        Ok(Self { base: Base::Mounted(Rooted::open(root)?), laid })
    }

    /// A tree that nobody unpacked, and these layers on it, the lowest first.
    #[must_use]
    pub fn over(ground: Arc<Ground>, laid: Vec<Arc<Laid>>) -> Self {
        Self { base: Base::Ground(ground), laid }
    }

    pub(super) fn lstat(&self, path: &Path) -> io::Result<Option<Meta>> {
        match self.laid.iter().rev().find_map(|layer| layer.look(path)) {
            Some(seen) => Ok(seen.map(|seen| seen.meta)),
            None => match &self.base {
                Base::Mounted(root) => root.lstat(path),
                Base::Ground(ground) => ground.lstat(path),
            },
        }
    }

    pub(super) fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        match self.laid.iter().rev().find_map(|layer| layer.look(path)).flatten() {
            Some(Seen { meta: Meta { kind: Kind::Link, .. }, link }) => Ok(link.clone()),
            Some(_) => Err(io::ErrorKind::InvalidInput.into()),
            None => match &self.base {
                Base::Mounted(root) => root.read_link(path),
                Base::Ground(ground) => ground.read_link(path),
            },
        }
    }
}

/// A path as a key that sorts as a layer does: a directory, what is in it, and then its next sibling.
pub(super) fn key(path: &Path) -> Vec<u8> {
    let byte = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    path.as_os_str().as_bytes().iter().map(byte).collect()
}
