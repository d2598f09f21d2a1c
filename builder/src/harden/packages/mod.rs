//! Package databases: what they say is installed, and how they are kept true when files go. `dpkg`
//! reads Debian's and distroless's, `apk` Alpine's.

pub(super) mod apk;
pub(super) mod dpkg;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{facts::Facts, rules};
use crate::layer::tree::{Entry, Tree};

/// One installed package in one state of the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    /// `deb` or `apk`.
    pub(super) ecosystem: &'static str,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    /// Real paths of what it lists, files and directories alike, without leading slash.
    pub(super) paths: BTreeSet<String>,
    /// Those of them that are commands: executable, in a `bin` or `sbin` directory.
    pub(super) commands: BTreeSet<String>,
}

/// Name and architecture: what makes two packages two.
pub(super) type Key = (&'static str, String, String);

impl Package {
    pub(super) fn key(&self) -> Key {
        (self.ecosystem, self.name.clone(), self.architecture.clone())
    }

    /// The rule under which the package's main program was removed: a command with the package's
    /// name, or every command that it has. A glob of the policy takes files, not packages.
    pub(super) fn program_gone(
        &self,
        removed: &BTreeMap<&str, &'static str>,
    ) -> Option<&'static str> {
        let rule = |path: &str| removed.get(path).copied().filter(|rule| *rule != rules::POLICY);
        let named = |path: &&String| {
            let program = path.rsplit('/').next().unwrap_or(path);
            self.is_named_after(program) && rule(path).is_some()
        };
        match self.commands.iter().find(named) {
            Some(path) => rule(path),
            None if self.commands.iter().all(|path| rule(path).is_some()) => {
                self.commands.first().and_then(|path| rule(path))
            }
            None => None,
        }
    }

    fn is_named_after(&self, program: &str) -> bool {
        let rest = self.name.strip_prefix(program);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// What goes from the databases.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// Packages whose stanza goes.
    pub(super) packages: BTreeSet<Key>,
    /// Real paths that are no longer in the image.
    pub(super) paths: BTreeSet<String>,
}

impl Removal {
    fn has_package(&self, ecosystem: &'static str, name: &str, architecture: &str) -> bool {
        self.packages.contains(&(ecosystem, name.to_owned(), architecture.to_owned()))
    }

    /// Is the path that a database writes gone from the tree?
    fn has_path(&self, tree: &Tree, written: &str) -> bool {
        let real = tree.real_path(written).unwrap_or_else(|| written.to_owned());
        self.paths.contains(&real)
    }
}

/// What becomes of one database file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Same,
    /// It belongs to a package that went.
    Gone,
    /// It is rewritten.
    New(Vec<u8>),
}

impl Outcome {
    fn of(old: &[u8], new: Vec<u8>) -> Self {
        if new == old { Self::Same } else { Self::New(new) }
    }
}

/// Is this the path of a database file whose content is needed?
pub(super) fn is_database(path: &str) -> bool {
    dpkg::is_database(path) || apk::is_database(path)
}

/// The packages installed in one state of the image.
pub(super) fn installed(tree: &Tree, layers: &[Arc<Facts>]) -> Vec<Package> {
    let content = |entry: &Entry| {
        let position = entry.position?;
        layers.get(entry.layer)?.contents.get(&position).map(Vec::as_slice)
    };
    let mut packages = dpkg::installed(tree, &content);
    packages.extend(apk::installed(tree, &content));
    for package in &mut packages {
        let command = |path: &&String| {
            rules::in_command_directory(path)
                && tree.resolve(path).is_some_and(Entry::is_executable)
        };
        package.commands = package.paths.iter().filter(command).cloned().collect();
    }
    packages
}

/// What becomes of the database file at a real path.
pub(super) fn prune(path: &str, content: &[u8], tree: &Tree, removal: &Removal) -> Outcome {
    if dpkg::is_database(path) {
        dpkg::prune(path, content, tree, removal)
    } else {
        apk::prune(content, tree, removal)
    }
}

/// The fields of a stanza: the first line's value of each, by name.
fn fields(stanza: &str) -> BTreeMap<&str, &str> {
    let lines = stanza.lines().filter(|line| !line.starts_with([' ', '\t']));
    lines.filter_map(|line| line.split_once(':')).map(|(k, v)| (k, v.trim())).collect()
}
