//! The file tree that layers make together, without unpacking any: `index` reads one layer, [`Tree`]
//! lays indexes over each other (layer.md, "Applying Changesets").

mod index;

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

pub use index::{
    Contents, Entry, LayerIndex, ScanError, Visitor, read_files, read_whole, scan, scan_with,
};

use super::member::Kind;

/// Symbolic links that one path may go through, as in Linux.
const MAX_LINKS: usize = 40;

/// A merged tree. Whiteouts and opaque marks are applied, hard links carry their target's content, and
/// an entry below a linked directory stands at its real path (`usr/bin/x`, not `bin/x`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Entry>,
    layers: usize,
}

impl Tree {
    /// The tree of these layers, the lowest first.
    #[must_use]
    pub fn merge(layers: &[LayerIndex]) -> Self {
        let mut tree = Self::default();
        for index in layers {
            tree.push(index);
        }
        tree
    }

    /// Lays one more layer on top.
    pub fn push(&mut self, index: &LayerIndex) {
        // "Whiteouts apply only to lower layers": so before anything else, wherever they stand.
        for entry in &index.entries {
            match entry.kind {
                Kind::Whiteout => {
                    if let Some(path) = self.real_path(&entry.path) {
                        self.remove(&path);
                    }
                }
                Kind::Opaque => {
                    if let Some(path) = self.walk(&entry.path, true) {
                        self.remove_below(&path);
                    }
                }
                _ => {}
            }
        }
        let layer = self.layers;
        for entry in &index.entries {
            if !entry.path.is_empty() && !matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
                self.put(entry, layer);
            }
        }
        self.layers += 1;
    }

    /// The entry at exactly this real path; a leading slash is allowed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.nodes.get(path.trim_matches('/'))
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.nodes.values()
    }

    /// The entries below a directory given by its real path, at any depth.
    pub fn below(&self, path: &str) -> impl Iterator<Item = &Entry> {
        let start = if path.is_empty() { String::new() } else { format!("{path}/") };
        let begins = start.clone();
        self.nodes
            .range::<str, _>((Excluded(start.as_str()), Unbounded))
            .map(|(_, entry)| entry)
            .take_while(move |entry| entry.path.starts_with(&begins))
    }

    /// What a path leads to when all links are followed, inside the root. `None`: nothing there, a
    /// link into nothing, or a loop.
    #[must_use]
    pub fn resolve(&self, path: &str) -> Option<&Entry> {
        self.nodes.get(&self.walk(path, true)?)
    }

    /// The real path of a name: links in its directories are followed, the name itself is not. The
    /// name need not exist. `None` on a loop or when a file stands where a directory should.
    #[must_use]
    pub fn real_path(&self, path: &str) -> Option<String> {
        self.walk(path, false)
    }

    /// What a symbolic link at `entry` leads to, by its own directory.
    #[must_use]
    pub fn target(&self, entry: &Entry) -> Option<&Entry> {
        self.nodes.get(&self.target_path(entry)?)
    }

    /// The real path a symbolic link leads to in the end, whether anything is there or not.
    #[must_use]
    pub fn target_path(&self, entry: &Entry) -> Option<String> {
        self.walk(&written(entry)?, true)
    }

    /// The real path that a symbolic link names, which may be a link again.
    #[must_use]
    pub fn next_path(&self, entry: &Entry) -> Option<String> {
        self.walk(&written(entry)?, false)
    }

    fn walk(&self, path: &str, follow_last: bool) -> Option<String> {
        let mut pending: Vec<&str> = parts(path).rev().collect();
        let mut real = String::new();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            if part == ".." {
                real.truncate(real.rfind('/').unwrap_or(0));
                continue;
            }
            let parent = real.len();
            if parent > 0 {
                real.push('/');
            }
            real.push_str(part);
            let Some(entry) = self.nodes.get(&real) else { continue };
            match &entry.link {
                Some(link)
                    if entry.kind == Kind::Symlink && (follow_last || !pending.is_empty()) =>
                {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    real.truncate(if link.starts_with('/') { 0 } else { parent });
                    pending.extend(parts(link).rev());
                }
                _ if entry.kind != Kind::Directory && !pending.is_empty() => return None,
                _ => {}
            }
        }
        Some(real)
    }

    fn put(&mut self, entry: &Entry, layer: usize) {
        // A loop or a file in the way: the unpacker refuses such a layer; here the name as written
        // keeps the entry in sight.
        let path = self.real_path(&entry.path).unwrap_or_else(|| entry.path.clone());
        self.imply_parents(&path, layer);
        let mut entry = Entry { path, layer, ..entry.clone() };
        if entry.kind == Kind::Hardlink {
            self.adopt(&mut entry);
        }
        let both_directories = entry.kind == Kind::Directory
            && self.nodes.get(&entry.path).is_some_and(|old| old.kind == Kind::Directory);
        if !both_directories {
            self.remove(&entry.path);
        }
        self.nodes.insert(entry.path.clone(), entry);
    }

    /// Gives a hard link what its target has.
    fn adopt(&self, entry: &mut Entry) {
        let target = entry.link.as_deref().and_then(|link| self.real_path(link));
        if let Some(target) = target.and_then(|path| self.nodes.get(&path)) {
            let link = if target.kind == Kind::Symlink {
                target.link.clone()
            } else {
                Some(target.path.clone())
            };
            let (path, layer, position) = (entry.path.clone(), entry.layer, entry.position);
            *entry = Entry { path, link, layer, position, ..target.clone() };
        }
    }

    fn imply_parents(&mut self, path: &str, layer: usize) {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if self.nodes.get(parent).is_none_or(|entry| entry.kind != Kind::Directory) {
                self.nodes.insert(parent.into(), Entry::implied_directory(parent, layer));
            }
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, path: &str) {
        let gone: Vec<String> = self.below(path).map(|entry| entry.path.clone()).collect();
        for path in gone {
            self.nodes.remove(&path);
        }
    }
}

/// What a symbolic link says, as a path from the root.
fn written(entry: &Entry) -> Option<String> {
    let link = entry.link.as_deref().filter(|_| entry.kind == Kind::Symlink)?;
    let parent = entry.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    Some(if link.starts_with('/') { link.to_owned() } else { format!("{parent}/{link}") })
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

#[cfg(test)]
mod tests;
