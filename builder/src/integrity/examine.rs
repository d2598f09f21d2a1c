//! The requests of one step, held against every index that it or the steps below it fetched.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use super::{
    archive::{Archives, ReadIndexes},
    digest_of::{Algorithm, Hash},
    fault::{Contradiction, IntegrityError},
    golang,
    index::{Form, NodePackages, read},
    keyrings::Keyrings,
    plain,
    statement::{About, Statement},
};
use crate::{
    content::store::ContentStore,
    egress::RequestRecord,
    oci::{descriptor::Descriptor, digest::Digest},
};

/// The media type of what is only read.
pub(super) const CONTENT_TYPE: &str = "application/octet-stream";
/// An index is not longer than this, in bytes; npm's longest has 40 MB.
const INDEX: u64 = 128 << 20;
/// What has to be in memory as a whole to be hashed is not longer than this, in bytes.
const FILE: u64 = 256 << 20;

/// A file that could be an index, as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The address that was asked for.
    pub url: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Seen {
    /// The request, if it fetched something that could be an index.
    #[must_use]
    pub fn of(request: &RequestRecord) -> Option<Self> {
        let digest =
            request.sha256.filter(|_| request.is_dependency() && request.purl.is_none())?;
        Some(Self { url: request.url.clone(), digest, size: request.size })
    }
}

/// What a step's requests are examined with.
#[derive(Debug, Clone, Copy)]
pub struct Examined<'a> {
    /// Where the bodies are.
    pub content: &'a ContentStore,
    /// The keys of the file system that the step began with.
    pub keyrings: &'a Keyrings,
    /// What the steps below it fetched.
    pub below: &'a [Seen],
    /// The indexes that this build has read.
    pub read: &'a ReadIndexes,
}

/// A statement with the index that it comes from.
#[derive(Debug)]
struct Stated {
    statement: Statement,
    index: String,
}

impl Examined<'_> {
    /// Notes in each request who vouches for what it fetched.
    ///
    /// # Errors
    /// [`IntegrityError::Contradicted`] where every index that names a file states another hash of it.
    pub fn examine(self, requests: &mut [RequestRecord]) -> Result<(), IntegrityError> {
        let fetched: Vec<RequestRecord> =
            requests.iter().filter(|request| request.is_dependency()).cloned().collect();
        if fetched.is_empty() {
            return Ok(());
        }
        let own = fetched.iter().filter_map(Seen::of);
        let seen: BTreeSet<Seen> = own.chain(self.below.iter().cloned()).collect();
        let packages = NodePackages::of(fetched.iter().map(|request| request.url.as_str()));
        let forms = seen.iter().filter_map(|seen| Some((Form::of(&seen.url, &packages)?, seen)));
        let forms: Vec<(Form, &Seen)> = forms.collect();
        let archives = self.archives(&fetched, &seen, &forms);
        let stated = self.stated(&fetched, &forms);
        for request in requests.iter_mut().filter(|request| request.is_dependency()) {
            let Some(digest) = request.sha256 else { continue };
            request.verified_by = match is_deb(&request.url) {
                true => self.deb(&archives, request, digest)?,
                false => match archives.of_index(&request.url, digest) {
                    Some(known) => Some(known),
                    None => self.file(&stated, request, digest)?,
                },
            };
        }
        Ok(())
    }

    fn archives<'s>(
        &'s self,
        fetched: &[RequestRecord],
        seen: &'s BTreeSet<Seen>,
        forms: &[(Form, &'s Seen)],
    ) -> Archives<'s> {
        let is_release = |seen: &&Seen| {
            let name = seen.url.rsplit('/').next().unwrap_or_default();
            matches!(name, "InRelease" | "Release" | "Release.gpg")
        };
        let mut releases: Vec<&Seen> = seen.iter().filter(is_release).collect();
        // Nothing of an archive came with this step.
        let folders: Vec<&str> =
            releases.iter().filter_map(|seen| Some(seen.url.rsplit_once('/')?.0)).collect();
        let below = |url: &str| folders.iter().any(|folder| url.starts_with(folder));
        let debs = fetched.iter().any(|request| is_deb(&request.url));
        if !debs && !fetched.iter().any(|request| below(&request.url)) {
            releases.clear();
        }
        let packages = forms.iter().filter(|(form, _)| debs && *form == Form::Packages);
        let packages = packages.map(|(_, seen)| *seen).collect();
        Archives::new(self.content, self.read, &releases, packages, self.keyrings)
    }

    /// What the other indexes state of the files that were fetched.
    fn stated(&self, fetched: &[RequestRecord], forms: &[(Form, &Seen)]) -> Vec<Stated> {
        let urls: BTreeSet<&str> = fetched.iter().map(|request| request.url.as_str()).collect();
        let digests: BTreeSet<String> =
            fetched.iter().filter_map(|request| Some(request.sha256?.hex())).collect();
        let mut stated = Vec::new();
        for (form, seen) in forms {
            if matches!(form, Form::Release | Form::Packages) {
                continue;
            }
            let blob = Descriptor::new(CONTENT_TYPE, seen.digest, seen.size);
            let Ok(body) = self.content.open_verified(&blob) else { continue };
            let Some(text) = plain::text(body, INDEX) else { continue };
            read(*form, &seen.url, &text, &mut |statement| {
                let named = match &statement.about {
                    About::Url(url) => urls.contains(url.as_str()),
                    about => urls.iter().any(|url| about.names(url)),
                };
                let is_content = statement.hash.algorithm == Algorithm::Sha256
                    && digests.contains(&hex::encode(&statement.hash.bytes));
                if named || is_content {
                    stated.push(Stated { statement, index: seen.url.clone() });
                }
            });
        }
        stated.sort_by(|a, b| (&a.index, &a.statement).cmp(&(&b.index, &b.statement)));
        stated
    }

    fn deb(
        &self,
        archives: &Archives<'_>,
        request: &RequestRecord,
        digest: Digest,
    ) -> Result<Option<String>, IntegrityError> {
        if let Some(known) = archives.of_package(&request.url, digest) {
            return Ok(Some(known));
        }
        let stated = archives.stated(&request.url);
        let Some(first) = stated.first() else { return Ok(None) };
        let plain = unpacked(self.content, request).map(|bytes| Digest::of(&bytes));
        if let Some(known) = plain.and_then(|plain| archives.of_package(&request.url, plain)) {
            return Ok(Some(known));
        }
        let hash = |bytes: Vec<u8>| Hash { algorithm: Algorithm::Sha256, bytes };
        Err(IntegrityError::Contradicted(Box::new(Contradiction {
            url: request.url.clone(),
            index: first.index.url.clone(),
            stated: hash(first.digest.to_vec()),
            found: hash(hex::decode(digest.hex()).unwrap_or_default()),
        })))
    }

    fn file(
        &self,
        stated: &[Stated],
        request: &RequestRecord,
        digest: Digest,
    ) -> Result<Option<String>, IntegrityError> {
        let said =
            |one: &Stated| format!("{} in {}", one.statement.hash.algorithm.name(), one.index);
        let mut file = Hashes::new(self.content, request, digest);
        let naming = stated.iter().filter(|one| one.statement.about.names(&request.url));
        let naming: Vec<&Stated> = naming.collect();
        if let Some(one) = naming.iter().find(|one| file.is(&one.statement.hash)) {
            return Ok(Some(said(one)));
        }
        let content = |one: &&Stated| {
            let hash = &one.statement.hash;
            hash.algorithm == Algorithm::Sha256 && hex::encode(&hash.bytes) == digest.hex()
        };
        if let Some(one) = stated.iter().find(content) {
            return Ok(Some(said(one)));
        }
        for one in naming {
            let hash = &one.statement.hash;
            if let Some(found) = file.of(hash.algorithm) {
                return Err(IntegrityError::Contradicted(Box::new(Contradiction {
                    url: request.url.clone(),
                    index: one.index.clone(),
                    stated: hash.clone(),
                    found,
                })));
            }
        }
        Ok(None)
    }
}

/// The hashes of one file, made when they are asked for.
struct Hashes<'a> {
    content: &'a ContentStore,
    request: &'a RequestRecord,
    made: BTreeMap<Algorithm, Option<Hash>>,
}

impl<'a> Hashes<'a> {
    fn new(content: &'a ContentStore, request: &'a RequestRecord, digest: Digest) -> Self {
        let hash = Hash::hex(Algorithm::Sha256, &digest.hex());
        Self { content, request, made: BTreeMap::from([(Algorithm::Sha256, hash)]) }
    }

    /// Its hash as it came.
    fn of(&mut self, algorithm: Algorithm) -> Option<Hash> {
        let made = || {
            let body = body(self.content, self.request)?;
            Hash::new(algorithm, hash_of(algorithm, body)?)
        };
        self.made.entry(algorithm).or_insert_with(made).clone()
    }

    /// Is it this one, as it came or without the coding that it came in?
    fn is(&mut self, hash: &Hash) -> bool {
        if self.of(hash.algorithm).as_ref() == Some(hash) {
            return true;
        }
        let plain = unpacked(self.content, self.request);
        plain.and_then(|plain| hash_of(hash.algorithm, &*plain)).as_ref() == Some(&hash.bytes)
    }
}

fn hash_of(algorithm: Algorithm, mut body: impl Read) -> Option<Vec<u8>> {
    let ring = match algorithm {
        Algorithm::Sha1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => &ring::digest::SHA256,
        Algorithm::Sha512 => &ring::digest::SHA512,
        Algorithm::GoZip | Algorithm::GoMod => {
            let mut bytes = Vec::new();
            body.take(FILE + 1).read_to_end(&mut bytes).ok()?;
            return match algorithm {
                _ if bytes.len() as u64 > FILE => None,
                Algorithm::GoMod => Some(golang::hash_mod(&bytes)),
                _ => golang::hash_zip(&bytes).ok(),
            };
        }
    };
    let mut context = ring::digest::Context::new(ring);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match body.read(&mut buffer).ok()? {
            0 => return Some(context.finish().as_ref().to_vec()),
            read => context.update(&buffer[..read]),
        }
    }
}

fn body(content: &ContentStore, request: &RequestRecord) -> Option<impl Read + use<>> {
    let blob = Descriptor::new(CONTENT_TYPE, request.sha256?, request.size);
    content.open_verified(&blob).ok()
}

/// What was fetched without the coding that it came in, where it begins as gzip does.
pub(super) fn unpacked(content: &ContentStore, request: &RequestRecord) -> Option<Vec<u8>> {
    let mut start = [0; 2];
    body(content, request)?.read_exact(&mut start).ok()?;
    let packed = body(content, request).filter(|_| start == [0x1f, 0x8b])?;
    let mut bytes = Vec::new();
    plain::plain(packed).ok()?.take(FILE + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= FILE).then_some(bytes)
}

fn is_deb(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.ends_with(".deb") || path.ends_with(".udeb")
}

#[cfg(test)]
mod tests;
