//! Content digests remembered by what `stat` says of a file, so that an unchanged context costs a
//! walk and no reading.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{Read, Write as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    error::SourceError,
    rooted::{Meta, missing},
};
use crate::oci::digest::Digest;

const HEADER: &str = "touchmark stat cache 1";
/// Largest cache file that is read, in bytes: a million entries or so.
const MAX_SIZE: u64 = 256 << 20;
/// A file this young, in seconds, is not remembered: a second change within the resolution of the
/// file system's clock would go unseen.
const SETTLED: i64 = 2;

/// Digests of files by path, size, times and inode. Belongs to one context directory.
#[derive(Debug, Default)]
pub struct StatCache {
    known: HashMap<Vec<u8>, (Stamp, Digest)>,
    /// Those asked for since the cache was loaded; the others are dropped when it is saved.
    used: HashMap<Vec<u8>, (Stamp, Digest)>,
}

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
    /// Reads a saved cache. A missing, foreign or damaged file is an empty cache.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        let mut text = String::new();
        let read = std::fs::File::open(file)
            .and_then(|open| open.take(MAX_SIZE).read_to_string(&mut text));
        let mut lines = text.lines();
        if read.is_err() || lines.next() != Some(HEADER) {
            return Self::default();
        }
        Self { known: lines.filter_map(parse).collect(), used: HashMap::new() }
    }

    /// Writes what was used, under a temporary name first: a reader sees the old or the new cache,
    /// and of two writers the last one wins.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, file: &Path) -> Result<(), SourceError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let io = || SourceError::io("write the stat cache", file);
        std::fs::create_dir_all(folder).map_err(io())?;
        let mut text = format!("{HEADER}\n");
        let mut rows: Vec<_> = self.used.iter().collect();
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
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(io())?;
        temporary.write_all(text.as_bytes()).map_err(io())?;
        temporary.persist(file).map_err(|error| io()(error.error))?;
        Ok(())
    }

    /// The digest of the file at `path` (below the context) if it is known for these facts.
    pub(super) fn get(&mut self, path: &Path, meta: &Meta) -> Option<Digest> {
        let key = path.as_os_str().as_encoded_bytes();
        let stamp = Stamp::of(meta);
        let (known, digest) = self.used.get(key).or_else(|| self.known.get(key))?;
        if *known != stamp {
            return None;
        }
        let digest = *digest;
        self.used.insert(key.to_vec(), (stamp, digest));
        Some(digest)
    }

    /// Remembers a digest, unless the file changed so lately that the facts prove nothing.
    pub(super) fn put(&mut self, path: &Path, meta: &Meta, digest: Digest) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let newest = meta.ctime.0.max(meta.mtime.0);
        if newest.saturating_add(SETTLED) < i64::try_from(now).unwrap_or(i64::MAX) {
            let key = path.as_os_str().as_encoded_bytes().to_vec();
            self.used.insert(key, (Stamp::of(meta), digest));
        }
    }

    /// How many digests are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len().max(self.used.len())
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
        match std::fs::remove_file(file) {
            Err(cause) if !missing(&cause) => Err(SourceError::io("remove", file)(cause)),
            _ => Ok(()),
        }
    }
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
