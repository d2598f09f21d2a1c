//! What a running command holds: it writes down each blob and snapshot before it relies on it, in a file that
//! is locked as long as it lives. Who frees space closes a gate first, reads what all hold, and takes only
//! the rest: what was held before the gate closed stays, and what is asked for after it opens is seen to be
//! gone, which is a miss. The kernel frees the locks of whoever is killed.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tempfile::TempPath;

use crate::oci::digest::Digest;

/// The file names of holds begin like this.
const PREFIX: &str = "command-";

/// A file is made and filled by this program only; beyond this it is not.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What this process holds, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    state: Mutex<State>,
    wrote: AtomicBool,
}

#[derive(Debug)]
struct State {
    own: File,
    gate: File,
    known: HashSet<Digest>,
    // Removed when the command ends; one that is left is swept when its lock is free.
    _path: TempPath,
}

impl Hold {
    /// Begins to hold, in the directory that all commands share.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let gate = gate(dir)?;
        locked(&gate, FlockOperation::LockShared)?;
        let own = tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir)?;
        let (mut own, path) = own.into_parts();
        locked(&own, FlockOperation::NonBlockingLockExclusive)?;
        own.write_all(&seconds(SystemTime::now()).to_le_bytes())?;
        locked(&gate, FlockOperation::Unlock)?;
        let known = HashSet::new();
        let state = Mutex::new(State { own, gate, known, _path: path });
        Ok(Self { state, wrote: AtomicBool::new(false) })
    }

    /// Holds the thing of this name from now on; true when it was not held yet. Afterwards see whether it is
    /// there.
    pub fn claim(&self, name: &Digest) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.known.insert(*name) {
            return false;
        }
        // What cannot be written down is held by its age alone. A full disk is told by what is built.
        let _ = locked(&state.gate, FlockOperation::LockShared);
        let _ = state.own.write_all(name.bytes());
        let _ = locked(&state.gate, FlockOperation::Unlock);
        true
    }

    /// Holds nothing any more: what the command made is as anybody's.
    pub fn release(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Where that fails, it is held until the command ends.
        let _ = locked(&state.own, FlockOperation::Unlock);
    }

    /// Notes that this command took up space.
    pub fn wrote(&self) {
        self.wrote.store(true, Ordering::Relaxed);
    }

    /// Did this command take up space?
    #[must_use]
    pub fn has_written(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }
}

/// The gate, closed: nobody claims anything as long as this lives.
#[derive(Debug)]
pub struct ClosedGate {
    dir: PathBuf,
    _gate: File,
}

/// What running commands hold.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The names.
    pub names: HashSet<Digest>,
    /// When the oldest of them began, in seconds since 1970: what was made since may be anyone's.
    pub since: Option<i64>,
}

impl Held {
    /// Is the thing held, by its name or because it is younger than a command that runs?
    #[must_use]
    pub fn has(&self, name: &Digest, made: i64) -> bool {
        self.is_young(made) || self.names.contains(name)
    }

    /// Is it younger than a command that runs?
    #[must_use]
    pub fn is_young(&self, made: i64) -> bool {
        self.since.is_some_and(|since| made >= since)
    }
}

impl ClosedGate {
    /// Closes the gate of `dir`; waits until those who are writing something down are done.
    ///
    /// # Errors
    /// When the gate cannot be made or locked.
    pub fn close(dir: &Path) -> io::Result<Self> {
        let gate = gate(dir)?;
        locked(&gate, FlockOperation::LockExclusive)?;
        Ok(Self { dir: dir.to_owned(), _gate: gate })
    }

    /// What others hold, and what this process does. The files of commands that are gone are removed.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn held(&self) -> io::Result<Held> {
        let mut held = Held::default();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            let file = match File::open(entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                // A command that just ended removes its file too.
                let _ = fs::remove_file(entry.path());
                continue;
            }
            let mut bytes = Vec::new();
            file.take(MAX_BYTES).read_to_end(&mut bytes)?;
            let (began, names) = bytes.split_at_checked(8).unwrap_or((&[0; 8], &[]));
            let began = i64::from_le_bytes(began.try_into().unwrap_or_default());
            held.since = Some(held.since.map_or(began, |since| since.min(began)));
            held.names.extend(
                names.chunks_exact(32).filter_map(|c| c.try_into().ok()).map(Digest::from_bytes),
            );
        }
        Ok(held)
    }
}

fn gate(dir: &Path) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    File::options().write(true).create(true).truncate(false).open(dir.join("gate"))
}

fn locked(file: &File, operation: FlockOperation) -> io::Result<()> {
    loop {
        match flock(file, operation) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Seconds since 1970.
#[must_use]
pub fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(dir: &Path) -> Held {
        ClosedGate::close(dir).unwrap().held().unwrap()
    }

    #[test]
    fn what_is_claimed_is_held_until_the_command_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let hold = Hold::open(dir.path()).unwrap();
        assert!(hold.claim(&a));
        assert!(!hold.claim(&a), "once");
        let now = held(dir.path());
        assert!(now.has(&a, 0) && !now.has(&b, 0));
        assert!(now.has(&b, seconds(SystemTime::now())), "what is new may be anyone's");
        hold.release();
        assert!(held(dir.path()).since.is_none());
        drop(hold);
        let now = held(dir.path());
        assert!(!now.has(&a, 0) && now.since.is_none());
    }

    #[test]
    fn the_file_of_a_killed_command_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join("command-left");
        fs::write(&left, [0; 40]).unwrap();
        assert!(held(dir.path()).names.is_empty());
        assert!(!left.exists());
    }

    #[test]
    fn nobody_claims_while_the_gate_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let hold = Hold::open(dir.path()).unwrap();
        let gate = ClosedGate::close(dir.path()).unwrap();
        std::thread::scope(|scope| {
            let claimed = scope.spawn(|| hold.claim(&Digest::of(b"a")));
            assert!(gate.held().unwrap().names.is_empty());
            drop(gate);
            assert!(claimed.join().unwrap());
        });
        assert!(held(dir.path()).has(&Digest::of(b"a"), 0));
    }
}
