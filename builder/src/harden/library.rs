//! The file that the dynamic loader takes for a library (ld.so(8), and musl's fixed paths).

use std::sync::Arc;

use super::{
    facts::{Facts, is_loader_configuration},
    program::Elf,
    start::MAX_DIRECTORIES,
};
use crate::layer::{member::Kind, tree::Tree};

/// The libraries of one tree.
pub(super) struct Libraries<'a> {
    tree: &'a Tree,
    /// Directories of /etc/ld.so.conf and of multiarch.
    directories: Vec<String>,
}

/// The directories that the loader knows by itself.
const FIXED: [&str; 5] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"];

impl<'a> Libraries<'a> {
    pub(super) fn new(tree: &'a Tree, layers: &[Arc<Facts>]) -> Self {
        Self { tree, directories: configured(tree, layers) }
    }

    /// The real path of the library `name` that `elf`, which stands at `path`, is linked with. `own`:
    /// the value of LD_LIBRARY_PATH. Of each list of directories only the first
    /// [`MAX_DIRECTORIES`] count, because the image writes them.
    pub(super) fn find(
        &self,
        path: &str,
        elf: &Elf,
        name: &str,
        own: Option<&str>,
    ) -> Option<String> {
        if name.contains('/') {
            return self.tree.resolve(name).map(|entry| entry.path.clone());
        }
        let origin = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let expand = |directory: &str| {
            let origin = format!("/{origin}");
            directory.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)
        };
        let listed = |text: Option<&str>| -> Vec<String> {
            let all = text.into_iter().flat_map(|text| text.split(':'));
            all.take(MAX_DIRECTORIES).map(expand).collect()
        };
        let first = [listed(elf.run_path.as_deref()), listed(own)];
        let known = self.directories.iter().map(String::as_str).chain(FIXED);
        let mut all = first.iter().flatten().map(String::as_str).chain(known);
        all.find_map(|directory| {
            let path = Some(format!("{directory}/{name}")).filter(|path| path.starts_with('/'))?;
            let found = self.tree.resolve(&path).filter(|entry| entry.kind == Kind::File);
            found.map(|entry| entry.path.clone())
        })
    }
}

fn configured(tree: &Tree, layers: &[Arc<Facts>]) -> Vec<String> {
    let mut directories = Vec::new();
    for entry in tree.below("etc").filter(|entry| is_loader_configuration(&entry.path)) {
        let content = entry.position.and_then(|at| layers.get(entry.layer)?.contents.get(&at));
        let text = String::from_utf8_lossy(content.map(Vec::as_slice).unwrap_or_default());
        let lines = text.split(['\n', ':', ',']).map(str::trim);
        let room = MAX_DIRECTORIES.saturating_sub(directories.len());
        let lines = lines.filter(|line| line.starts_with('/'));
        directories.extend(lines.take(room).map(str::to_owned));
    }
    for parent in ["lib", "usr/lib"] {
        let multiarch = tree.below(parent).filter(|entry| {
            entry.kind == Kind::Directory
                && entry.path[parent.len() + 1..].contains("-linux-")
                && !entry.path[parent.len() + 1..].contains('/')
        });
        directories.extend(multiarch.take(MAX_DIRECTORIES).map(|entry| format!("/{}", entry.path)));
    }
    directories
}
