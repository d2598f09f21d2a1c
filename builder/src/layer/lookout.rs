//! Layers are looked at while their bytes pass, so that who wants to know what is in them need not read
//! them again. What is looked for is not known here.

use std::{
    fmt,
    io::{self, Read, Write},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::tree::{LayerIndex, ScanError};
use crate::oci::digest::Digest;

/// Who looks, and remembers by the archive's digest.
pub trait Lookout: fmt::Debug + Send + Sync {
    /// Reads an archive to its end.
    ///
    /// # Errors
    /// See [`ScanError`].
    fn look(&self, archive: &mut dyn Read) -> Result<Box<dyn Sight>, ScanError>;

    /// Shows what the archive with this digest holds; false where nobody looked at it.
    fn show(&self, diff_id: &Digest, to: &mut dyn FnMut(&LayerIndex)) -> bool;

    /// The blobs of these layers are in the store now, and were shown where they were to be.
    fn arrived(&self, layers: &[Digest]);
}

/// What was seen in an archive whose digest is not known or not proven yet.
pub trait Sight: Send {
    /// The archive has this digest.
    fn keep(self: Box<Self>, diff_id: Digest);
}

/// Pieces that may wait for who looks; of what is written at once, some 128 KiB each.
const PIECES: usize = 8;

/// Passes the bytes of an archive that is being written to who looks, in a thread of its own.
pub(super) struct Passing {
    pieces: Option<SyncSender<Vec<u8>>>,
    looking: JoinHandle<Option<Box<dyn Sight>>>,
}

impl fmt::Debug for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passing").finish_non_exhaustive()
    }
}

impl Passing {
    /// None where the system gives no thread: the layer is then read when it is needed.
    pub(super) fn to(lookout: Arc<dyn Lookout>) -> Option<Self> {
        let (pieces, waiting) = sync_channel(PIECES);
        let look = move || {
            let mut archive = Pieces { waiting, piece: Vec::new(), read: 0 };
            // What is wrong with it, who reads it then says.
            lookout.look(&mut archive).ok()
        };
        let looking = thread::Builder::new().name("look".into()).spawn(look).ok()?;
        Some(Self { pieces: Some(pieces), looking })
    }

    /// The archive is complete and has this digest.
    pub(super) fn keep(mut self, diff_id: Digest) {
        self.pieces = None;
        if let Ok(Some(sight)) = self.looking.join() {
            sight.keep(diff_id);
        }
    }
}

impl Write for Passing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(pieces) = &self.pieces
            && pieces.send(buffer.to_vec()).is_err()
        {
            // Nobody looks any more.
            self.pieces = None;
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive that is read and shown to who looks. That it has the digest it is told to have, its reader vouches for:
/// by an error instead of the end.
#[derive(Debug)]
pub struct Shown<R> {
    archive: R,
    diff_id: Digest,
    passing: Option<Passing>,
}

impl<R: Read> Shown<R> {
    /// Shows `archive`, whose end is only seen when its digest is `diff_id`.
    pub fn to(lookout: Option<Arc<dyn Lookout>>, archive: R, diff_id: Digest) -> Self {
        Self { archive, diff_id, passing: lookout.and_then(Passing::to) }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.archive.read(buffer)?;
        if count > 0 {
            if let Some(passing) = &mut self.passing {
                passing.write_all(&buffer[..count])?;
            }
        } else if !buffer.is_empty()
            && let Some(passing) = self.passing.take()
        {
            passing.keep(self.diff_id);
        }
        Ok(count)
    }
}

struct Pieces {
    waiting: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    read: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            let Ok(piece) = self.waiting.recv() else { return Ok(0) };
            (self.piece, self.read) = (piece, 0);
        }
        let rest = &self.piece[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}
