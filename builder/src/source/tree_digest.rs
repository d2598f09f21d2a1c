//! The content digest of what a COPY would copy: the part of its cache key that stands for files.
//!
//! In it: the path as it will be copied, type, mode, size, contents, link target, extended
//! attributes, which files are hard links of each other, and for stages the owner. Not in it: times,
//! inode numbers, the owner on this machine, and where the tree lies.

use std::{
    collections::HashMap,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    contents,
    context::SourceRoot,
    error::SourceError,
    fingerprint::Fingerprint,
    listing::Listing,
    rooted::{Kind, missing},
    selection::{Picks, Selection},
    stat_cache::StatCache,
    steady,
    walk::{Entry, Filter, Visitor, walk},
    xattrs,
};
use crate::oci::digest::{Digest, Hashing};

/// Marks the encoding; a change of the encoding changes it.
const DOMAIN: &str = "touchmark tree 1";

/// Digest and size of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeDigest {
    /// The content digest.
    pub digest: Digest,
    /// Regular files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The digest of what this selection copies out of `root`. With a cache, files whose `stat` is known
/// are not read.
///
/// # Errors
/// Those that the copy would have: a source that is missing or hidden, a file that cannot be read or
/// does not hold still.
pub fn digest(
    root: &SourceRoot<'_>,
    selection: &Selection,
    cache: Option<&mut StatCache>,
) -> Result<TreeDigest, SourceError> {
    Ok(listed(root, selection, cache)?.0)
}

/// As [`digest`], with what was found, to tell later what changed; none where nothing did since the cache
/// was written.
///
/// # Errors
/// As [`digest`].
pub fn listed(
    root: &SourceRoot<'_>,
    selection: &Selection,
    mut cache: Option<&mut StatCache>,
) -> Result<(TreeDigest, Option<Listing>), SourceError> {
    let picks = selection.pick(root)?;
    let seen = match &cache {
        Some(_) => Some(fingerprint(root, selection, &picks)?),
        None => None,
    };
    if let (Some((seen, newest)), Some(cache)) = (seen, cache.as_deref_mut())
        && has_passed(root, newest)
        && let Some(known) = cache.tree(&seen)
    {
        return Ok((known, None));
    }
    let walks: Vec<_> =
        picks.picked.iter().map(|one| (&*one.path, one.filter(&picks.exclude))).collect();
    contents::read(root, &walks, cache.as_deref_mut())?;
    let mut hasher = TreeHasher::new(root, cache.as_deref_mut());
    for picked in &picks.picked {
        let name = picked.named.file_name().unwrap_or_default();
        hasher.source(Path::new(name));
        let before = hasher.entries;
        walk(root, &picked.path, &picked.filter(&picks.exclude), &mut hasher)?;
        if hasher.entries == before && picked.include.as_ref().is_some_and(|(_, must)| *must) {
            let (pattern, place) = (picked.pattern.clone(), root.place().to_owned());
            return Err(SourceError::NotFound { pattern, place });
        }
    }
    for (name, contents) in &selection.inline {
        let content = Digest::of(contents);
        hasher.record(b'i', &[name.as_bytes(), content.bytes()]);
        hasher.listing.add(Path::new(name), 0o644, &content);
    }
    let listing = std::mem::take(&mut hasher.listing);
    let found = hasher.finish();
    if let (Some((seen, newest)), Some(cache)) = (seen, cache) {
        put_tree(root, cache, (seen, newest), found);
    }
    Ok((found, Some(listing)))
}

/// Remembers it, unless something in the tree changed so lately that it may change unseen.
fn put_tree(
    root: &SourceRoot<'_>,
    cache: &mut StatCache,
    (seen, newest): (Digest, i64),
    found: TreeDigest,
) {
    if has_passed(root, newest) {
        cache.put_tree(seen, newest, found);
    }
}

/// Was this time well past when the tree was looked at?
fn has_passed(root: &SourceRoot<'_>, newest: i64) -> bool {
    root.survey.as_ref().is_none_or(|survey| survey.has_passed(newest))
}

/// What `stat` says of a selection.
fn fingerprint(
    root: &SourceRoot<'_>,
    selection: &Selection,
    picks: &Picks,
) -> Result<(Digest, i64), SourceError> {
    let inline: Vec<Digest> = selection.inline.iter().map(|(_, bytes)| Digest::of(bytes)).collect();
    let mut asked: Vec<&[u8]> =
        vec![DOMAIN.as_bytes(), if selection.parents { b"parents" } else { b"" }];
    for list in [&selection.sources, &selection.exclude] {
        asked.push(b"list");
        asked.extend(list.iter().map(String::as_bytes));
    }
    for ((name, _), content) in selection.inline.iter().zip(&inline) {
        asked.extend([name.as_bytes(), content.bytes()]);
    }
    let mut made = Fingerprint::new(root, &asked);
    for picked in &picks.picked {
        let name = picked.named.file_name().unwrap_or_default().as_bytes();
        made.begin(&[name, picked.path.as_os_str().as_bytes()]);
        walk(root, &picked.path, &picked.filter(&picks.exclude), &mut made)?;
    }
    Ok(made.finish())
}

/// The digest of a whole context at `root`, without what its ignore file hides.
///
/// # Errors
/// As [`digest`].
pub fn context_digest(
    root: &SourceRoot<'_>,
    mut cache: Option<&mut StatCache>,
) -> Result<TreeDigest, SourceError> {
    let mut seen = None;
    if let Some(cache) = cache.as_deref_mut() {
        let mut made = Fingerprint::new(root, &[DOMAIN.as_bytes(), b"whole"]);
        walk(root, Path::new(""), &Filter::default(), &mut made)?;
        let (fingerprint, newest) = made.finish();
        if has_passed(root, newest)
            && let Some(known) = cache.tree(&fingerprint)
        {
            return Ok(known);
        }
        seen = Some((fingerprint, newest));
    }
    contents::read(root, &[(Path::new(""), Filter::default())], cache.as_deref_mut())?;
    let mut hasher = TreeHasher::new(root, cache.as_deref_mut());
    walk(root, Path::new(""), &Filter::default(), &mut hasher)?;
    let found = hasher.finish();
    if let (Some((fingerprint, newest)), Some(cache)) = (seen, cache) {
        put_tree(root, cache, (fingerprint, newest), found);
        cache.saw_all();
    }
    Ok(found)
}

struct TreeHasher<'a> {
    root: &'a SourceRoot<'a>,
    cache: Option<&'a mut StatCache>,
    out: Hashing<io::Sink>,
    /// Name under which a source that is a file is copied.
    name: PathBuf,
    first_link: HashMap<(u64, u64), PathBuf>,
    /// Entries below the sources themselves.
    entries: u64,
    files: u64,
    bytes: u64,
    listing: Listing,
}

impl<'a> TreeHasher<'a> {
    fn new(root: &'a SourceRoot<'a>, cache: Option<&'a mut StatCache>) -> Self {
        let mut hasher = Self {
            root,
            cache,
            out: Hashing::new(io::sink()),
            name: PathBuf::new(),
            first_link: HashMap::new(),
            entries: 0,
            files: 0,
            bytes: 0,
            listing: Listing::default(),
        };
        hasher.record(b'T', &[DOMAIN.as_bytes()]);
        hasher
    }

    fn finish(self) -> TreeDigest {
        TreeDigest { digest: self.out.finish().1, files: self.files, bytes: self.bytes }
    }

    /// Begins the next source.
    fn source(&mut self, name: &Path) {
        self.name = name.to_owned();
        // Hard links are kept inside one source only, as BuildKit does.
        self.first_link.clear();
        self.record(b's', &[]);
    }

    /// One record: its kind, and each field with its length in front, so that no two lists of
    /// records have the same bytes.
    fn record(&mut self, kind: u8, fields: &[&[u8]]) {
        let mut bytes = vec![kind];
        for field in fields {
            bytes.extend((field.len() as u64).to_le_bytes());
            bytes.extend_from_slice(field);
        }
        bytes.push(b'\n');
        // A sink takes everything.
        let _ = self.out.write_all(&bytes);
    }

    /// Mode, owner and extended attributes.
    fn facts(&mut self, entry: &Entry<'_>) -> Result<Vec<u8>, SourceError> {
        let owner = self.root.owner(entry.meta.uid, entry.meta.gid);
        let mut facts = Vec::new();
        for number in [entry.meta.mode, owner.0, owner.1] {
            facts.extend(number.to_le_bytes());
        }
        if entry.meta.kind != Kind::Link {
            for (key, value) in entry_xattrs(self.root, entry)? {
                facts.extend((key.len() as u64).to_le_bytes());
                facts.extend(key.as_bytes());
                facts.extend((value.len() as u64).to_le_bytes());
                facts.extend(value);
            }
        }
        Ok(facts)
    }

    fn contents(&mut self, entry: &Entry<'_>) -> Result<(Digest, u64), SourceError> {
        if let Some(digest) = contents::known(self.root, entry, self.cache.as_deref_mut()) {
            return Ok((digest, entry.meta.size));
        }
        let (digest, meta) = steady::digest(self.root, (entry.path, entry.meta))?;
        let digest = contents::keep(self.root, entry, self.cache.as_deref_mut(), (digest, &meta));
        Ok((digest, meta.size))
    }
}

/// The extended attributes of an entry of a tree. In a look at a context they are read once, so that what a
/// key was made of is what is copied.
pub(super) fn entry_xattrs(
    root: &SourceRoot<'_>,
    entry: &Entry<'_>,
) -> Result<Vec<xattrs::Xattr>, SourceError> {
    let path = entry.path;
    let read = || {
        let read = root.rooted.parent(path).and_then(|(dir, name)| xattrs::read(&dir, name));
        match read {
            Err(cause) if root.survey.is_some() && missing(&cause) => Err(steady::changed(path)),
            read => {
                let on_disk = || root.rooted.path().join(path);
                let read = read.map_err(SourceError::io("read the attributes of", on_disk()))?;
                // Whether a key was made of these, the time of the last change tells. A file's is compared
                // when it is read.
                match (&root.survey, entry.meta.kind) {
                    (None, _) | (_, Kind::File) => Ok(read),
                    _ => steady::is_as_seen(root, entry).map(|()| read),
                }
            }
        }
    };
    match entry.item {
        Some(item) => item.xattrs(read),
        None => read(),
    }
}

impl Visitor for TreeHasher<'_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        if entry.rel.as_os_str().is_empty() {
            // Only the contents of a directory are copied, its own mode is not.
            self.record(b'D', &[]);
            return Ok(());
        }
        self.entries += 1;
        let facts = self.facts(entry)?;
        self.listing.add(entry.path, entry.meta.mode, &Digest::of(b""));
        let selected = [u8::from(entry.selected)];
        self.record(b'd', &[entry.rel.as_os_str().as_bytes(), &facts, &selected]);
        Ok(())
    }

    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        self.entries += 1;
        let name = match entry.rel.as_os_str().is_empty() {
            true => self.name.clone(),
            false => entry.rel.to_owned(),
        };
        let name_bytes = name.as_os_str().as_bytes();
        let facts = self.facts(entry)?;
        match entry.meta.kind {
            Kind::File => {
                if entry.meta.links > 1
                    && let Some(first) = self.first_link.get(&entry.meta.inode).cloned()
                {
                    self.record(b'h', &[name_bytes, first.as_os_str().as_bytes()]);
                    return Ok(());
                }
                self.first_link.insert(entry.meta.inode, name.clone());
                let (digest, size) = self.contents(entry)?;
                self.listing.add(entry.path, entry.meta.mode, &digest);
                (self.files, self.bytes) = (self.files + 1, self.bytes + size);
                self.record(b'f', &[name_bytes, &facts, &size.to_le_bytes(), digest.bytes()]);
            }
            Kind::Link => {
                let target = entry.link(self.root)?;
                let content = Digest::of(target.as_os_str().as_bytes());
                self.listing.add(entry.path, entry.meta.mode, &content);
                self.record(b'l', &[name_bytes, &facts, target.as_os_str().as_bytes()]);
            }
            Kind::Fifo => self.record(b'p', &[name_bytes, &facts]),
            Kind::Device => self.record(b'b', &[name_bytes, &facts]),
            Kind::Socket | Kind::Directory => {}
        }
        Ok(())
    }

    fn leave(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
