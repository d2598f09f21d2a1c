//! gzip in independent blocks, compressed side by side and put one after the other, each a member of its
//! own: "a gzip file consists of a series of members" (RFC 1952 section 2.2). Where a block begins depends
//! on the input alone: the bytes are the same on one processor as on sixty-four.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::mpsc::Receiver,
};

use super::{
    deflate::member,
    pool::{self, Claim},
};

/// Bytes of input per block: costs well under one percent of size against one stream.
const BLOCK: usize = 1024 * 1024;

/// A block under way.
type Pending = (Receiver<io::Result<Vec<u8>>>, Claim);

/// A gzip encoder.
pub(in crate::layer) struct BlockEncoder<W: Write> {
    inner: W,
    level: u32,
    block: Vec<u8>,
    pending: VecDeque<Pending>,
    /// Has any block been started?
    begun: bool,
}

impl<W: Write> BlockEncoder<W> {
    pub(super) fn new(inner: W, level: u32) -> Self {
        Self {
            inner,
            level: level.min(9),
            block: Vec::new(),
            pending: VecDeque::new(),
            begun: false,
        }
    }

    /// Starts the block that is full, and writes the oldest ones that are done; waits for one when too
    /// many are under way.
    fn submit(&mut self) -> io::Result<()> {
        while let Some((oldest, _)) = self.pending.front() {
            match oldest.try_recv() {
                Ok(done) => {
                    self.pending.pop_front();
                    self.put(done)?;
                }
                Err(_) if Claim::is_scarce() => self.put_oldest()?,
                Err(_) => break,
            }
        }
        let (block, level) = (std::mem::take(&mut self.block), self.level);
        let claim = Claim::take();
        self.pending.push_back((pool::submit(move || member(&block, level)), claim));
        self.begun = true;
        Ok(())
    }

    fn put_oldest(&mut self) -> io::Result<()> {
        let Some((oldest, _claim)) = self.pending.pop_front() else { return Ok(()) };
        let done = oldest.recv();
        self.put(done.map_err(|_| io::Error::other("a thread that compressed a layer failed"))?)
    }

    fn put(&mut self, done: io::Result<Vec<u8>>) -> io::Result<()> {
        self.inner.write_all(&done?)
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        while !self.pending.is_empty() {
            self.put_oldest()?;
        }
        // The rest, or the whole of a small layer, is not worth a thread. Nothing at all is a member, too.
        if !self.block.is_empty() || !self.begun {
            let rest = member(&self.block, self.level);
            self.put(rest)?;
        }
        Ok(self.inner)
    }
}

impl<W: Write> Write for BlockEncoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = buffer.len().min(BLOCK - self.block.len());
        if self.block.capacity() < self.block.len() + count {
            // A small layer takes little, a large one its blocks at once.
            let room = if self.block.len() + count > BLOCK / 4 { BLOCK } else { 2 * count };
            self.block.reserve(room.min(BLOCK - self.block.len()));
        }
        self.block.extend_from_slice(&buffer[..count]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(count)
    }

    /// Ends no block: where blocks end must not depend on who flushes when.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::MultiGzDecoder;

    use super::*;

    fn encode(bytes: &[u8], step: usize) -> Vec<u8> {
        let mut encoder = BlockEncoder::new(Vec::new(), 6);
        bytes.chunks(step).for_each(|part| encoder.write_all(part).unwrap());
        encoder.finish().unwrap()
    }

    /// Text, then bytes that do not compress at all, then both mixed.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        };
        let is_noise = |at: usize| at / BLOCK == 1 || (at / BLOCK > 1 && at % 5_000 < 2_500);
        (0..length).map(|at| if is_noise(at) { next() } else { b'x' }).collect()
    }

    #[test]
    fn the_same_members_whatever_the_writes_and_whoever_else_compresses() {
        for length in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 17] {
            let bytes = sample(length);
            let encoded = encode(&bytes, 100_000);
            let mut decoder = MultiGzDecoder::new(&encoded[..]);
            let mut decoded = Vec::new();
            decoder.read_to_end(&mut decoded).unwrap();
            assert!(decoded == bytes && decoder.into_inner().is_empty(), "{length}");
            std::thread::scope(|scope| {
                let others =
                    (1..5).map(|at| scope.spawn(move || encode(&sample(length), 7_001 * at)));
                for other in others.collect::<Vec<_>>() {
                    assert!(other.join().unwrap() == encoded, "{length}");
                }
            });
        }
    }
}
