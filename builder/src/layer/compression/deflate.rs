//! One block of a gzip stream: a whole number of deflate blocks that ends on a byte (a sync flush, RFC
//! 1951 section 3.2.4). What does not get smaller is stored as it is, which costs nothing: random data,
//! archives and pictures would else take as long as text for no gain. Whether it does, the bytes alone
//! decide.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Where of a dense block it is tried whether repetitions make it smaller after all.
const PROBE: usize = 32 * 1024;
/// The most that a stored deflate block holds.
const MAX_STORED: usize = 65_535;

/// A compressed block and the checksum of its content.
pub(super) struct Deflated {
    pub(super) bytes: Vec<u8>,
    pub(super) sum: Crc,
}

/// Compresses `block` independently of what stands before it.
pub(super) fn deflate(block: &[u8], level: Compression) -> io::Result<Deflated> {
    let mut sum = Crc::new();
    sum.update(block);
    let bytes = match level.level() > 0 && is_incompressible(block)? {
        true => stored(block),
        false => compressed(block, level)?,
    };
    Ok(Deflated { bytes, sum })
}

fn compressed(block: &[u8], level: Compression) -> io::Result<Vec<u8>> {
    let mut encoder = Compress::new(level, false);
    // Deflate never grows by more than this (zlib's deflateBound), but the loop does not rely on it.
    let mut output = Vec::with_capacity(block.len() + block.len() / 1000 + 64);
    loop {
        let read = usize::try_from(encoder.total_in()).unwrap_or(block.len());
        encoder.compress_vec(&block[read..], &mut output, FlushCompress::Sync)?;
        let all = encoder.total_in() == block.len() as u64;
        // With room left, the flush is complete as well.
        if all && output.len() < output.capacity() {
            // What waits to be written should not take a whole block's room.
            output.shrink_to_fit();
            return Ok(output);
        }
        output.reserve(64 * 1024);
    }
}

/// Stored deflate blocks, none of them the last (RFC 1951 section 3.2.4).
fn stored(block: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(block.len() + block.len() / MAX_STORED * 5 + 5);
    for part in block.chunks(MAX_STORED) {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        output.push(0);
        output.extend(length.to_le_bytes());
        output.extend((!length).to_le_bytes());
        output.extend_from_slice(part);
    }
    output
}

fn is_incompressible(block: &[u8]) -> io::Result<bool> {
    if block.len() < 2 * PROBE || !is_dense(block) {
        return Ok(false);
    }
    let middle = block.len() / 2;
    for probe in [&block[..PROBE], &block[middle..middle + PROBE]] {
        if compressed(probe, Compression::fast())?.len() < PROBE / 100 * 99 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Do all bytes come about equally often? The chance that two of them are the same is then close to 1 in
/// 256. In whole numbers, which round alike on every machine.
fn is_dense(block: &[u8]) -> bool {
    // Four tables, so that a byte that comes often does not wait for itself.
    let mut tables = [[0_u32; 256]; 4];
    for four in block.chunks(4) {
        for (table, byte) in tables.iter_mut().zip(four) {
            table[usize::from(*byte)] += 1;
        }
    }
    let count = |byte: usize| tables.iter().map(|table| u128::from(table[byte])).sum::<u128>();
    let same: u128 = (0..256).map(|byte| count(byte).pow(2)).sum();
    same * 256 * 100 <= (block.len() as u128).pow(2) * 103
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn noise_is_stored_and_nothing_else_is() {
        let noise = noise(1 << 20);
        assert!(is_incompressible(&noise).unwrap());
        assert_eq!(stored(&noise).len(), noise.len() + 5 * 17);
        // The same noise over and over is dense, but repeats itself.
        assert!(!is_incompressible(&noise[..10_000].repeat(100)).unwrap());
        // Small archives in a tar have headers between them.
        let mut mixed = noise;
        mixed.chunks_mut(8192).for_each(|part| part[..512].fill(0));
        assert!(!is_incompressible(&mixed).unwrap());
        assert!(!is_incompressible(&b"text ".repeat(200_000)).unwrap());
    }
}
