//! A tree below a layout that nobody unpacked: what the archives of its layers say. Where a mounted tree might
//! say something else, this one says nothing, and the caller mounts.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use super::super::rooted::{Kind, Meta};
use crate::layer::{
    member,
    tree::{Entry, LayerIndex, Tree},
};

/// Layers as a tree.
#[derive(Debug)]
pub struct Ground {
    tree: Tree,
    /// Directories whose time depends on when they were unpacked, and files with several names.
    unsure: BTreeSet<String>,
    /// What is added to an id of the image on disk.
    shift: u32,
}

impl Ground {
    /// Without any layer; ids are shown higher by `shift`.
    #[must_use]
    pub fn new(shift: u32) -> Self {
        Self { tree: Tree::default(), unsure: BTreeSet::new(), shift }
    }

    /// Lays one more layer on top.
    pub fn push(&mut self, layer: &LayerIndex) {
        self.tree.push(layer);
        let mut listed: BTreeSet<String> = BTreeSet::new();
        let mut changed: BTreeSet<String> = BTreeSet::new();
        for entry in &layer.entries {
            let path = self.tree.real_path(&entry.path).unwrap_or_else(|| entry.path.clone());
            match entry.kind {
                member::Kind::Directory => drop(listed.insert(path.clone())),
                member::Kind::Hardlink => {
                    self.unsure.extend(entry.link.clone());
                    self.unsure.insert(path.clone());
                }
                member::Kind::Opaque => drop(changed.insert(path.clone())),
                _ => {}
            }
            // Each directory on the way may have been made for it.
            let mut rest = path.as_str();
            while let Some((parent, _)) = rest.rsplit_once('/') {
                if !changed.insert(parent.to_owned()) {
                    break;
                }
                rest = parent;
            }
        }
        self.unsure.extend(changed.difference(&listed).cloned());
    }

    pub(super) fn lstat(&self, path: &Path) -> io::Result<Option<Meta>> {
        if path.as_os_str().is_empty() {
            // The root has no entry in a layer that is laid; what it is like does not matter.
            return Ok(Some(self.meta(Kind::Directory, &Entry::implied_directory("", 0))?));
        }
        let text = sure(path)?;
        let mut above = text;
        while let Some((parent, _)) = above.rsplit_once('/') {
            match self.tree.get(parent) {
                Some(entry) if entry.kind != member::Kind::Directory => return Err(unsure()),
                _ => above = parent,
            }
        }
        match self.tree.get(text) {
            None => Ok(None),
            Some(entry) if self.unsure.contains(text) || entry.position.is_none() => Err(unsure()),
            Some(entry) => self.meta(kind(entry)?, entry).map(Some),
        }
    }

    pub(super) fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        match self.tree.get(sure(path)?).map(|entry| (entry.kind, entry.link.as_deref())) {
            // A link's bytes that are no text are written in another form.
            Some((member::Kind::Symlink, Some(link))) if !link.contains('\\') => Ok(link.into()),
            _ => Err(unsure()),
        }
    }

    fn meta(&self, kind: Kind, entry: &Entry) -> io::Result<Meta> {
        let id = |id: u64| {
            u32::try_from(id).ok().and_then(|id| id.checked_add(self.shift)).ok_or_else(unsure)
        };
        let size = match kind {
            Kind::Link => entry.link.as_deref().map_or(0, str::len) as u64,
            _ => entry.size,
        };
        Ok(Meta {
            kind,
            mode: entry.mode,
            uid: id(entry.uid)?,
            gid: id(entry.gid)?,
            size,
            mtime: (entry.mtime, 0),
            ctime: (0, 0),
            inode: (0, 0),
            links: 1,
        })
    }
}

fn kind(entry: &Entry) -> io::Result<Kind> {
    match entry.kind {
        member::Kind::File => Ok(Kind::File),
        member::Kind::Directory => Ok(Kind::Directory),
        member::Kind::Symlink => Ok(Kind::Link),
        _ => Err(unsure()),
    }
}

/// A path that an index has in the same form.
fn sure(path: &Path) -> io::Result<&str> {
    path.to_str().filter(|text| !text.is_empty() && !text.contains('\\')).ok_or_else(unsure)
}

fn unsure() -> io::Error {
    io::ErrorKind::Unsupported.into()
}
