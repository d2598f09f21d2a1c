//! dpkg's database (dpkg(1), deb-control(5)): `status` with one stanza per package, `info/PKG.list`
//! and `info/PKG.md5sums` with its files; and distroless's `status.d`, one file per package.
//! `status-old` and `available` are pruned as well: they are copies that a scanner may read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, Package, Removal, fields};
use crate::layer::tree::{Entry, Tree};

const HOME: &str = "var/lib/dpkg/";
const INFO: &str = "var/lib/dpkg/info/";
const SINGLE: &str = "var/lib/dpkg/status.d/";

pub(super) fn is_database(path: &str) -> bool {
    let Some(rest) = path.strip_prefix(HOME) else { return false };
    matches!(rest, "status" | "status-old" | "available")
        || rest.starts_with("info/") && has_suffix(rest, &[".list", ".md5sums", ".conffiles"])
        || rest.starts_with("status.d/")
}

fn has_suffix(path: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| path.ends_with(suffix))
}

/// The packages of both layouts.
pub(super) fn installed<'a>(
    tree: &'a Tree,
    content: &impl Fn(&'a Entry) -> Option<&'a [u8]>,
) -> Vec<Package> {
    let text = |path: &str| {
        let entry = tree.resolve(path)?;
        content(entry).map(String::from_utf8_lossy)
    };
    // A list belongs to the first package that names it: a database may name one any number of times.
    let mut taken = BTreeSet::new();
    let mut packages = Vec::new();
    for stanza in text("var/lib/dpkg/status").iter().flat_map(|status| stanzas(status)) {
        let Some(mut package) = package(stanza) else { continue };
        let qualified = format!("{INFO}{}:{}.list", package.name, package.architecture);
        let plain = format!("{INFO}{}.list", package.name);
        let list = [qualified, plain].into_iter().find(|path| tree.resolve(path).is_some());
        let list = list.filter(|path| taken.insert(path.clone()));
        let list = list.and_then(|path| text(&path)).unwrap_or_default();
        package.paths = list.lines().filter_map(|line| real(tree, line)).collect();
        packages.push(package);
    }
    for entry in tree.below(SINGLE.trim_end_matches('/')) {
        if entry.path.ends_with(".md5sums") {
            continue;
        }
        let Some(stanza) = content(entry).map(String::from_utf8_lossy) else { continue };
        let Some(mut package) = package(&stanza) else { continue };
        let sums = text(&format!("{}.md5sums", entry.path)).unwrap_or_default();
        package.paths = sums.lines().filter_map(|line| real(tree, summed(line)?)).collect();
        packages.push(package);
    }
    packages
}

fn real(tree: &Tree, written: &str) -> Option<String> {
    tree.real_path(written).filter(|path| !path.is_empty())
}

/// The path in a line `MD5  PATH`.
fn summed(line: &str) -> Option<&str> {
    line.split_once(char::is_whitespace).map(|(_, path)| path.trim_start())
}

fn stanzas(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").filter(|stanza| !stanza.trim().is_empty())
}

fn package(stanza: &str) -> Option<Package> {
    let fields = fields(stanza);
    let field = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
    Some(Package {
        ecosystem: "deb",
        name: fields.get("Package").map(|name| (*name).to_owned())?,
        version: field("Version"),
        architecture: field("Architecture"),
        paths: BTreeSet::new(),
        commands: BTreeSet::new(),
    })
}

/// What becomes of one file of the database.
pub(super) fn prune(path: &str, content: &[u8], tree: &Tree, removal: &Removal) -> Outcome {
    let text = String::from_utf8_lossy(content);
    if let Some(file) = path.strip_prefix(SINGLE) {
        // Beside a stanza stands its list of sums.
        let of_package =
            |stanza: &str| package(stanza).is_some_and(|p| removal.packages.contains(&p.key()));
        let name = file.trim_end_matches(".md5sums");
        let listed = || removal.packages.iter().any(|(_, package, _)| package == name);
        if of_package(&text) || (file.ends_with(".md5sums") && listed()) {
            return Outcome::Gone;
        }
    }
    let keep: &dyn Fn(&str) -> bool = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("md5sums") => &|line| summed(line).is_none_or(|path| !removal.has_path(tree, path)),
        Some("list" | "conffiles") => &|line| !removal.has_path(tree, line),
        _ => return prune_status(&text, content, tree, removal),
    };
    let kept: String = text.split_inclusive('\n').filter(|line| keep(line.trim_end())).collect();
    if kept.len() == text.len() { Outcome::Same } else { Outcome::New(kept.into_bytes()) }
}

fn prune_status(text: &str, content: &[u8], tree: &Tree, removal: &Removal) -> Outcome {
    let mut kept = String::with_capacity(text.len());
    let mut changed = false;
    // Each part with the blank line that ends it, so that what stays keeps its bytes.
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find("\n\n").map_or(rest.len(), |at| at + 2);
        let (stanza, after) = rest.split_at(end);
        rest = after;
        if package(stanza).is_some_and(|found| removal.packages.contains(&found.key())) {
            changed = true;
            continue;
        }
        changed |= copy_stanza(stanza, tree, removal, &mut kept);
    }
    if changed { Outcome::of(content, kept.into_bytes()) } else { Outcome::Same }
}

/// Copies a stanza without the `Conffiles` that are gone; tells whether there were any.
fn copy_stanza(stanza: &str, tree: &Tree, removal: &Removal, kept: &mut String) -> bool {
    let mut in_conffiles = false;
    let before = kept.len();
    for line in stanza.split_inclusive('\n') {
        if !line.starts_with(' ') {
            in_conffiles = line.starts_with("Conffiles:");
        } else if in_conffiles {
            let path = line.split_whitespace().next().unwrap_or_default();
            if removal.has_path(tree, path) {
                continue;
            }
        }
        kept.push_str(line);
    }
    kept.len() - before != stanza.len()
}

/// The package that a file of `info/` belongs to, when it went. Maintainer scripts and triggers are
/// not read as databases, but go with their package.
pub(in crate::harden) fn is_info_of_gone(
    path: &str,
    gone: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    let stem = path.strip_prefix(INFO).and_then(|file| file.rsplit_once('.')).map(|(stem, _)| stem);
    let Some(stem) = stem else { return false };
    match stem.split_once(':') {
        Some((name, architecture)) => {
            gone.get(name).is_some_and(|architectures| architectures.contains(architecture))
        }
        None => gone.contains_key(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: one\nVersion: 1\nArchitecture: all\nConffiles:\n /etc/a 00\n \
                          /etc/b 11\nDescription: x\n y\n\nPackage: two\nVersion: 2\n\
                          Architecture: amd64\n\n";

    fn removal(packages: &[(&str, &str)], paths: &[&str]) -> Removal {
        Removal {
            packages: packages
                .iter()
                .map(|(name, architecture)| ("deb", (*name).into(), (*architecture).into()))
                .collect(),
            paths: paths.iter().map(|path| (*path).into()).collect(),
        }
    }

    fn pruned(path: &str, content: &str, removal: &Removal) -> Option<String> {
        match prune(path, content.as_bytes(), &Tree::default(), removal) {
            Outcome::Same => Some("same".into()),
            Outcome::Gone => None,
            Outcome::New(bytes) => Some(String::from_utf8(bytes).unwrap()),
        }
    }

    #[test]
    fn a_stanza_goes_and_the_rest_keeps_its_bytes() {
        let gone = removal(&[("two", "amd64")], &[]);
        let expected = STATUS.split_once("Package: two").unwrap().0;
        assert_eq!(pruned("var/lib/dpkg/status", STATUS, &gone).unwrap(), expected);
        let other = removal(&[("two", "i386")], &[]);
        assert_eq!(pruned("var/lib/dpkg/status", STATUS, &other).unwrap(), "same");
    }

    #[test]
    fn a_configuration_file_leaves_its_stanza() {
        let gone = removal(&[], &["etc/a"]);
        let expected = STATUS.replace(" /etc/a 00\n", "");
        assert_eq!(pruned("var/lib/dpkg/status", STATUS, &gone).unwrap(), expected);
    }

    #[test]
    fn lists_lose_what_is_gone() {
        let gone = removal(&[], &["usr/bin/su"]);
        let list = "/.\n/usr/bin/su\n/usr/bin/more\n";
        assert_eq!(
            pruned("var/lib/dpkg/info/util-linux.list", list, &gone).unwrap(),
            "/.\n/usr/bin/more\n"
        );
        let sums = "00  usr/bin/su\n11  usr/bin/more\n";
        let path = "var/lib/dpkg/info/util-linux.md5sums";
        assert_eq!(pruned(path, sums, &gone).unwrap(), "11  usr/bin/more\n");
        assert_eq!(pruned(path, "11  usr/bin/more\n", &gone).unwrap(), "same");
    }

    #[test]
    fn distroless_files_go_with_their_package() {
        let gone = removal(&[("two", "amd64")], &["usr/bin/two"]);
        let stanza = "Package: two\nArchitecture: amd64\n";
        assert_eq!(pruned("var/lib/dpkg/status.d/two", stanza, &gone), None);
        assert_eq!(pruned("var/lib/dpkg/status.d/two.md5sums", "00  usr/bin/two\n", &gone), None);
        let other = "Package: one\nArchitecture: all\n";
        assert_eq!(pruned("var/lib/dpkg/status.d/one", other, &gone).unwrap(), "same");
    }

    #[test]
    fn maintainer_scripts_belong_to_packages() {
        let gone = BTreeMap::from([("libx".to_owned(), BTreeSet::from(["amd64".to_owned()]))]);
        for path in ["libx.postinst", "libx:amd64.list"] {
            assert!(is_info_of_gone(&format!("{INFO}{path}"), &gone), "{path}");
        }
        for path in ["libx:i386.list", "libx2.list", "format"] {
            assert!(!is_info_of_gone(&format!("{INFO}{path}"), &gone), "{path}");
        }
    }
}
