//! Each fuzz target for a moment: its seeds and mutations of them by a fixed generator, so that a
//! failure can be repeated. `make fuzz` looks for longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here outside of what is tested is a fault of the test"
)]

#[path = "../../tests/fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own in tests/fuzz")]
mod targets;

use std::{fs, path::Path};

/// Xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(target);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One to four changes: cut, doubled, replaced by another seed's bytes, a digit or a letter changed.
fn mutate(seed: &[u8], seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    const ODD: &[u8] = b"\0\n \"\\/:,{}[]()=-+0189aA.*?!$'`\x7f\x80\xc3\xff";
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(20)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let copy = bytes[at..end].repeat(1 + random.below(3));
                bytes.splice(at..at, copy);
            }
            2 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let to = (from + random.below(60)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 => bytes.truncate(at.max(bytes.len() / 2)),
            _ => bytes.insert(at, ODD[random.below(ODD.len())]),
        }
    }
    bytes
}

fn hold(target: &str, rounds: usize, run: fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| run(seed));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..rounds {
        run(&mutate(&seeds[round % seeds.len()], &seeds, &mut random));
    }
}

macro_rules! targets {
    ($($target:ident: $rounds:literal,)*) => { $(
        #[test]
        fn $target() {
            hold(stringify!($target), $rounds, targets::$target::run);
        }
    )* };
}

targets! {
    bundle: 200,
    dockerfile: 1500,
    expansion: 6000,
    flags: 2000,
    mount: 2000,
    remote: 6000,
    ignore: 6000,
    image: 400,
    index: 4000,
    key: 1000,
    layer: 1000,
    layout: 1000,
    network: 3000,
    oci: 5000,
    policy: 1000,
    records: 300,
    registry: 5000,
    signed: 2000,
    unpack: 200,
}
