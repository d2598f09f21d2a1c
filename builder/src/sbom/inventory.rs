//! The packages and files of a tree, as far as they are really there.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use super::{apk, dpkg, license::License, os_release::OsRelease};
use crate::{
    layer::{
        member::Kind,
        tree::{Entry, Tree},
    },
    oci::digest::Digest,
    purl::purl,
};

const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// Alpine's apk.
    Apk,
    /// Debian's dpkg.
    Deb,
}

/// A file that is in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Real path, without a leading slash.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the contents.
    pub digest: Option<Digest>,
    /// May somebody execute it?
    pub executable: bool,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Name.
    pub name: String,
    /// Version, in the form of its ecosystem.
    pub version: String,
    /// Architecture, in the words of its ecosystem.
    pub architecture: String,
    /// Source package it was built from, and its version where that differs.
    pub source: Option<(String, Option<String>)>,
    /// Maintainer as written, usually `Name <address>`.
    pub maintainer: Option<String>,
    /// Home page as written.
    pub homepage: Option<String>,
    /// Declared license.
    pub license: License,
    /// What it needs: one of the names of each group.
    pub depends: Vec<Vec<String>>,
    /// Other names it answers to.
    pub provides: Vec<String>,
    /// Its regular files that are in the tree, by real path.
    pub files: Vec<FileEntry>,
    /// Paths that it lists and that are not in the tree.
    pub missing: Vec<String>,
    /// Paths that its database entry lists, directories left out.
    #[serde(skip)]
    pub(super) claims: Vec<String>,
}

impl Package {
    /// Its package URL in this distribution.
    #[must_use]
    pub fn purl(&self, os: Option<&OsRelease>) -> String {
        let (kind, fallback) = match self.ecosystem {
            Ecosystem::Apk => ("apk", "alpine"),
            Ecosystem::Deb => ("deb", "debian"),
        };
        let namespace = os.map_or(fallback, |os| os.id.as_str());
        let distro = os.map(OsRelease::distro).unwrap_or_default();
        let upstream = match &self.source {
            Some((name, Some(version))) => format!("{name}@{version}"),
            Some((name, None)) if *name != self.name => name.clone(),
            _ => String::new(),
        };
        let qualifiers =
            [("arch", self.architecture.as_str()), ("distro", &distro), ("upstream", &upstream)];
        purl(kind, Some(namespace), &self.name, Some(&self.version), &qualifiers)
    }
}

/// What a tree holds. All lists are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The distribution, if it says.
    pub os: Option<OsRelease>,
    /// Packages that are there.
    pub packages: Vec<Package>,
    /// Packages that the database lists although all of their files are gone.
    pub gone: Vec<Package>,
    /// Regular files that no package owns, without the package databases themselves.
    pub unowned: Vec<FileEntry>,
}

/// Does an inventory need the contents of the file at this path (no leading slash)?
#[must_use]
pub fn wants(path: &str) -> bool {
    OS_RELEASE.contains(&path) || dpkg::wants(path) || apk::wants(path)
}

/// Takes the inventory of a tree. `contents` are those of the files that [`wants`] names, by path, of
/// the upper layers where several have one; whether a file is still there the tree tells.
#[must_use]
pub fn inventory(tree: &Tree, contents: &BTreeMap<String, Vec<u8>>) -> Inventory {
    let reader = Reader { tree, contents };
    let os = OS_RELEASE.iter().find_map(|path| reader.read(path)).map(OsRelease::parse);
    let mut listed = dpkg::packages(&reader);
    listed.extend(apk::packages(&reader));
    let mut owned = BTreeSet::new();
    let mut inventory = Inventory { os, ..Inventory::default() };
    for mut package in listed {
        let present = locate(&mut package, tree, &mut owned);
        if !present && !package.missing.is_empty() {
            inventory.gone.push(package);
        } else {
            inventory.packages.push(package);
        }
    }
    for list in [&mut inventory.packages, &mut inventory.gone] {
        list.sort_by(|a, b| key(a).cmp(&key(b)));
        list.dedup_by(|a, b| key(a) == key(b));
    }
    let files = tree.iter().filter(|entry| entry.kind == Kind::File);
    let free = files.filter(|entry| !owned.contains(entry.path.as_str()));
    let free = free.filter(|e| !dpkg::is_database(&e.path) && !apk::is_database(&e.path));
    inventory.unowned = free.map(file_entry).collect();
    inventory
}

fn key(package: &Package) -> (Ecosystem, &str, &str, &str) {
    (package.ecosystem, &package.name, &package.version, &package.architecture)
}

/// Looks up each path that the package claims; is any of them there? Through the links of a merged
/// /usr, because dpkg lists `/bin/bash` where the tree has `usr/bin/bash`.
fn locate<'t>(package: &mut Package, tree: &'t Tree, owned: &mut BTreeSet<&'t str>) -> bool {
    let mut present = false;
    let mut seen = BTreeSet::new();
    for claim in &package.claims {
        let real = tree.real_path(claim);
        match real.as_deref().and_then(|path| tree.get(path)) {
            Some(entry) if entry.kind == Kind::File => {
                present = true;
                owned.insert(entry.path.as_str());
                if seen.insert(entry.path.as_str()) {
                    package.files.push(file_entry(entry));
                }
            }
            Some(entry) => present |= entry.kind != Kind::Directory,
            None => package.missing.push(claim.clone()),
        }
    }
    package.files.sort_by(|a, b| a.path.cmp(&b.path));
    package.missing.dedup();
    present
}

fn file_entry(entry: &Entry) -> FileEntry {
    FileEntry {
        path: entry.path.clone(),
        size: entry.size,
        digest: entry.digest,
        executable: entry.is_executable(),
    }
}

/// The contents that were kept, as far as the tree still has them.
pub(super) struct Reader<'a> {
    tree: &'a Tree,
    contents: &'a BTreeMap<String, Vec<u8>>,
}

impl<'a> Reader<'a> {
    /// The contents of a file, links followed.
    pub(super) fn read(&self, path: &str) -> Option<&'a [u8]> {
        let entry = self.tree.resolve(path).filter(|entry| entry.kind == Kind::File)?;
        self.contents.get(&entry.path).map(Vec::as_slice)
    }

    /// The contents as text.
    pub(super) fn text(&self, path: &str) -> Option<Cow<'a, str>> {
        self.read(path).map(String::from_utf8_lossy)
    }

    /// The paths of the kept files that begin so.
    pub(super) fn names(&self, start: &str) -> Vec<String> {
        let names = self.contents.keys().filter(|path| path.starts_with(start));
        names.filter(|path| self.tree.get(path).is_some()).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
