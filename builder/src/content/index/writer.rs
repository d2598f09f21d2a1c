//! The one thread of a process that writes the index. Nobody waits for it but who asks for that.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    Pending, Place,
    file::{self, FileError},
    now,
};

/// What is to be written.
#[derive(Debug)]
pub(super) enum Change {
    /// What is pending under this place, with its number.
    Put(Place, u64, Arc<[u8]>),
    /// Entries that were used.
    Used(Vec<Place>),
    /// An entry that goes.
    Remove(Place, u64),
    /// Says when all before it is written.
    Written(SyncSender<()>),
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Writer {
    changes: Option<Sender<Change>>,
    thread: Option<JoinHandle<()>>,
}

/// Frames in the journal after which they are copied into the file: what the first command after that
/// reads again when it opens it, in well below a millisecond.
const JOURNAL: &str = "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 200;";

impl Writer {
    /// Starts it; `pending` is told what is written, and what cannot be.
    pub(super) fn start(dir: PathBuf, pending: Arc<Pending>) -> std::io::Result<Self> {
        let (changes, queue) = channel();
        let thread = thread::Builder::new().name("cache-index".to_owned());
        let thread = thread.spawn(move || write(&dir, &queue, &pending))?;
        Ok(Self { changes: Some(changes), thread: Some(thread) })
    }

    /// Leaves a change to the thread.
    pub(super) fn send(&self, change: Change) {
        // Its end is a fault that it reported.
        let _ = self.changes.as_ref().map(|changes| changes.send(change));
    }

    /// Waits until everything sent so far is written.
    pub(super) fn wait(&self) {
        let (done, told) = sync_channel(1);
        self.send(Change::Written(done));
        let _ = told.recv();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.changes = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn write(dir: &std::path::Path, queue: &Receiver<Change>, pending: &Pending) {
    let mut connection = match connect(dir) {
        Ok(connection) => connection,
        Err(error) => return pending.fault(error.to_string()),
    };
    while let Ok(first) = queue.recv() {
        let batch: Vec<Change> = std::iter::once(first).chain(queue.try_iter()).collect();
        match apply(&mut connection, &batch) {
            Ok(()) => pending.written(&batch),
            Err(error) => {
                if file::is_damage(&error) {
                    file::mark_damaged(dir);
                }
                pending.fault(error.to_string());
            }
        }
    }
}

fn connect(dir: &std::path::Path) -> Result<Connection, FileError> {
    let connection = file::connect(dir)?;
    connection.execute_batch(JOURNAL)?;
    Ok(connection)
}

fn apply(connection: &mut Connection, batch: &[Change]) -> rusqlite::Result<()> {
    let work = |change: &Change| !matches!(change, Change::Written(_));
    if !batch.iter().any(work) {
        return Ok(());
    }
    let all = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now();
    let mut removed = false;
    for change in batch {
        match change {
            Change::Put((table, key), _, value) => {
                let sql = "INSERT OR REPLACE INTO entry (kind, key, value, made, used) \
                           VALUES (?1, ?2, ?3, ?4, ?4)";
                let values = params![*table as i64, key.bytes(), &value[..], now];
                all.prepare_cached(sql)?.execute(values)?;
            }
            Change::Used(places) => {
                let sql = "UPDATE entry SET used = ?3 WHERE kind = ?1 AND key = ?2";
                let mut update = all.prepare_cached(sql)?;
                for (table, key) in places {
                    update.execute(params![*table as i64, key.bytes(), now])?;
                }
            }
            Change::Remove((table, key), _) => {
                let sql = "DELETE FROM entry WHERE kind = ?1 AND key = ?2";
                all.prepare_cached(sql)?.execute(params![*table as i64, key.bytes()])?;
                removed = true;
            }
            Change::Written(_) => {}
        }
    }
    all.commit()?;
    if removed {
        connection.execute_batch("PRAGMA incremental_vacuum")?;
    }
    Ok(())
}
