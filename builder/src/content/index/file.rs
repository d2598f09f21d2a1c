//! The database file of the index: found, made, or put aside and made anew.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with},
    io::Errno,
};

/// Stands in the file. Another number is another form: such a file is put aside.
const VERSION: i64 = 1;

/// The database, beside its journal (`-wal`) and what shares it between processes (`-shm`).
const NAME: &str = "index.db";

/// Left by a process that found the database damaged while it used it.
const DAMAGED: &str = "damaged";

/// The one that was put aside last.
const ASIDE: &str = "aside";

/// How long a process waits for another one that is writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Values are large and few, keys short: a row of its own for each, found by an index.
const SCHEMA: &str = "
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    BEGIN;
    CREATE TABLE entry (
        kind INTEGER NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        made INTEGER NOT NULL,
        used INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    );
    PRAGMA user_version = 1;
    COMMIT;";

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The directory or a file in it cannot be had.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// SQLite refused.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// It was written by another version.
    #[error("it is of form {0}, this program writes form {VERSION}")]
    Version(i64),
    /// It was found damaged by an earlier command.
    #[error("it was found damaged")]
    Marked,
    /// It has to be put aside, and others use it.
    #[error("{0}, and other commands still use it")]
    Shared(Box<Self>),
}

impl FileError {
    /// Would another file in its place help?
    fn is_of_the_file(&self) -> bool {
        match self {
            Self::Version(_) | Self::Marked => true,
            Self::Database(error) => is_damage(error),
            Self::Io(_) | Self::Shared(_) => false,
        }
    }
}

/// Does the error say that the file is not what it was?
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    // A table that is not there is a plain error to SQLite.
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown))
}

/// An open database and what keeps it where it is.
#[derive(Debug)]
pub(super) struct Opened {
    /// To read from.
    pub(super) reader: Connection,
    /// A shared lock: nobody puts the file aside meanwhile.
    pub(super) lock: File,
    /// Why an older one was put aside.
    pub(super) aside: Option<FileError>,
}

/// Opens the database in `dir`, or a new one where there is none that can be used.
pub(super) fn open(dir: &Path) -> Result<Opened, FileError> {
    fs::create_dir_all(dir)?;
    let lock = File::options().write(true).create(true).truncate(false).open(dir.join("lock"))?;
    locked(&lock, FlockOperation::LockShared)?;
    let fault = match found_or_made(dir) {
        Ok(reader) => return Ok(Opened { reader, lock, aside: None }),
        Err(fault) if fault.is_of_the_file() => fault,
        Err(fault) => return Err(fault),
    };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Err(FileError::Shared(Box::new(fault)));
    }
    // Between the two locks another process may have done what is to be done.
    let reader = match found_or_made(dir) {
        Err(fault) if fault.is_of_the_file() => {
            put_aside(dir)?;
            found_or_made(dir)?
        }
        other => other?,
    };
    locked(&lock, FlockOperation::LockShared)?;
    Ok(Opened { reader, lock, aside: Some(fault) })
}

/// A connection to the database that [`open`] found or made.
pub(super) fn connect(dir: &Path) -> Result<Connection, FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(NAME), flags)?;
    connection.busy_timeout(PATIENCE)?;
    // The last one to go would copy the journal into the file and wait for the disk. The writer does the
    // copying, now and then.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        VERSION => Ok(connection),
        other => Err(FileError::Version(other)),
    }
}

/// Notes for the next command that the database is damaged.
pub(super) fn mark_damaged(dir: &Path) {
    // Without the mark the next command finds out by itself.
    let _ = File::create(dir.join(DAMAGED));
}

fn found_or_made(dir: &Path) -> Result<Connection, FileError> {
    if dir.join(DAMAGED).exists() {
        return Err(FileError::Marked);
    }
    if !dir.join(NAME).exists() {
        make(dir)?;
    }
    connect(dir)
}

/// Makes an empty database elsewhere and gives it its name when it is whole; the first of several wins.
fn make(dir: &Path) -> Result<(), FileError> {
    let fresh = tempfile::Builder::new().prefix("new-").tempdir_in(dir)?;
    let path = fresh.path().join(NAME);
    Connection::open(&path)?.execute_batch(SCHEMA)?;
    match renameat_with(CWD, &path, CWD, dir.join(NAME), RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(io::Error::from(errno).into()),
    }
}

/// Only under the exclusive lock.
fn put_aside(dir: &Path) -> io::Result<()> {
    let aside: PathBuf = dir.join(ASIDE);
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(fs::remove_dir_all(&aside))?;
    fs::create_dir(&aside)?;
    // The journal first: the file without it is merely older, it without the file is nothing.
    for name in ["index.db-shm", "index.db-wal", NAME] {
        gone(fs::rename(dir.join(name), aside.join(name)))?;
    }
    gone(fs::remove_file(dir.join(DAMAGED)))
}

fn locked(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match flock(file, operation) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
