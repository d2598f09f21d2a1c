//! A blob that is read while it is being downloaded: one thread appends to the file of a
//! [`PartialBlob`](super::partial_blob::PartialBlob), another reads what is there and waits for more. The file is
//! the only buffer, so a slow reader holds up no download and memory stays flat.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// The writing end, to be given to a download. Dropped before the blob is whole, it ends the reading with an
/// error.
#[derive(Debug)]
pub struct Growing(Arc<Shared>);

/// The reading end. The end of the file is seen only after the download's digest was found to be right: whoever
/// has read to the end has read the blob. Until then the bytes are unproven.
#[derive(Debug)]
pub struct GrowingBlob {
    shared: Arc<Shared>,
    offset: u64,
}

/// What became of a download.
#[derive(Debug, Clone)]
pub struct Fate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<File>>,
    length: u64,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Abandoned,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: End) {
        self.state().end.get_or_insert(end);
        self.changed.notify_all();
    }
}

impl Growing {
    /// Both ends of a blob that nobody downloads yet.
    #[must_use]
    pub fn pair() -> (Self, GrowingBlob) {
        let shared = Arc::new(Shared::default());
        (Self(shared.clone()), GrowingBlob { shared, offset: 0 })
    }

    pub(super) fn begin(&self, file: File, length: u64) {
        self.0.state().file = Some(Arc::new(file));
        self.grown(length);
    }

    /// So many bytes are there now.
    pub(super) fn grown(&self, length: u64) {
        self.0.state().length = length;
        self.0.changed.notify_all();
    }

    pub(super) fn whole(self) {
        self.0.end(End::Whole);
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.0.end(End::Abandoned);
    }
}

impl GrowingBlob {
    /// Tells later what became of the download.
    #[must_use]
    pub fn fate(&self) -> Fate {
        Fate(self.shared.clone())
    }

    /// The file, once there is something to read in it; none at the end.
    fn more(&self) -> io::Result<Option<Arc<File>>> {
        let mut state = self.shared.state();
        loop {
            match (&state.file, state.end) {
                (_, Some(End::Abandoned)) => {
                    return Err(io::Error::other("the download of the layer broke off"));
                }
                (Some(file), _) if state.length > self.offset => return Ok(Some(file.clone())),
                (_, Some(End::Whole)) => return Ok(None),
                _ => {}
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Fate {
    /// It ended without a blob, or began again: what was read is of no use.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.state().end == Some(End::Abandoned)
    }
}

impl Read for GrowingBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(file) = self.more()? else { return Ok(0) };
        let count = file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        match count {
            // Somebody has cut the file behind our back.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, thread};

    use super::*;
    use crate::{content::store::ContentStore, oci::digest::Digest};

    fn store() -> (tempfile::TempDir, ContentStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = ContentStore::open(dir.path().join("content")).unwrap();
        (dir, store)
    }

    fn text(mut blob: GrowingBlob) -> thread::JoinHandle<io::Result<Vec<u8>>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            blob.read_to_end(&mut bytes).map(|_| bytes)
        })
    }

    #[test]
    fn it_is_read_as_it_grows_and_ends_when_its_digest_is_right() {
        let (_dir, store) = store();
        let digest = Digest::of(b"one two three");
        let (mut partial, _) = store.resume(&digest).unwrap();
        partial.write_all(b"one ").unwrap();
        let (growing, blob) = Growing::pair();
        let fate = blob.fate();
        partial.feed(growing).unwrap();
        let reading = text(blob);
        partial.write_all(b"two ").unwrap();
        partial.write_all(b"three").unwrap();
        assert!(!reading.is_finished(), "all bytes are there, but nothing is proven");
        partial.commit().unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), b"one two three");
        assert!(!fate.is_abandoned());
    }

    #[test]
    fn what_breaks_off_begins_again_or_is_wrong_is_an_error_for_the_reader() {
        let (_dir, store) = store();
        for end in ["broken", "again", "wrong"] {
            let (mut partial, _) = store.resume(&Digest::of(end.as_bytes())).unwrap();
            let (growing, blob) = Growing::pair();
            let fate = blob.fate();
            partial.feed(growing).unwrap();
            let reading = text(blob);
            partial.write_all(b"bytes").unwrap();
            match end {
                "broken" => drop(partial),
                "again" => partial.restart().unwrap(),
                _ => drop(partial.commit().unwrap_err()),
            }
            let fault = reading.join().unwrap().unwrap_err().to_string();
            assert_eq!(fault, "the download of the layer broke off", "{end}");
            assert!(fate.is_abandoned());
        }
        let (growing, mut blob) = Growing::pair();
        drop(growing);
        assert!(blob.read(&mut [0]).is_err());
    }
}
