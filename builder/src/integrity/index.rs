//! Which form of index an address has.

use std::collections::BTreeSet;

use url::Url;

use super::{beside, cargo, gem, golang, json_walk, pypi, statement::Statement};
use crate::purl::decode;

/// A form of index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Debian's `InRelease`, or `Release` with its signature beside it.
    Release,
    /// Debian's `Packages`.
    Packages,
    /// Python's simple index, as HTML or JSON.
    Simple,
    /// A JSON document: npm's, Python's, Composer's.
    Json,
    /// Cargo's sparse index.
    Cargo,
    /// An answer of Go's checksum database.
    Go,
    /// Ruby's compact index.
    Gem,
    /// A hash beside its file, in the layout of Maven.
    Beside,
}

/// Tells `tell` what an index of this form, fetched from `url`, states. Those of Debian are read by
/// [`super::Packages`] and [`super::Release`].
pub fn read(form: Form, url: &str, text: &str, tell: &mut dyn FnMut(Statement)) {
    match form {
        Form::Release | Form::Packages => {}
        Form::Simple if text.trim_start().starts_with('{') => json_walk::read(url, text, tell),
        Form::Simple => pypi::read(url, text, tell),
        Form::Json => json_walk::read(url, text, tell),
        Form::Cargo => cargo::read(text, tell),
        Form::Go => golang::read(text, tell),
        Form::Gem => gem::read(url, text, tell),
        Form::Beside => beside::read(url, text, tell),
    }
}

/// What npm's packages are called: the paths of their documents, by the addresses of their archives.
#[derive(Debug, Default)]
pub(super) struct NodePackages(BTreeSet<String>);

impl NodePackages {
    pub(super) fn of<'a>(urls: impl Iterator<Item = &'a str>) -> Self {
        let name = |url: &str| Some(decoded_path(url)?.split_once("/-/")?.0.to_owned());
        Self(urls.filter_map(name).collect())
    }

    /// Is it the document of one of them, or of one version?
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        self.0.contains(path) || self.0.contains(above)
    }
}

fn decoded_path(url: &str) -> Option<String> {
    Some(decode(Url::parse(url).ok()?.path()))
}

impl Form {
    /// The form that this address has, if it is one of an index.
    pub(super) fn of(url: &str, packages: &NodePackages) -> Option<Self> {
        let path = decoded_path(url)?;
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let last = *segments.last()?;
        let has = |name: &str| segments[..segments.len() - 1].contains(&name);
        Some(match segments.as_slice() {
            [.., "InRelease" | "Release"] => Self::Release,
            [.., file] if *file == "Packages" || file.starts_with("Packages.") => Self::Packages,
            [.., folder, "by-hash", _, _] if folder.starts_with("binary-") => Self::Packages,
            [.., "info", _] => Self::Gem,
            _ if has("lookup") && last.contains("@v") => Self::Go,
            _ if beside::is_beside(&segments) => Self::Beside,
            _ if has("simple") => Self::Simple,
            [.., "json"] if has("pypi") => Self::Json,
            _ if has("p2") && last.ends_with(".json") => Self::Json,
            _ if packages.has(&path) => Self::Json,
            _ if cargo::is_index(&segments) => Self::Cargo,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_tell_forms() {
        let tarballs =
            ["https://n.example/left/-/left-1.tgz", "https://n.example/@a%2fb/-/b-1.tgz"];
        let packages = NodePackages::of(tarballs.into_iter());
        let form = |path: &str| Form::of(&format!("https://h.example{path}"), &packages);
        for (path, expected) in [
            ("/debian/dists/bookworm/InRelease", Some(Form::Release)),
            ("/debian/dists/bookworm/main/binary-amd64/Packages.xz", Some(Form::Packages)),
            ("/d/dists/b/main/binary-all/by-hash/SHA256/aa", Some(Form::Packages)),
            ("/d/dists/b/main/i18n/by-hash/SHA256/aa", None),
            ("/simple/left/", Some(Form::Simple)),
            ("/pypi/left/json", Some(Form::Json)),
            ("/left", Some(Form::Json)),
            ("/left/1.0.0", Some(Form::Json)),
            ("/@a%2fb", Some(Form::Json)),
            ("/@a/b", Some(Form::Json)),
            ("/right", None),
            ("/p2/a/b.json", Some(Form::Json)),
            ("/le/ft/left-pad", Some(Form::Cargo)),
            ("/sumdb/s.example/lookup/m.example/left@v1.0.0", Some(Form::Go)),
            ("/info/left", Some(Form::Gem)),
            ("/maven2/org/a/1.0/a-1.0.pom.sha1", Some(Form::Beside)),
            ("/", None),
        ] {
            assert_eq!(form(path), expected, "{path}");
        }
    }
}
