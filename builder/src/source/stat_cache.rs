//! Content digests remembered by what `stat` says of a file, so that an unchanged context costs a
//! walk and no reading.

use std::{
    cell::OnceCell,
    collections::HashMap,
    fmt::Write as _,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    error::SourceError,
    rooted::{Meta, missing},
    tree_digest::TreeDigest,
};
use crate::oci::digest::Digest;

const HEADER: &str = "touchmark stat cache 1";
/// Largest cache file that is read, in bytes: a million entries or so.
const MAX_SIZE: u64 = 256 << 20;
/// A file this young, in seconds, is not remembered: a second change within the resolution of the
/// file system's clock would go unseen.
const SETTLED: i64 = 2;

/// Digests of files by path, size, times and inode, and digests of whole trees by the fingerprint of all
/// that. Belongs to one context directory.
#[derive(Debug, Default)]
pub struct StatCache {
    /// Where it was read from; the files in it are read when the first is asked for.
    file: PathBuf,
    known: OnceCell<HashMap<Vec<u8>, (Stamp, Digest)>>,
    /// Those asked for since the cache was loaded.
    used: HashMap<Vec<u8>, (Stamp, Digest)>,
    /// Was a digest put in that was not known?
    fresh: bool,
    /// Was every file of the context asked for? Then the others are gone, and dropped when it is saved.
    whole: bool,
    /// By fingerprint, the last one used last.
    trees: Vec<(Digest, TreeDigest)>,
    trees_before: Vec<Digest>,
}

/// Trees that are remembered: of some dozens of COPYs and of the context, as they are and as they were.
const MAX_TREES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    inode: (u64, u64),
}

impl Stamp {
    fn of(meta: &Meta) -> Self {
        Self { size: meta.size, mtime: meta.mtime, ctime: meta.ctime, inode: meta.inode }
    }
}

impl StatCache {
    /// A saved cache. A missing, foreign or damaged file is an empty cache.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        let text = read(&trees_file(file)).unwrap_or_default();
        let trees: Vec<_> = text.lines().filter_map(parse_tree).collect();
        let trees_before = trees.iter().map(|(fingerprint, _)| *fingerprint).collect();
        Self { file: file.to_owned(), trees, trees_before, ..Self::default() }
    }

    fn known(&self) -> &HashMap<Vec<u8>, (Stamp, Digest)> {
        self.known.get_or_init(|| {
            let text = read(&self.file).unwrap_or_default();
            let mut lines = text.lines();
            match lines.next() == Some(HEADER) {
                true => lines.filter_map(parse).collect(),
                false => HashMap::new(),
            }
        })
    }

    /// The digest of the tree with this fingerprint.
    pub(super) fn tree(&mut self, fingerprint: &Digest) -> Option<TreeDigest> {
        let at = self.trees.iter().position(|(known, _)| known == fingerprint)?;
        Some(self.trees[at].1)
    }

    /// Remembers it, unless something in the tree, of which the latest time is `newest`, changed so lately
    /// that a time proves nothing.
    pub(super) fn put_tree(&mut self, fingerprint: Digest, newest: i64, tree: TreeDigest) {
        if is_settled(newest) {
            self.trees.retain(|(known, _)| *known != fingerprint);
            self.trees.push((fingerprint, tree));
            let surplus = self.trees.len().saturating_sub(MAX_TREES);
            self.trees.drain(..surplus);
        }
    }

    /// Every file of the context was asked for: those that were not are gone.
    pub(super) fn saw_all(&mut self) {
        self.whole = true;
    }

    /// Writes what is new, under a temporary name first: a reader sees the old or the new cache, and of two
    /// writers the last one wins. Where nothing is new, nothing is written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, file: &Path) -> Result<(), SourceError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let io = || SourceError::io("write the stat cache", file);
        std::fs::create_dir_all(folder).map_err(io())?;
        if self.trees.iter().map(|(seen, _)| seen).ne(&self.trees_before) {
            let line = |(seen, tree): &(Digest, TreeDigest)| {
                let TreeDigest { digest, files, bytes } = tree;
                format!("{} {} {files} {bytes}\n", seen.hex(), digest.hex())
            };
            let text = self.trees.iter().map(line).collect::<String>();
            write(folder, &trees_file(file), &text).map_err(io())?;
        }
        let dropped = self.whole && self.used.len() != self.known().len();
        if !self.fresh && !dropped {
            return Ok(());
        }
        let kept =
            self.known().iter().filter(|(path, _)| !self.whole && !self.used.contains_key(*path));
        let mut text = format!("{HEADER}\n");
        let mut rows: Vec<_> = self.used.iter().chain(kept).collect();
        rows.sort_unstable_by_key(|(path, _)| *path);
        for (path, (stamp, digest)) in rows {
            let Stamp { size, mtime, ctime, inode } = stamp;
            let _ = writeln!(
                text,
                "{} {size} {} {} {} {} {} {} {}",
                digest.hex(),
                mtime.0,
                mtime.1,
                ctime.0,
                ctime.1,
                inode.0,
                inode.1,
                hex::encode(path)
            );
        }
        write(folder, file, &text).map_err(io())
    }

    /// The digest of the file at `path` (below the context) if it is known for these facts.
    pub(super) fn get(&mut self, path: &Path, meta: &Meta) -> Option<Digest> {
        let key = path.as_os_str().as_encoded_bytes();
        let stamp = Stamp::of(meta);
        let (known, digest) = self.used.get(key).or_else(|| self.known().get(key))?;
        if *known != stamp {
            return None;
        }
        let digest = *digest;
        self.used.insert(key.to_vec(), (stamp, digest));
        Some(digest)
    }

    /// Remembers a digest, unless the file changed so lately that the facts prove nothing.
    pub(super) fn put(&mut self, path: &Path, meta: &Meta, digest: Digest) {
        if is_settled(meta.ctime.0.max(meta.mtime.0)) {
            let key = path.as_os_str().as_encoded_bytes().to_vec();
            self.used.insert(key, (Stamp::of(meta), digest));
            self.fresh = true;
        }
    }

    /// How many digests are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().len().max(self.used.len())
    }

    /// Is nothing known?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes a saved cache.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget(file: &Path) -> Result<(), SourceError> {
        for file in [file, &trees_file(file)] {
            match std::fs::remove_file(file) {
                Err(cause) if !missing(&cause) => {
                    return Err(SourceError::io("remove", file)(cause));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Is the time, in seconds since 1970, so long ago that a later change would have another one?
fn is_settled(newest: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    newest.saturating_add(SETTLED) < i64::try_from(now).unwrap_or(i64::MAX)
}

/// The trees stand beside the files, so that a build in which nothing changed need not read those.
fn trees_file(file: &Path) -> PathBuf {
    file.with_extension("trees")
}

fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(MAX_SIZE).read_to_string(&mut text).ok()?;
    Some(text)
}

fn write(folder: &Path, file: &Path, text: &str) -> std::io::Result<()> {
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

fn parse_tree(line: &str) -> Option<(Digest, TreeDigest)> {
    let mut words = line.split(' ');
    let mut digest = || format!("sha256:{}", words.next()?).parse().ok();
    let (fingerprint, digest) = (digest()?, digest()?);
    let (files, bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((fingerprint, TreeDigest { digest, files, bytes }))
}

fn parse(line: &str) -> Option<(Vec<u8>, (Stamp, Digest))> {
    let mut words = line.split(' ');
    let digest = format!("sha256:{}", words.next()?).parse().ok()?;
    let size = words.next()?.parse().ok()?;
    let mut time = || Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?));
    let (mtime, ctime) = (time()?, time()?);
    let inode = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let path = hex::decode(words.next()?).ok()?;
    Some((path, (Stamp { size, mtime, ctime, inode }, digest)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{super::rooted::Rooted, *};

    #[test]
    fn known_until_anything_about_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (PathBuf::from("a b"), dir.path().join("cache/stat"));
        std::fs::write(dir.path().join(&path), "x").unwrap();
        let rooted = Rooted::open(dir.path()).unwrap();
        let mut meta = rooted.lstat(&path).unwrap().unwrap();
        let mut cache = StatCache::load(&file);
        cache.put(&path, &meta, Digest::of(b"x"));
        assert!(cache.is_empty(), "too young to be trusted");
        meta.ctime.0 -= 100;
        meta.mtime.0 -= 100;
        cache.put(&path, &meta, Digest::of(b"x"));
        cache.save(&file).unwrap();
        let mut cache = StatCache::load(&file);
        assert_eq!(cache.get(&path, &meta), Some(Digest::of(b"x")));
        assert_eq!(cache.get(Path::new("b"), &meta), None);
        meta.ctime.1 += 1;
        assert_eq!(cache.get(&path, &meta), None);
    }

    #[test]
    fn a_damaged_cache_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stat");
        for text in ["", "other\n", "touchmark stat cache 1\nzz 1\n\u{0}"] {
            std::fs::write(&file, text).unwrap();
            assert!(StatCache::load(&file).is_empty(), "{text:?}");
        }
        StatCache::forget(&file).unwrap();
        StatCache::forget(&file).unwrap();
    }
}
