//! Small documents by key: one JSON file each, written whole and renamed into place, so that any number
//! of processes may share the directory and a kill leaves either the old state or the new one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::oci::digest::Digest;

/// A directory of documents.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
}

/// The largest document that is read, in bytes: a step with 50,000 requests stays below it.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

impl Records {
    /// Uses `dir`, which is made where it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The document stored under `key`. One that cannot be read or understood counts as absent: a
    /// record may cost time when it is lost, never correctness.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        let path = self.path(key);
        if fs::metadata(&path).ok()?.len() > MAX_BYTES {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Stores `document` under `key`, atomically.
    ///
    /// # Errors
    /// When the file cannot be written, for example on a full disk.
    pub fn put<T: Serialize>(&self, key: &Digest, document: &T) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer(io::BufWriter::new(&mut file), document)?;
        file.persist(self.path(key)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Where the documents are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, key: &Digest) -> PathBuf {
        self.dir.join(key.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_document_counts_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let key = Digest::of(b"key");
        assert_eq!(records.get::<Vec<u8>>(&key), None);
        records.put(&key, &vec![1_u8, 2]).unwrap();
        assert_eq!(records.get::<Vec<u8>>(&key), Some(vec![1, 2]));
        fs::write(dir.path().join(key.hex()), b"[1,").unwrap();
        assert_eq!(records.get::<Vec<u8>>(&key), None);
    }
}
