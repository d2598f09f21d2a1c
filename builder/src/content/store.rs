//! The content store: `root/blobs/sha256/<hex>` (an OCI layout's blob directory) and `root/ingest/` for
//! what is not finished.

use std::{
    fs::{self, File, FileTimes},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use super::{
    blob_sink::BlobSink, blob_writer::BlobWriter, error::ContentError, hold::Hold,
    partial_blob::PartialBlob, verified_blob::VerifiedBlob,
};
use crate::oci::{descriptor::Descriptor, digest::Digest};

/// Blobs by digest. Any number of processes may use one directory at the same time: a blob appears
/// whole, by a rename, or not at all.
#[derive(Debug, Clone)]
pub struct ContentStore {
    root: PathBuf,
    /// Shared lock: says that somebody may be writing, see [`ContentStore::open`].
    _in_use: Arc<File>,
    /// Where this process writes down what it relies on.
    hold: Option<Arc<Hold>>,
}

const WRITING: &str = "write-";

/// How old a time of use becomes before it is set anew.
const HOUR: Duration = Duration::from_secs(3600);

impl ContentStore {
    /// Opens the store, creating its directories where they are missing. What killed writers left
    /// behind is removed when nobody else has the store open; partial downloads stay.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn open(root: PathBuf) -> Result<Self, ContentError> {
        for directory in [root.join("blobs/sha256"), root.join("ingest")] {
            fs::create_dir_all(&directory).map_err(ContentError::io("create", directory))?;
        }
        let path = root.join("ingest/lock");
        let fault = |action| ContentError::io(action, &path);
        let lock = File::create(&path).map_err(fault("open"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            sweep(&root.join("ingest"));
        }
        while let Err(errno) = flock(&lock, FlockOperation::LockShared) {
            if errno != rustix::io::Errno::INTR {
                return Err(fault("lock")(errno.into()));
            }
        }
        Ok(Self { root, _in_use: Arc::new(lock), hold: None })
    }

    /// The same store; what is asked for is held by `hold` from then on.
    #[must_use]
    pub fn holding(self, hold: Arc<Hold>) -> Self {
        Self { hold: Some(hold), ..self }
    }

    /// Is this blob here? Only its presence is checked; the bytes are when they are read.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.claim(digest);
        self.path(digest).is_file()
    }

    /// Holds the blob, and sets its time, which tells when it was used last, where that is an hour old.
    fn claim(&self, digest: &Digest) {
        let Some(hold) = &self.hold else { return };
        if !hold.claim(digest) {
            return;
        }
        let now = SystemTime::now();
        let path = self.path(digest);
        let is_recent = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age < HOUR);
        if fs::metadata(&path).and_then(|meta| meta.modified()).is_ok_and(|time| !is_recent(time)) {
            let times = FileTimes::new().set_modified(now);
            // A time that cannot be set makes the blob look older than it is.
            let _ = File::options().append(true).open(path).and_then(|file| file.set_times(times));
        }
    }

    /// Where the blob lies, or would. Whoever reads the file directly verifies it too.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// The whole blob, verified, of at most `max` bytes.
    ///
    /// # Errors
    /// [`ContentError::Missing`], [`ContentError::TooLarge`], [`ContentError::Damaged`] (the blob is
    /// then removed), [`ContentError::Io`].
    pub fn read(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, ContentError> {
        let file = self.open_file(digest)?;
        let path = self.path(digest);
        let size = file.metadata().map_err(ContentError::io("read", &path))?.len();
        if size > max {
            return Err(ContentError::TooLarge { digest: *digest, size, max });
        }
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).map_err(ContentError::io("read", &path))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            fs::remove_file(&path).ok();
            return Err(ContentError::Damaged { digest: *digest, found });
        }
        Ok(bytes)
    }

    /// A reader that fails at the end when digest or size differ from the descriptor's.
    ///
    /// # Errors
    /// [`ContentError::Missing`], [`ContentError::Io`].
    pub fn open_verified(&self, descriptor: &Descriptor) -> Result<VerifiedBlob, ContentError> {
        let file = self.open_file(&descriptor.digest)?;
        Ok(VerifiedBlob::stored(file, self.path(&descriptor.digest), descriptor))
    }

    /// Stores these bytes; storing them twice is the same as once.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, ContentError> {
        let digest = Digest::of(bytes);
        // Same digest and same size: there is nothing to write. Who reads it verifies it.
        if fs::metadata(self.path(&digest)).is_ok_and(|known| known.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.write_all(bytes).map_err(ContentError::io("write to", self.ingest()))?;
        writer.commit(Some(digest)).map(|(digest, _)| digest)
    }

    /// A blob to be written piece by piece.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn writer(&self) -> Result<BlobWriter, ContentError> {
        Ok(BlobWriter::new(self.temporary()?, self.blobs(), self.hold.clone()))
    }

    /// The same, for a writer that hashes by itself.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn sink(&self) -> Result<BlobSink, ContentError> {
        Ok(BlobSink::new(self.temporary()?, self.blobs(), self.hold.clone()))
    }

    fn temporary(&self) -> Result<NamedTempFile, ContentError> {
        let ingest = self.ingest();
        let file = tempfile::Builder::new().prefix(WRITING).tempfile_in(&ingest);
        file.map_err(ContentError::io("create a file in", ingest))
    }

    /// Begins or continues the download of this blob: what has arrived so far, and how many bytes that
    /// is. Waits (blocking the thread) while another download of it runs; afterwards look with
    /// [`has`](Self::has) whether there is anything left to do.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn resume(&self, digest: &Digest) -> Result<(PartialBlob, u64), ContentError> {
        loop {
            if let Some(partial) = self.partial(digest, true)? {
                let offset = partial.offset();
                return Ok((partial, offset));
            }
        }
    }

    /// As [`resume`](Self::resume), but `None` at once when another download of this blob runs.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn try_resume(&self, digest: &Digest) -> Result<Option<PartialBlob>, ContentError> {
        self.partial(digest, false)
    }

    /// Removes a blob; false when it was not there.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn remove(&self, digest: &Digest) -> Result<bool, ContentError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true).map_err(ContentError::io("remove", path)),
        }
    }

    /// Every blob with its size in bytes, in no order.
    ///
    /// # Errors
    /// [`ContentError::Io`].
    pub fn blobs_on_disk(&self) -> Result<Vec<(Digest, u64)>, ContentError> {
        let directory = self.blobs();
        let entries = fs::read_dir(&directory).map_err(ContentError::io("list", &directory))?;
        let blob = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            let digest = format!("sha256:{}", entry.file_name().to_str()?).parse().ok()?;
            Some((digest, entry.metadata().ok()?.len()))
        };
        Ok(entries.filter_map(blob).collect())
    }

    fn partial(&self, digest: &Digest, wait: bool) -> Result<Option<PartialBlob>, ContentError> {
        let path = self.ingest().join(format!("partial-{}", digest.hex()));
        PartialBlob::open(&path, &self.path(digest), *digest, wait)
    }

    fn open_file(&self, digest: &Digest) -> Result<File, ContentError> {
        self.claim(digest);
        let path = self.path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                ContentError::Missing { digest: *digest, root: self.root.clone() }
            }
            _ => ContentError::io("open", path)(error),
        })
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(super) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }
}

/// Runs only under the exclusive lock: no writer is alive, so each of these files is an orphan.
fn sweep(ingest: &Path) {
    let Ok(entries) = fs::read_dir(ingest) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(WRITING) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests;
