//! The index of the cache: small documents by kind and key, in one SQLite database that any number of
//! processes share. A kill or a power loss costs the newest documents at most. Documents may cost time when
//! they are lost, never correctness, so nothing here fails: a database that cannot be used is one warning,
//! and this process remembers in memory what it would have written.

mod file;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OptionalExtension, params};

use self::{
    file::{FileError, Opened},
    writer::{Change, Writer},
};
use crate::oci::digest::Digest;

/// What a document is; the numbers stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Results of steps.
    Results = 1,
    /// Which blob holds a layer.
    Layers = 2,
    /// What was fetched, by address.
    Downloads = 3,
    /// Images that were hardened.
    Hardened = 4,
    /// Inventories of images.
    Sboms = 5,
    /// Signed statements.
    Statements = 6,
    /// What was measured on the disk.
    Sizes = 7,
    /// What stacks of layers are, by chain id.
    Stacks = 8,
    /// What went into the steps of each stage, to tell why one runs.
    Ingredients = 9,
    /// What names of images led to.
    Images = 10,
}

/// All tables.
pub const TABLES: [Table; 10] = [
    Table::Results,
    Table::Layers,
    Table::Downloads,
    Table::Hardened,
    Table::Sboms,
    Table::Statements,
    Table::Sizes,
    Table::Stacks,
    Table::Ingredients,
    Table::Images,
];

/// Where a document stands.
type Place = (Table, Digest);

/// One document as it stands in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub table: Table,
    /// Its key.
    pub key: Digest,
    /// The document, JSON.
    pub value: Vec<u8>,
    /// When it was written, in seconds since 1970.
    pub made: i64,
    /// When it was read last, to the hour, in seconds since 1970.
    pub used: i64,
}

/// The largest document that is kept, in bytes: a step with 50,000 requests stays below it.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A time of use that is not older is left as it is, so that an unchanged build writes nothing.
const HOUR: i64 = 3600;

/// An open index.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    reader: Mutex<Option<Connection>>,
    pending: Arc<Pending>,
    used: Mutex<HashSet<Place>>,
    // Stopped before the lock ends: fields are dropped in this order.
    writer: Mutex<Option<Writer>>,
    _lock: Option<File>,
}

impl Index {
    /// Opens the index in `dir`, which is made where it is missing. One that is damaged or of another
    /// version is put aside; see [`Index::warning`].
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let pending = Pending::default();
        let (reader, lock) = match file::open(dir) {
            Ok(Opened { reader, lock, aside }) => {
                if let Some(fault) = aside {
                    pending.warn(format!(
                        "the cache index in '{}' was put aside and begun anew: {fault}",
                        dir.display()
                    ));
                }
                (Some(reader), Some(lock))
            }
            Err(fault) => {
                pending.fault(FileError::to_string(&fault));
                (None, None)
            }
        };
        Self {
            dir: dir.to_owned(),
            reader: Mutex::new(reader),
            pending: Arc::new(pending),
            used: Mutex::default(),
            writer: Mutex::default(),
            _lock: lock,
        }
    }

    /// What the user should know about the index, told once.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        lock(&self.pending.warning).take()
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Calls `read` with the document, if there is one.
    pub(super) fn get<T>(
        &self,
        table: Table,
        key: &Digest,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        if let Some(value) = lock(&self.pending.documents).get(&(table, *key)) {
            return read(value.1.as_deref()?);
        }
        let mut reader = lock(&self.reader);
        let connection = reader.as_ref()?;
        let found = Self::stored(connection, table, key);
        if let Err(error) = &found {
            if file::is_damage(error) {
                file::mark_damaged(&self.dir);
                self.pending.warn(format!(
                    "the cache index in '{}' is damaged: {error}; the next build begins it anew",
                    self.dir.display()
                ));
                *reader = None;
            }
            return None;
        }
        drop(reader);
        let (value, used) = found.ok().flatten()?;
        let document = read(&value)?;
        if now() - used > HOUR {
            lock(&self.used).insert((table, *key));
        }
        Some(document)
    }

    fn stored(
        connection: &Connection,
        table: Table,
        key: &Digest,
    ) -> rusqlite::Result<Option<(Vec<u8>, i64)>> {
        let sql = "SELECT value, used FROM entry WHERE kind = ?1 AND key = ?2";
        let mut select = connection.prepare_cached(sql)?;
        let place = params![table as i64, key.bytes()];
        select.query_row(place, |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// Keeps a document; others see it soon, this process at once.
    pub(super) fn put(&self, table: Table, key: &Digest, value: Vec<u8>) {
        if value.len() > MAX_BYTES {
            return;
        }
        let (place, value): (Place, Arc<[u8]>) = ((table, *key), value.into());
        let number = self.pending.add(place, Some(value.clone()));
        self.change(Change::Put(place, number, value));
    }

    /// Removes documents; [`Index::flush`] waits until they are gone.
    pub fn remove(&self, places: impl IntoIterator<Item = (Table, Digest)>) {
        for place in places {
            let number = self.pending.add(place, None);
            self.change(Change::Remove(place, number));
        }
    }

    /// All documents of a kind as they stand in the file, in no order.
    #[must_use]
    pub fn entries(&self, table: Table) -> Vec<Entry> {
        self.flush();
        let reader = lock(&self.reader);
        let Some(connection) = reader.as_ref() else { return Vec::new() };
        let all = || -> rusqlite::Result<Vec<Entry>> {
            let sql = "SELECT key, value, made, used FROM entry WHERE kind = ?1";
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map([table as i64], |row| {
                let key = Digest::from_bytes(row.get(0)?);
                let (value, made, used) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Entry { table, key, value, made, used })
            })?;
            rows.collect()
        };
        all().unwrap_or_default()
    }

    /// Writes what is not written yet, and which documents were used.
    pub fn flush(&self) {
        let used: Vec<Place> = lock(&self.used).drain().collect();
        if !used.is_empty() {
            self.change(Change::Used(used));
        }
        if let Some(writer) = lock(&self.writer).as_ref() {
            writer.wait();
        }
    }

    fn change(&self, change: Change) {
        if self.pending.has_failed() {
            return;
        }
        let mut writer = lock(&self.writer);
        if writer.is_none() {
            match Writer::start(self.dir.clone(), self.pending.clone()) {
                Ok(started) => *writer = Some(started),
                Err(error) => return self.pending.fault(error.to_string()),
            }
        }
        if let Some(writer) = writer.as_ref() {
            writer.send(change);
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A document that is not written yet, with its number; none where it was removed.
type Waiting = (u64, Option<Arc<[u8]>>);

/// What this process wrote and the file does not hold yet; all of it where the file cannot be written.
#[derive(Debug, Default)]
struct Pending {
    documents: Mutex<HashMap<Place, Waiting>>,
    count: AtomicU64,
    warning: Mutex<Option<String>>,
    failed: Mutex<bool>,
}

impl Pending {
    fn add(&self, place: Place, value: Option<Arc<[u8]>>) -> u64 {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        lock(&self.documents).insert(place, (number, value));
        number
    }

    /// The file holds these; what was put again meanwhile waits on.
    fn written(&self, batch: &[Change]) {
        let mut documents = lock(&self.documents);
        for change in batch {
            match change {
                Change::Put(place, number, _) | Change::Remove(place, number) => {
                    if documents.get(place).is_some_and(|(waiting, _)| waiting == number) {
                        documents.remove(place);
                    }
                }
                Change::Used(_) => {}
                Change::Written(done) => drop(done.try_send(())),
            }
        }
    }

    fn warn(&self, text: String) {
        lock(&self.warning).get_or_insert(text);
    }

    fn fault(&self, cause: String) {
        *lock(&self.failed) = true;
        self.warn(format!(
            "results of this build are not kept, because the cache index cannot be used: {cause}"
        ));
    }

    fn has_failed(&self) -> bool {
        *lock(&self.failed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
