//! gzip in independent blocks, compressed side by side and put one after the other into one gzip member.
//! Where a block begins depends on the input alone: the bytes are the same on one processor as on
//! sixty-four.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::mpsc::Receiver,
};

use flate2::{Compression, Crc};

use super::{
    deflate::{Deflated, deflate},
    pool::{self, Claim},
};

/// Bytes of input per block: costs well under one percent of size against one stream.
const BLOCK: usize = 1024 * 1024;
/// RFC 1952: deflate, no flags, no time, no level hint, system "unknown".
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// One last, empty block with fixed codes.
const LAST: [u8; 2] = [3, 0];

/// A block under way.
type Pending = (Receiver<io::Result<Deflated>>, Claim);

/// A gzip encoder.
pub(in crate::layer) struct BlockEncoder<W: Write> {
    inner: W,
    level: Compression,
    block: Vec<u8>,
    pending: VecDeque<Pending>,
    sum: Crc,
}

impl<W: Write> BlockEncoder<W> {
    pub(super) fn new(mut inner: W, level: u32) -> io::Result<Self> {
        inner.write_all(&HEADER)?;
        Ok(Self {
            inner,
            level: Compression::new(level.min(9)),
            block: Vec::new(),
            pending: VecDeque::new(),
            sum: Crc::new(),
        })
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
        self.pending.push_back((pool::submit(move || deflate(&block, level)), claim));
        Ok(())
    }

    fn put_oldest(&mut self) -> io::Result<()> {
        let Some((oldest, _claim)) = self.pending.pop_front() else { return Ok(()) };
        let done = oldest.recv();
        self.put(done.map_err(|_| io::Error::other("a thread that compressed a layer failed"))?)
    }

    fn put(&mut self, done: io::Result<Deflated>) -> io::Result<()> {
        let Deflated { bytes, sum } = done?;
        self.sum.combine(&sum);
        self.inner.write_all(&bytes)
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        while !self.pending.is_empty() {
            self.put_oldest()?;
        }
        // The rest, or the whole of a small layer, is not worth a thread.
        if !self.block.is_empty() {
            let rest = deflate(&self.block, self.level);
            self.put(rest)?;
        }
        self.inner.write_all(&LAST)?;
        self.inner.write_all(&self.sum.sum().to_le_bytes())?;
        self.inner.write_all(&self.sum.amount().to_le_bytes())?;
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

    use flate2::bufread::GzDecoder;

    use super::*;

    fn encode(bytes: &[u8], step: usize) -> Vec<u8> {
        let mut encoder = BlockEncoder::new(Vec::new(), 6).unwrap();
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
    fn one_member_whatever_the_writes_and_whoever_else_compresses() {
        for length in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 17] {
            let bytes = sample(length);
            let encoded = encode(&bytes, 100_000);
            let mut decoder = GzDecoder::new(&encoded[..]);
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
