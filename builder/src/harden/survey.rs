//! The image as it stands, layer by layer: the real path of each entry, what each link leads to in
//! every state that the layers pass through, and which packages each state has.
//!
//! A link is looked up in all states and not only in the last one, because every layer's bytes are in
//! the image, also those that a later layer hides.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    facts::{Facts, Id},
    packages::{self, Package},
};
use crate::layer::{
    member::Kind,
    tree::{Entry, Tree},
};

/// What one look over all layers gives.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The merged tree.
    pub(super) tree: Tree,
    /// Real path of each entry, by layer and position.
    pub(super) paths: Vec<Vec<String>>,
    /// Hard link → the entry it names.
    pub(super) hard: BTreeSet<(Id, Id)>,
    /// Symbolic link → the next entry on its way, and the one at the end of it.
    pub(super) soft: BTreeSet<(Id, Id)>,
    /// Packages of all states; the same one once.
    pub(super) packages: BTreeSet<Package>,
}

impl Survey {
    pub(super) fn of(layers: &[Arc<Facts>]) -> Self {
        let mut survey = Self::default();
        for (number, facts) in layers.iter().enumerate() {
            survey.push(number, facts, layers);
        }
        survey
    }

    /// The real path of an entry, without leading slash.
    pub(super) fn path(&self, (layer, position): Id) -> &str {
        self.paths.get(layer).and_then(|paths| paths.get(position)).map_or("", String::as_str)
    }

    fn push(&mut self, number: usize, facts: &Facts, layers: &[Arc<Facts>]) {
        self.tree.push(&facts.index);
        let tree = &self.tree;
        let real =
            |entry: &Entry| tree.real_path(&entry.path).unwrap_or_else(|| entry.path.clone());
        let paths: Vec<String> = facts.index.entries.iter().map(real).collect();
        // Where each path stood last: a target may be one that a later entry of the archive replaced.
        let mut earlier: BTreeMap<&str, usize> = BTreeMap::new();
        for (position, entry) in facts.index.entries.iter().enumerate() {
            if let Some(link) = entry.link.as_deref().filter(|_| entry.kind == Kind::Hardlink) {
                let target = tree.real_path(link).and_then(|path| tree.get(&path)).and_then(id);
                let target = target.or_else(|| Some((number, *earlier.get(link)?)));
                self.hard.extend(target.map(|target| ((number, position), target)));
            }
            earlier.insert(&entry.path, position);
        }
        for entry in tree.iter().filter(|entry| entry.kind == Kind::Symlink) {
            let Some(from) = id(entry) else { continue };
            // The next link on the way and the end of the way: without either, this one is broken.
            let next = tree.next_path(entry).and_then(|path| tree.get(&path)).and_then(id);
            let end = tree.target(entry).and_then(id);
            let others = [next, end].into_iter().flatten().filter(|target| *target != from);
            self.soft.extend(others.map(|target| (from, target)));
        }
        if paths.iter().any(|path| packages::is_database(path)) {
            self.packages.extend(packages::installed(tree, layers));
        }
        self.paths.push(paths);
    }
}

fn id(entry: &Entry) -> Option<Id> {
    entry.position.map(|position| (entry.layer, position))
}
