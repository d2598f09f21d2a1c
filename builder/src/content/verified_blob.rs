//! A reader that fails at the end when the bytes are not those of the descriptor.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

use super::error::ContentError;
use crate::oci::{
    descriptor::Descriptor,
    digest::{Digest, Hashing},
};

/// Reads one blob. The last `read` gives an error of kind `InvalidData`, with a [`ContentError`]
/// inside, instead of the end when size or digest differ: who has seen the end has seen the right
/// bytes. Until then the bytes are unproven, and whoever acts on them early must be able to undo it.
#[derive(Debug)]
pub struct VerifiedBlob<R = File> {
    reader: Option<Hashing<R>>,
    /// The file of a store of ours: removed when it is damaged, because its name is its digest and a
    /// file that does not fit its name serves nobody.
    own: Option<PathBuf>,
    digest: Digest,
    size: u64,
}

impl VerifiedBlob {
    pub(super) fn stored(file: File, path: PathBuf, descriptor: &Descriptor) -> Self {
        Self { own: Some(path), ..Self::foreign(file, descriptor) }
    }
}

impl<R: Read> VerifiedBlob<R> {
    /// Reads bytes from elsewhere that are said to be this blob; stops at the first byte too many.
    pub fn foreign(reader: R, descriptor: &Descriptor) -> Self {
        let Descriptor { digest, size, .. } = *descriptor;
        Self { reader: Some(Hashing::new(reader)), own: None, digest, size }
    }

    fn end(&mut self) -> Result<(), ContentError> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        let (_, found, count) = reader.finish();
        let digest = self.digest;
        match &self.own {
            Some(path) if found != digest => {
                fs::remove_file(path).ok();
                Err(ContentError::Damaged { digest, found })
            }
            _ if count != self.size => {
                Err(ContentError::WrongSize { digest, expected: self.size, found: count })
            }
            _ if found != digest => Err(ContentError::WrongDigest { expected: digest, found }),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for VerifiedBlob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(reader) = &mut self.reader else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = reader.read(buffer)?;
        let too_many = self.own.is_none() && reader.count() > self.size;
        if count == 0 || too_many {
            self.end().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(count)
    }
}
