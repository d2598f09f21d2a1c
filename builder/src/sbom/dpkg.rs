//! Debian's package database: `/var/lib/dpkg/status` with `info/*`, or one file per package in
//! `status.d` as distroless images have it (deb-control(5), dpkg(1)).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    copyright,
    inventory::{Ecosystem, Package, Reader},
    license::License,
};

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_D: &str = "var/lib/dpkg/status.d/";
const INFO: &str = "var/lib/dpkg/info/";

/// Does the cataloger need the contents of this path?
#[must_use]
pub fn wants(path: &str) -> bool {
    let info = |rest: &str| rest.ends_with(".list") || rest.ends_with(".md5sums");
    path == STATUS
        || path.strip_prefix(STATUS_D).is_some_and(|rest| !rest.contains('/'))
        || path.strip_prefix(INFO).is_some_and(info)
        || path.strip_prefix("usr/share/doc/").is_some_and(|rest| rest.ends_with("/copyright"))
}

/// Is this a file of the database itself, which no package owns?
#[must_use]
pub(super) fn is_database(path: &str) -> bool {
    path.starts_with("var/lib/dpkg/") || path.starts_with("var/lib/apt/")
}

/// One paragraph of a control file: field names in lower case, values with their folded lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stanza(BTreeMap<String, String>);

impl Stanza {
    /// The value of a field, whose name is given in lower case.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }
}

/// The paragraphs of a control file. A line that fits nowhere is skipped.
#[must_use]
pub fn stanzas(text: &str) -> Vec<Stanza> {
    let mut all = Vec::new();
    let mut stanza = Stanza::default();
    let mut field: Option<String> = None;
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !stanza.0.is_empty() {
                all.push(std::mem::take(&mut stanza));
            }
            field = None;
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = field.as_ref().and_then(|field| stanza.0.get_mut(field)) {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.to_lowercase();
            stanza.0.insert(name.clone(), value.trim().to_owned());
            field = Some(name);
        }
    }
    all
}

/// The packages of the database, with the paths that they say they own.
pub(super) fn packages(reader: &Reader<'_>) -> Vec<Package> {
    let mut found = Vec::new();
    let mut once = Once { reader, taken: BTreeSet::new(), licenses: BTreeMap::new() };
    if let Some(text) = reader.text(STATUS) {
        found.extend(stanzas(&text).iter().filter_map(|stanza| package(stanza, &mut once, None)));
    }
    let singles = reader.names(STATUS_D);
    for path in singles.iter().filter(|path| !path.ends_with(".md5sums")) {
        let Some(text) = reader.text(path) else { continue };
        let sums = format!("{path}.md5sums");
        found.extend(stanzas(&text).iter().filter_map(|s| package(s, &mut once, Some(&sums))));
    }
    found
}

/// Files that a database may name for any number of packages, each read once: the first package that
/// names a list has its paths.
struct Once<'a> {
    reader: &'a Reader<'a>,
    taken: BTreeSet<String>,
    licenses: BTreeMap<String, License>,
}

impl<'a> Once<'a> {
    /// The text of the first of these files that is there, unless it was taken before.
    fn text(&mut self, paths: &[String]) -> Option<Cow<'a, str>> {
        let path = paths.iter().find(|path| self.reader.read(path).is_some())?;
        if self.taken.insert(path.clone()) { self.reader.text(path) } else { None }
    }

    fn license(&mut self, package: &str) -> License {
        if let Some(known) = self.licenses.get(package) {
            return known.clone();
        }
        let text = self.reader.read(&format!("usr/share/doc/{package}/copyright"));
        let license = text.map(|text| copyright::license(package, text)).unwrap_or_default();
        self.licenses.insert(package.to_owned(), license.clone());
        license
    }
}

fn package(stanza: &Stanza, once: &mut Once<'_>, sums: Option<&str>) -> Option<Package> {
    let name = stanza.get("package")?.to_owned();
    let version = stanza.get("version")?.to_owned();
    // want, flag, state; only config-files and not-installed have no payload.
    let state = stanza.get("status").map(|status| status.split(' ').nth(2).unwrap_or(""));
    if matches!(state, Some("config-files" | "not-installed" | "")) {
        return None;
    }
    let architecture = stanza.get("architecture").unwrap_or("all").to_owned();
    let (source, source_version) = match stanza.get("source") {
        Some(source) => match source.split_once(" (") {
            Some((name, version)) => (name, Some(version.trim_end_matches(')').to_owned())),
            None => (source, None),
        },
        None => (name.as_str(), None),
    };
    let mut owned = claims(once, &name, &architecture, sums);
    let conffiles = stanza.get("conffiles").unwrap_or("");
    let conffiles = conffiles.lines().filter_map(|line| line.split_whitespace().next());
    owned.extend(conffiles.map(relative));
    owned.sort();
    owned.dedup();
    let depends = ["pre-depends", "depends"].into_iter().filter_map(|field| stanza.get(field));
    Some(Package {
        ecosystem: Ecosystem::Deb,
        license: once.license(&name),
        source: Some((source.to_owned(), source_version)),
        maintainer: stanza.get("maintainer").map(str::to_owned),
        homepage: stanza.get("homepage").map(str::to_owned),
        depends: depends.flat_map(relations).collect(),
        provides: stanza.get("provides").map(relations).unwrap_or_default().concat(),
        name,
        version,
        architecture,
        claims: owned,
        files: Vec::new(),
        missing: Vec::new(),
    })
}

/// The paths in `.list` and `.md5sums`. Directories are shared between packages and left out: a path
/// that another one lies below is one.
fn claims(once: &mut Once<'_>, name: &str, architecture: &str, sums: Option<&str>) -> Vec<String> {
    let bases = [format!("{INFO}{name}:{architecture}"), format!("{INFO}{name}")];
    let named = |end: &str| bases.each_ref().map(|base| format!("{base}{end}"));
    let list = once.text(&named(".list"));
    let mut paths: Vec<String> = list
        .iter()
        .flat_map(|text| text.lines())
        .map(relative)
        .filter(|p| !p.is_empty() && p != ".")
        .collect();
    // With '/' before all other letters, what is below a directory stands right behind it.
    paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    paths.dedup();
    let is_below = |path: &str, other: &str| {
        other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut owned: Vec<String> = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        if !paths.get(index + 1).is_some_and(|next| is_below(path, next)) {
            owned.push(path.clone());
        }
    }
    let of_package = sums.and_then(|path| once.text(&[path.to_owned()]));
    let sums = of_package.or_else(|| once.text(&named(".md5sums")));
    // "<md5>  <path>", the path without a leading slash.
    let summed = sums.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once("  "));
    owned.extend(summed.map(|(_, path)| relative(path)));
    owned
}

fn relative(path: &str) -> String {
    path.trim().trim_start_matches("./").trim_matches('/').to_owned()
}

/// `a (>= 1) | b, c:any` → [[a, b], [c]].
fn relations(field: &str) -> Vec<Vec<String>> {
    let name = |text: &str| {
        let text = text.trim();
        let end = text.find([' ', '(', ':', '\n']).unwrap_or(text.len());
        text[..end].to_owned()
    };
    let groups = field.split(',').map(|group| {
        group.split('|').map(name).filter(|name| !name.is_empty()).collect::<Vec<_>>()
    });
    groups.filter(|group| !group.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_folded_fields() {
        let text = "Package: a\nDepends: b (>= 1) | c,\n d:any\nodd line\n\n\n folded nowhere\nPackage: e\n";
        let all = stanzas(text);
        assert_eq!(all.len(), 2);
        assert_eq!(relations(all[0].get("depends").unwrap()), [vec!["b", "c"], vec!["d"]]);
        assert_eq!(all[1].get("package"), Some("e"));
    }

    #[test]
    fn only_the_database_is_wanted() {
        for path in [
            "var/lib/dpkg/status",
            "var/lib/dpkg/status.d/base",
            "var/lib/dpkg/status.d/base.md5sums",
            "var/lib/dpkg/info/libc6:amd64.list",
            "usr/share/doc/bash/copyright",
        ] {
            assert!(wants(path), "{path}");
        }
        for path in ["var/lib/dpkg/status-old", "var/lib/dpkg/info/x.postinst", "bin/sh"] {
            assert!(!wants(path), "{path}");
        }
    }
}
