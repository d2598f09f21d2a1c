//! Debian's chain: a package is in `Packages`, that is in `Release`, and that is signed.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    examine::{CONTENT_TYPE, Seen},
    keyrings::{Keyrings, Signer},
    openpgp::{ClearText, signatures},
    packages::Packages,
    plain,
    release::Release,
};
use crate::{
    content::store::ContentStore,
    oci::{descriptor::Descriptor, digest::Digest},
    purl::decode,
};

/// Debian's largest InRelease has 300 KB.
const RELEASE: u64 = 16 << 20;
/// A decompressed Packages; Debian's largest has 60 MB.
const PACKAGES: u64 = 1 << 30;

/// The indexes that were read in this build, by digest. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct ReadIndexes(Arc<Mutex<BTreeMap<Digest, Arc<Packages>>>>);

/// The archives of a build.
#[derive(Debug)]
pub(super) struct Archives<'a> {
    content: &'a ContentStore,
    read: &'a ReadIndexes,
    suites: Vec<Suite>,
    packages: Vec<&'a Seen>,
}

/// A signed list of indexes.
#[derive(Debug)]
struct Suite {
    url: String,
    digest: Digest,
    /// The address of the directory that it is in, with the slash.
    folder: String,
    release: Release,
    signer: Option<Signer>,
}

/// What `Packages` says of a package's address.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    pub(super) index: &'a Seen,
    pub(super) digest: [u8; 32],
}

impl<'a> Archives<'a> {
    /// Reads the lists among `releases` and checks their signatures; `packages` are the indexes.
    pub(super) fn new(
        content: &'a ContentStore,
        read: &'a ReadIndexes,
        releases: &[&'a Seen],
        packages: Vec<&'a Seen>,
        keyrings: &Keyrings,
    ) -> Self {
        let text = |seen: &Seen| content.read(&seen.digest, RELEASE).ok();
        let suite = |seen: &&Seen| {
            let bytes = text(seen)?;
            let (folder, name) = seen.url.rsplit_once('/')?;
            let (release, signer) = match name {
                "InRelease" => {
                    let signed = ClearText::read(std::str::from_utf8(&bytes).ok()?)?;
                    let signer = keyrings.signer(&signed.canonical, &signed.signatures);
                    (Release::read(&signed.text), signer)
                }
                _ => {
                    let beside = format!("{}.gpg", seen.url);
                    let beside = releases.iter().filter(|one| one.url == beside);
                    let signer = beside
                        .filter_map(|one| text(one))
                        .find_map(|signature| keyrings.signer(&bytes, &signatures(&signature)));
                    (Release::read(std::str::from_utf8(&bytes).ok()?), signer)
                }
            };
            let (url, folder) = (seen.url.clone(), format!("{folder}/"));
            Some(Suite { url, digest: seen.digest, folder, release, signer })
        };
        let lists = releases.iter().filter(|seen| !seen.url.ends_with(".gpg"));
        let mut suites: Vec<Suite> = lists.filter_map(suite).collect();
        // What is signed vouches before what is not.
        suites.sort_by(|a, b| (a.signer.is_none(), &a.url).cmp(&(b.signer.is_none(), &b.url)));
        Self { content, read, suites, packages }
    }

    /// Who vouches for an index, or for the list of indexes itself.
    pub(super) fn of_index(&self, url: &str, digest: Digest) -> Option<String> {
        if let Some(own) =
            self.suites.iter().find(|suite| suite.url == url && suite.digest == digest)
        {
            return own.signer.as_ref().map(|signer| format!("signature of {}", key(signer)));
        }
        let suite = self.suites.iter().find(|suite| suite.lists(url, digest))?;
        Some(format!("Release {}, {}", suite.digest, suite.signed()))
    }

    /// Who vouches for the package at `url`: an index has its content under its path, or somewhere.
    pub(super) fn of_package(&self, url: &str, digest: Digest) -> Option<String> {
        let bytes = bytes_of(digest)?;
        let (mut by_path, mut by_content) = (None, None);
        for index in &self.packages {
            let Some(packages) = self.packages(index) else { continue };
            if paths(&index.url, url).iter().any(|path| packages.at(path) == Some(bytes)) {
                by_path = better(by_path, self.chain(index));
            } else if packages.has(&bytes) {
                by_content = better(by_content, self.chain(index));
            }
        }
        by_path.or(by_content).map(|(_, text)| text)
    }

    /// What the indexes state of the path of `url`.
    pub(super) fn stated(&self, url: &str) -> Vec<Listed<'a>> {
        let mut all = Vec::new();
        for index in &self.packages {
            let Some(packages) = self.packages(index) else { continue };
            let stated = paths(&index.url, url).into_iter().filter_map(|path| packages.at(&path));
            all.extend(stated.map(|digest| Listed { index, digest }));
        }
        all
    }

    /// Who vouches for the index, with whether that is a signature.
    fn chain(&self, index: &Seen) -> (bool, String) {
        let suite = self.suites.iter().find(|suite| suite.lists(&index.url, index.digest));
        match suite {
            Some(suite) => {
                let text = format!("Packages of Release {}, {}", suite.digest, suite.signed());
                (suite.signer.is_some(), text)
            }
            None => (false, format!("Packages {}, in no Release", index.digest)),
        }
    }

    fn packages(&self, index: &Seen) -> Option<Arc<Packages>> {
        let known = |digest| {
            self.read.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
        };
        if let Some(known) = known(&index.digest) {
            return Some(known);
        }
        let packages = Arc::new(self.parse(index).ok()?);
        let mut all = self.read.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(all.entry(index.digest).or_insert(packages).clone())
    }

    fn parse(&self, index: &Seen) -> io::Result<Packages> {
        let blob = Descriptor::new(CONTENT_TYPE, index.digest, index.size);
        let body = self.content.open_verified(&blob).map_err(io::Error::other)?;
        Packages::read(plain::plain(body)?.take(PACKAGES))
    }
}

impl Suite {
    fn lists(&self, url: &str, digest: Digest) -> bool {
        let Some(path) = url.strip_prefix(&self.folder) else { return false };
        let Some(bytes) = bytes_of(digest) else { return false };
        match path.contains("/by-hash/") {
            true => self.release.has(&bytes),
            false => self.release.at(path) == Some(bytes),
        }
    }

    fn signed(&self) -> String {
        match &self.signer {
            Some(signer) => format!("signed by {}", key(signer)),
            None => "signature not checked".into(),
        }
    }
}

fn key(signer: &Signer) -> String {
    format!("{} in {}", signer.key, signer.file)
}

/// The one with a signature, and of equals the first in order.
fn better(one: Option<(bool, String)>, other: (bool, String)) -> Option<(bool, String)> {
    match one {
        Some(one) if (!one.0, &one.1) <= (!other.0, &other.1) => Some(one),
        _ => Some(other),
    }
}

fn bytes_of(digest: Digest) -> Option<[u8; 32]> {
    hex::decode(digest.hex()).ok()?.try_into().ok()
}

/// The paths that the file at `url` could have below the root of the archive whose index is at `index`: the root is
/// somewhere above the index.
fn paths(index: &str, url: &str) -> Vec<String> {
    let mut found = Vec::new();
    let start = index.find("://").map_or(0, |at| at + 3);
    for (at, _) in index.match_indices('/').filter(|(at, _)| *at >= start) {
        let Some(path) = url.strip_prefix(&index[..=at]) else { break };
        found.push(path.to_owned());
        let plain = decode(path);
        if plain != path {
            found.push(plain);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_somewhere_above_the_index() {
        let index = "http://d.example/debian/dists/b/main/binary-amd64/Packages.xz";
        assert_eq!(
            paths(index, "http://d.example/debian/pool/g/g%2b%2b_1.deb"),
            [
                "debian/pool/g/g%2b%2b_1.deb",
                "debian/pool/g/g++_1.deb",
                "pool/g/g%2b%2b_1.deb",
                "pool/g/g++_1.deb"
            ]
        );
        assert!(paths(index, "http://e.example/debian/pool/x.deb").is_empty());
    }
}
