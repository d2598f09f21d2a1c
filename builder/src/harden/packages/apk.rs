//! Alpine's database (apk-tools, `lib/apk/db/installed`): stanzas of one-letter fields; `F:` opens a
//! directory, `R:` names a file in it, `a:` and `Z:` after it are that file's.

use std::collections::BTreeSet;

use super::{Outcome, Package, Removal, fields};
use crate::layer::tree::{Entry, Tree};

const DATABASES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

pub(super) fn is_database(path: &str) -> bool {
    DATABASES.contains(&path)
}

pub(super) fn installed<'a>(
    tree: &'a Tree,
    content: &impl Fn(&'a Entry) -> Option<&'a [u8]>,
) -> Vec<Package> {
    let database = DATABASES.iter().find_map(|path| content(tree.resolve(path)?));
    let text = String::from_utf8_lossy(database.unwrap_or_default());
    text.split("\n\n").filter_map(|stanza| package(stanza, tree)).collect()
}

fn package(stanza: &str, tree: &Tree) -> Option<Package> {
    let fields = fields(stanza);
    let field = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
    let mut directory = "";
    let mut paths = BTreeSet::new();
    for line in stanza.lines() {
        if let Some(path) = line.strip_prefix("F:") {
            directory = path;
            paths.extend(tree.real_path(path).filter(|path| !path.is_empty()));
        } else if let Some(name) = line.strip_prefix("R:") {
            paths.extend(tree.real_path(&format!("{directory}/{name}")));
        }
    }
    Some(Package {
        ecosystem: "apk",
        name: fields.get("P").map(|name| (*name).to_owned())?,
        version: field("V"),
        architecture: field("A"),
        paths,
        commands: BTreeSet::new(),
    })
}

pub(super) fn prune(content: &[u8], tree: &Tree, removal: &Removal) -> Outcome {
    let text = String::from_utf8_lossy(content);
    let mut kept = String::with_capacity(text.len());
    let mut rest = &text[..];
    let mut changed = false;
    while !rest.is_empty() {
        let end = rest.find("\n\n").map_or(rest.len(), |at| at + 2);
        let (stanza, after) = rest.split_at(end);
        rest = after;
        let fields = fields(stanza);
        let field = |name: &str| fields.get(name).copied().unwrap_or_default();
        if removal.has_package("apk", field("P"), field("A")) {
            changed = true;
        } else {
            changed |= copy_stanza(stanza, tree, removal, &mut kept);
        }
    }
    if changed { Outcome::of(content, kept.into_bytes()) } else { Outcome::Same }
}

/// Copies a stanza without the files and directories that are gone; tells whether there were any.
fn copy_stanza(stanza: &str, tree: &Tree, removal: &Removal, kept: &mut String) -> bool {
    let (mut directory, mut gone) = ("", false);
    let before = kept.len();
    for line in stanza.split_inclusive('\n') {
        match line.trim_end().split_once(':') {
            Some(("F", path)) => {
                directory = path;
                gone = removal.has_path(tree, path);
            }
            Some(("R", name)) => gone = removal.has_path(tree, &format!("{directory}/{name}")),
            Some(("a" | "Z" | "M", _)) => {}
            _ => gone = false,
        }
        if !gone {
            kept.push_str(line);
        }
    }
    kept.len() - before != stanza.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALLED: &str = "C:Q1x=\nP:tools\nV:1-r0\nA:x86_64\nF:bin\nR:nc\na:0:0:755\nZ:Q1a=\n\
                             R:ls\nZ:Q1b=\nF:etc\nM:0:0:700\nR:rc\n\nP:sh\nV:2\nA:x86_64\n\n";

    fn pruned(removal: &Removal) -> Option<String> {
        match prune(INSTALLED.as_bytes(), &Tree::default(), removal) {
            Outcome::New(bytes) => Some(String::from_utf8(bytes).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn packages_are_read() {
        let tree = Tree::default();
        let package = package(INSTALLED.split("\n\n").next().unwrap(), &tree).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("tools", "1-r0"));
        let paths: Vec<_> = package.paths.iter().map(String::as_str).collect();
        assert_eq!(paths, ["bin", "bin/ls", "bin/nc", "etc", "etc/rc"]);
    }

    #[test]
    fn files_and_packages_go() {
        let mut removal = Removal::default();
        assert_eq!(pruned(&removal), None);
        removal.paths.insert("bin/nc".into());
        let expected = INSTALLED.replace("R:nc\na:0:0:755\nZ:Q1a=\n", "");
        assert_eq!(pruned(&removal).unwrap(), expected);
        removal.packages.insert(("apk", "sh".into(), "x86_64".into()));
        let expected = expected.replace("P:sh\nV:2\nA:x86_64\n\n", "");
        assert_eq!(pruned(&removal).unwrap(), expected);
    }
}
