//! gzip in independent blocks, compressed side by side. Each block is a whole number of deflate blocks
//! that ends on a byte (a sync flush, RFC 1951 section 3.2.4), so the blocks are simply put one after
//! the other into one gzip member. Where a block begins depends on the input alone: the bytes are the
//! same on one processor as on sixty-four.

use std::{
    collections::VecDeque,
    io::{self, Write},
    thread::{self, JoinHandle},
};

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Bytes of input per block: costs well under one percent of size against one stream.
const BLOCK: usize = 1024 * 1024;
/// More threads than this only wait for the digest of the blob.
const MAX_THREADS: usize = 8;
/// RFC 1952: deflate, no flags, no time, no level hint, system "unknown".
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// One last, empty block with fixed codes.
const LAST: [u8; 2] = [3, 0];

type Compressed = io::Result<Vec<u8>>;

/// A gzip encoder.
pub(in crate::layer) struct BlockEncoder<W: Write> {
    inner: W,
    level: Compression,
    threads: usize,
    block: Vec<u8>,
    pending: VecDeque<JoinHandle<Compressed>>,
    sum: Crc,
}

impl<W: Write> BlockEncoder<W> {
    pub(super) fn new(mut inner: W, level: u32) -> io::Result<Self> {
        inner.write_all(&HEADER)?;
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        Ok(Self {
            inner,
            level: Compression::new(level.min(9)),
            threads,
            block: Vec::new(),
            pending: VecDeque::new(),
            sum: Crc::new(),
        })
    }

    /// Starts the block that is full, and writes the oldest when enough are under way.
    fn submit(&mut self) -> io::Result<()> {
        let (block, level) = (std::mem::take(&mut self.block), self.level);
        if self.pending.len() >= self.threads {
            self.write_oldest()?;
        }
        let work = move || compress(&block, level);
        self.pending.push_back(thread::Builder::new().name("gzip".into()).spawn(work)?);
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.pending.pop_front() else { return Ok(()) };
        let compressed = oldest.join().map_err(|_| io::Error::other("a gzip thread failed"))??;
        self.inner.write_all(&compressed)
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        while !self.pending.is_empty() {
            self.write_oldest()?;
        }
        // The rest, or the whole of a small layer, is not worth a thread.
        if !self.block.is_empty() {
            self.inner.write_all(&compress(&self.block, self.level)?)?;
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
        self.sum.update(&buffer[..count]);
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

fn compress(block: &[u8], level: Compression) -> Compressed {
    let mut encoder = Compress::new(level, false);
    // Deflate never grows by more than this (zlib's deflateBound), but the loop does not rely on it.
    let mut output = Vec::with_capacity(block.len() + block.len() / 1000 + 64);
    loop {
        let read = usize::try_from(encoder.total_in()).unwrap_or(block.len());
        encoder.compress_vec(&block[read..], &mut output, FlushCompress::Sync)?;
        let all = encoder.total_in() == block.len() as u64;
        // With room left, the flush is complete as well.
        if all && output.len() < output.capacity() {
            return Ok(output);
        }
        output.reserve(64 * 1024);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::GzDecoder;

    use super::*;

    fn encode(bytes: &[u8], step: usize, threads: usize) -> Vec<u8> {
        let mut encoder = BlockEncoder::new(Vec::new(), 6).unwrap();
        encoder.threads = threads;
        bytes.chunks(step).for_each(|part| encoder.write_all(part).unwrap());
        encoder.finish().unwrap()
    }

    /// Bytes that hardly compress, between some that do.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        };
        (0..length).map(|at| if at % 5_000 < 2_500 { next() } else { b'x' }).collect()
    }

    #[test]
    fn one_member_whatever_the_threads_and_the_writes() {
        for length in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 17] {
            let bytes = sample(length);
            let encoded = encode(&bytes, 100_000, 4);
            let mut decoder = GzDecoder::new(&encoded[..]);
            let mut decoded = Vec::new();
            decoder.read_to_end(&mut decoded).unwrap();
            assert!(decoded == bytes && decoder.into_inner().is_empty(), "{length}");
            assert!(encode(&bytes, 7_001, 1) == encoded, "{length}");
        }
    }
}
