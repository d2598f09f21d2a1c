//! All cache directories of this user at once: what `touchmark cache` lists, writes to a file and reads
//! from one.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with},
    io::Errno,
};

use super::{
    cache_archive::{self, CacheArchiveError, Entry},
    cache_mount::{CacheDir, CacheName},
    error::SolveError,
};
use crate::{
    layer::{UnpackOptions, unpack},
    snapshot::OWNER_SHIFT,
};

/// One cache directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMount {
    /// What makes it this one.
    pub name: CacheName,
    /// Bytes on the disk, second copies of `sharing=private` included.
    pub bytes: u64,
    /// When a step used it last.
    pub used: Option<SystemTime>,
    /// The name of its files.
    pub stem: String,
    /// A step has it now, or one of its second copies.
    pub busy: bool,
}

/// What an import does with a cache that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Its contents go.
    Replace,
    /// Its files stay, but for those that are imported too.
    Merge,
    /// It stays as it is.
    Keep,
}

/// The cache directories below one directory. Reading them all needs the ids of the worker's user
/// namespace.
#[derive(Debug, Clone)]
pub struct CacheStore {
    root: PathBuf,
}

impl CacheStore {
    /// The caches below `root` ([`super::host::Host::cache_mounts`]).
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// All caches, by id.
    ///
    /// # Errors
    /// When the directory cannot be read. A cache that vanishes meanwhile is left out.
    pub fn list(&self) -> Result<Vec<CacheMount>, SolveError> {
        self.list_knowing(|_| None)
    }

    /// As [`CacheStore::list`]; `known` may tell the size of a cache that it knows by its stem and the time
    /// of its last use.
    ///
    /// # Errors
    /// As [`CacheStore::list`].
    pub fn list_knowing(
        &self,
        known: impl Fn(&CacheMount) -> Option<u64>,
    ) -> Result<Vec<CacheMount>, SolveError> {
        let mut list = Vec::new();
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(list),
            Err(error) => return Err(SolveError::store(&self.root)(error)),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let Some(name) = read_name(&path) else { continue };
            let path = path.with_extension("");
            let used = fs::metadata(path.with_extension("lock")).and_then(|lock| lock.modified());
            let (used, busy) = (used.ok(), copies(&path).any(|copy| is_locked(&copy)));
            let stem = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut cache = CacheMount { name, bytes: 0, used, stem, busy };
            let measure = || copies(&path).map(|copy| disk_use(&copy)).sum();
            cache.bytes = known(&cache).unwrap_or_else(measure);
            list.push(cache);
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// Moves the cache with this stem and its copies into `trash`; false when a step has one of them.
    ///
    /// # Errors
    /// When a directory cannot be moved.
    pub fn discard(&self, stem: &str, trash: &Path) -> Result<bool, SolveError> {
        let path = self.root.join(stem);
        let fault = SolveError::store(&path);
        let mut whole = true;
        for (number, copy) in copies(&path).enumerate() {
            let lock = copy.with_extension("lock");
            let Ok(file) = File::options().write(true).open(&lock) else { continue };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                whole = false;
                continue;
            }
            gone(fs::rename(&copy, trash.join(format!("{stem}-{number}")))).map_err(&fault)?;
            // Who waits for the lock sees that its file has no name any more, and makes another.
            gone(fs::remove_file(&lock)).map_err(&fault)?;
        }
        if whole {
            gone(fs::remove_file(path.with_extension("json"))).map_err(&fault)?;
        }
        Ok(whole)
    }

    /// Writes the caches with these ids to `out`, or all of them where no id is given: the same contents
    /// give the same bytes. A cache is locked while it is read; `busy` is told when that has to be waited
    /// for.
    ///
    /// # Errors
    /// When an id names no cache, a cache cannot be read, or `out` does not take it.
    pub fn export<W: Write>(
        &self,
        ids: &[String],
        out: W,
        busy: &dyn Fn(&str),
    ) -> Result<(Vec<CacheMount>, W), CacheArchiveError> {
        let all = self.list()?;
        if let Some(missing) = ids.iter().find(|id| all.iter().all(|found| found.name.id != **id)) {
            return Err(CacheArchiveError::Unknown(missing.clone()));
        }
        let wanted = |cache: &CacheMount| ids.is_empty() || ids.contains(&cache.name.id);
        let wanted: Vec<CacheMount> = all.into_iter().filter(wanted).collect();
        // In the order of names, which is also the order in which steps lock several.
        let mut held = Vec::with_capacity(wanted.len());
        for cache in &wanted {
            let taken = CacheDir::lock_alone(&self.root, &cache.name, busy)?;
            let metadata = fs::metadata(taken.path()).map_err(SolveError::store(taken.path()))?;
            let entry = Entry {
                name: cache.name.clone(),
                mode: metadata.permissions().mode() & 0o7777,
                uid: metadata.uid().saturating_sub(OWNER_SHIFT),
                gid: metadata.gid().saturating_sub(OWNER_SHIFT),
            };
            held.push((entry, taken));
        }
        let entries = held.iter().map(|(entry, taken)| (entry, taken.path()));
        let out = cache_archive::write(&entries.collect::<Vec<_>>(), out)?;
        Ok((wanted, out))
    }

    /// Takes over the caches of an archive that [`CacheStore::export`] wrote, here or elsewhere.
    ///
    /// # Errors
    /// When the archive is none or would leave its directory. A cache is then as it was before or wholly
    /// imported; one that is merged has got what stood before the fault.
    pub fn import(
        &self,
        archive: impl Read,
        existing: Existing,
        busy: &dyn Fn(&str),
    ) -> Result<Vec<CacheName>, CacheArchiveError> {
        self.import_some(archive, existing, &|_| true, busy)
    }

    /// As [`CacheStore::import`], for those caches whose ids are wanted.
    ///
    /// # Errors
    /// As [`CacheStore::import`].
    pub fn import_some(
        &self,
        archive: impl Read,
        existing: Existing,
        wanted: &dyn Fn(&str) -> bool,
        busy: &dyn Fn(&str),
    ) -> Result<Vec<CacheName>, CacheArchiveError> {
        fs::create_dir_all(&self.root).map_err(SolveError::store(&self.root))?;
        let mut done = Vec::new();
        let options = UnpackOptions { shift: OWNER_SHIFT, ..UnpackOptions::default() };
        cache_archive::read(archive, |entry, tar| {
            if !wanted(&entry.name.id) {
                return Ok(());
            }
            let taken = CacheDir::lock_alone(&self.root, &entry.name, busy)?;
            if existing == Existing::Keep && taken.path().is_dir() {
                return Ok(());
            }
            if existing == Existing::Merge && taken.path().is_dir() {
                unpack(tar, taken.path(), options)?;
            } else {
                let fresh = tempfile::Builder::new().prefix("new-").tempdir_in(&self.root);
                let fresh = fresh.map_err(SolveError::store(&self.root))?;
                unpack(tar, fresh.path(), options)?;
                publish(entry, fresh.path(), taken.path())
                    .map_err(SolveError::store(taken.path()))?;
            }
            taken.describe(&entry.name)?;
            done.push(entry.name.clone());
            Ok(())
        })?;
        Ok(done)
    }
}

/// The directory of a cache and of the copies that `sharing=private` made of it.
fn copies(path: &Path) -> impl Iterator<Item = PathBuf> {
    let of = |number: usize| match number {
        0 => path.to_owned(),
        _ => {
            let mut copy = path.as_os_str().to_owned();
            copy.push(format!("-{number}"));
            copy.into()
        }
    };
    let there = |copy: &PathBuf| copy.is_dir() || copy.with_extension("lock").exists();
    // Removed as they are passed, so found before.
    (0..).map(of).take_while(there).collect::<Vec<_>>().into_iter()
}

fn is_locked(copy: &Path) -> bool {
    let Ok(file) = File::open(copy.with_extension("lock")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Puts a fresh directory in the place of a cache; what stood there is removed with the fresh one.
fn publish(entry: &Entry, fresh: &Path, place: &Path) -> io::Result<()> {
    let id = |id: u32| Some(id.saturating_add(OWNER_SHIFT));
    chown(fresh, id(entry.uid), id(entry.gid))?;
    fs::set_permissions(fresh, Permissions::from_mode(entry.mode))?;
    match renameat_with(CWD, fresh, CWD, place, RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => fs::rename(fresh, place),
        other => Ok(other?),
    }
}

/// A name file is small; a larger one is not ours.
const MAX_NAME: u64 = 1 << 20;

fn read_name(path: &Path) -> Option<CacheName> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_NAME).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Bytes that a tree takes on the disk; what cannot be read counts nothing.
fn disk_use(path: &Path) -> u64 {
    let mut sum = 0;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            // A file with several names counts a part for each.
            sum += metadata.blocks() * 512 / metadata.nlink().max(1);
        }
    }
    sum
}
