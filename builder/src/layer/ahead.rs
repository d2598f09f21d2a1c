//! A reader whose work is done in a thread of its own, a bounded way ahead: decompressing and hashing a layer go on
//! while its files are being written.

use std::{
    fmt,
    io::{self, Read},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};

/// Bytes that are handed over at a time.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait: the most that one reader holds is 2.5 MiB.
const PIECES: usize = 8;

/// Reads what the thread has read. Errors come through after the bytes before them, in their own words.
pub struct ReadAhead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    spare: Sender<Vec<u8>>,
    piece: Vec<u8>,
    read: usize,
    ended: bool,
}

impl ReadAhead {
    /// Starts the thread, which opens the reader and reads it to its end. It stops when nobody wants more.
    ///
    /// # Errors
    /// The system does not give a thread.
    pub fn start<R: Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        let (full, pieces) = sync_channel(PIECES);
        let (spare, used) = channel();
        thread::Builder::new().name("read-ahead".into()).spawn(move || match open() {
            Ok(mut reader) => pass(&mut reader, &full, &used),
            // Nobody may listen any more.
            Err(error) => full.send(Err(error)).unwrap_or_default(),
        })?;
        Ok(Self { pieces, spare, piece: Vec::new(), read: 0, ended: false })
    }

    /// The next piece with something in it; none at the end.
    fn turn(&mut self) -> io::Result<()> {
        let used = std::mem::take(&mut self.piece);
        self.read = 0;
        if used.capacity() > 0 {
            // The thread may have ended: then there is no use for it.
            let _ = self.spare.send(used);
        }
        match self.pieces.recv() {
            Ok(Ok(piece)) => {
                self.ended = piece.is_empty();
                self.piece = piece;
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("the thread that reads the layer has stopped")),
        }
    }
}

/// Passes on all of `reader`; an empty piece is its end.
fn pass(reader: &mut impl Read, full: &SyncSender<io::Result<Vec<u8>>>, used: &Receiver<Vec<u8>>) {
    loop {
        let mut piece = used.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let (count, fault) = fill(reader, &mut piece);
        piece.truncate(count);
        if (count > 0 || fault.is_none()) && full.send(Ok(piece)).is_err() {
            return;
        }
        if let Some(fault) = fault {
            let _ = full.send(Err(fault));
            return;
        }
        if count == 0 {
            return;
        }
    }
}

/// Reads until the piece is full or the reader ends.
fn fill(reader: &mut impl Read, piece: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < piece.len() {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return (filled, Some(fault)),
        }
    }
    (filled, None)
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.read == self.piece.len() && !self.ended {
            self.turn()?;
        }
        let rest = &self.piece[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    #[test]
    fn all_bytes_come_through_and_then_the_end() {
        let bytes: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
        for length in [0, 1, PIECE, PIECE + 1, bytes.len()] {
            let part = bytes[..length].to_vec();
            let mut ahead = ReadAhead::start(|| Ok(io::Cursor::new(part))).unwrap();
            let mut found = Vec::new();
            ahead.read_to_end(&mut found).unwrap();
            assert!(found == bytes[..length], "{length}");
            assert_eq!(ahead.read(&mut [0]).unwrap(), 0, "it stays at its end");
        }
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let mut ahead = ReadAhead::start(|| Ok((&b"some"[..]).chain(Broken))).unwrap();
        let mut found = Vec::new();
        let fault = ahead.read_to_end(&mut found).unwrap_err();
        assert_eq!((found.as_slice(), fault.to_string().as_str()), (&b"some"[..], "torn"));
        let mut ahead = ReadAhead::start(|| Err::<&[u8], _>(io::Error::other("shut"))).unwrap();
        assert_eq!(ahead.read(&mut [0]).unwrap_err().to_string(), "shut");
    }

    #[test]
    fn it_reads_only_so_far_ahead_and_stops_when_nobody_listens() {
        struct Endless(Arc<AtomicU64>);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.fetch_add(buffer.len() as u64, Ordering::SeqCst);
                Ok(buffer.len())
            }
        }
        let count = Arc::new(AtomicU64::new(0));
        let endless = Endless(count.clone());
        let mut ahead = ReadAhead::start(|| Ok(endless)).unwrap();
        ahead.read_exact(&mut [0; 10]).unwrap();
        drop(ahead);
        while Arc::strong_count(&count) > 1 {
            thread::yield_now();
        }
        assert!(count.load(Ordering::SeqCst) <= ((PIECES + 3) * PIECE) as u64);
    }
}
