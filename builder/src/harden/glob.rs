//! The globs of `keep` and `remove`, compared with all names that a path has.

use crate::{
    layer::{member::Kind, tree::Tree},
    policy::glob::Glob,
};

/// Patterns, and the second names that real paths have through linked directories: policies say
/// `/bin/sh` where a merged `/usr` holds `usr/bin/sh`.
#[derive(Debug, Default)]
pub(super) struct Globs<'a> {
    patterns: &'a [Glob],
    aliases: Vec<(String, String)>,
}

impl<'a> Globs<'a> {
    pub(super) fn new(patterns: &'a [Glob], tree: &Tree) -> Self {
        let linked =
            tree.iter().filter(|entry| entry.kind == Kind::Symlink && !entry.path.contains('/'));
        let directory =
            |path: &str| tree.get(path).is_some_and(|entry| entry.kind == Kind::Directory);
        let aliases = linked
            .filter(|entry| patterns.iter().any(|pattern| begins_with(pattern, &entry.path)))
            .filter_map(|entry| Some((entry.path.clone(), tree.target_path(entry)?)))
            .filter(|(_, target)| !target.is_empty() && directory(target))
            .collect();
        Self { patterns, aliases }
    }

    /// The pattern that a real path (without leading slash) matches under any of its names.
    pub(super) fn find(&self, path: &str) -> Option<&'a Glob> {
        if self.patterns.is_empty() {
            return None;
        }
        let second = self.aliases.iter().filter_map(|(link, target)| {
            let rest = path.strip_prefix(target.as_str())?.strip_prefix('/')?;
            Some(format!("/{link}/{rest}"))
        });
        let names: Vec<String> = std::iter::once(format!("/{path}")).chain(second).collect();
        self.patterns.iter().find(|pattern| names.iter().any(|name| pattern.matches(name)))
    }
}

/// May a path that a pattern matches begin with this directory? Only such second names are worth
/// keeping: an image may have any number of links in its root, and each file is compared with all.
fn begins_with(pattern: &Glob, directory: &str) -> bool {
    let text = pattern.to_string();
    let first = text.split('/').skip(1).find(|part| *part != "**").unwrap_or_default();
    first.contains("**")
        || Glob::new(&format!("/{first}"))
            .is_ok_and(|first| first.matches(&format!("/{directory}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harden::bench::layer;

    #[test]
    fn linked_directories_give_second_names() {
        let tree = Tree::merge(&[layer(&["d usr/bin", "l bin usr/bin", "x usr/bin/sh"]).index()]);
        for (text, found) in
            [("/bin/sh", true), ("/b*/sh", true), ("/**/bin/sh", true), ("/usr/sh", false)]
        {
            let patterns = [Glob::new(text).unwrap()];
            let globs = Globs::new(&patterns, &tree);
            assert_eq!(globs.find("usr/bin/sh").is_some(), found, "{text}");
            assert!(globs.find("opt/sh").is_none());
        }
    }
}
