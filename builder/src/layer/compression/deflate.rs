//! One block of a layer as a gzip member of its own (RFC 1952 section 2.2). What does not get smaller is
//! stored as it is, which costs nothing: random data, archives and pictures would else take as long as
//! text for no gain. Whether it does, the bytes alone decide.

use std::{cell::RefCell, io};

use libdeflater::{CompressionLvl, Compressor};

/// Where of a dense block it is tried whether repetitions make it smaller after all.
const PROBE: usize = 32 * 1024;
/// The most that a stored deflate block holds.
const MAX_STORED: usize = 65_535;
/// RFC 1952: deflate, no flags, no time, no level hint, system "unknown".
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Bytes of header and trailer.
const FRAME: usize = HEADER.len() + 8;

/// A whole gzip member with the content `block`, of less than 4 GiB. `level` is 0 to 9.
pub(super) fn member(block: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut member = if level == 0 || is_incompressible(block)? {
        stored(block)
    } else {
        let mut member = HEADER.to_vec();
        compress(block, level, &mut member)?;
        member
    };
    member.extend(libdeflater::crc32(block).to_le_bytes());
    member.extend(u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes());
    // What waits to be written should not take more room than it needs.
    member.shrink_to_fit();
    Ok(member)
}

thread_local! {
    /// The tables of the level that was used last: a few hundred kilobytes that are not to be made for each block.
    static LAST: RefCell<Option<(u32, Compressor)>> = const { RefCell::new(None) };
}

/// Appends `block` as one deflate stream. The output follows from the arguments alone.
fn compress(block: &[u8], level: u32, output: &mut Vec<u8>) -> io::Result<()> {
    let refused = |fault: String| io::Error::new(io::ErrorKind::InvalidInput, fault);
    LAST.with_borrow_mut(|last| {
        let compressor = match last {
            Some((of, compressor)) if *of == level => compressor,
            _ => {
                let number = i32::try_from(level).unwrap_or(i32::MAX);
                let level_found = CompressionLvl::new(number);
                let level_found =
                    level_found.map_err(|_| refused(format!("gzip has no level {level}")))?;
                &mut last.insert((level, Compressor::new(level_found))).1
            }
        };
        let begin = output.len();
        // The trailer is to fit as well.
        let bound = compressor.deflate_compress_bound(block.len());
        output.reserve_exact(bound + FRAME);
        output.resize(begin + bound, 0);
        let length = compressor.deflate_compress(block, &mut output[begin..]);
        let length = length.map_err(|fault| refused(fault.to_string()))?;
        output.truncate(begin + length);
        Ok(())
    })
}

/// A gzip header and stored deflate blocks, of which the last says so (RFC 1951 section 3.2.4).
fn stored(block: &[u8]) -> Vec<u8> {
    let length = block.len() + block.len() / MAX_STORED * 5 + 5 + FRAME;
    let mut output = Vec::with_capacity(length);
    output.extend_from_slice(&HEADER);
    let mut left = block;
    loop {
        let part = left.split_off(..left.len().min(MAX_STORED)).unwrap_or_default();
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        output.push(u8::from(left.is_empty()));
        output.extend(length.to_le_bytes());
        output.extend((!length).to_le_bytes());
        output.extend_from_slice(part);
        if left.is_empty() {
            return output;
        }
    }
}

fn is_incompressible(block: &[u8]) -> io::Result<bool> {
    if block.len() < 2 * PROBE || !is_dense(block) {
        return Ok(false);
    }
    let middle = block.len() / 2;
    for probe in [&block[..PROBE], &block[middle..middle + PROBE]] {
        let mut smaller = Vec::new();
        compress(probe, 1, &mut smaller)?;
        if smaller.len() < PROBE / 100 * 99 {
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
        assert_eq!(stored(&noise).len(), noise.len() + 5 * 17 + HEADER.len());
        // The same noise over and over is dense, but repeats itself.
        assert!(!is_incompressible(&noise[..10_000].repeat(100)).unwrap());
        // Small archives in a tar have headers between them.
        let mut mixed = noise;
        mixed.chunks_mut(8192).for_each(|part| part[..512].fill(0));
        assert!(!is_incompressible(&mixed).unwrap());
        assert!(!is_incompressible(&b"text ".repeat(200_000)).unwrap());
    }
}
