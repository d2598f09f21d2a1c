//! Blobs on their way, one line when a large one begins and one when it is there.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use touchmark_builder::{
    oci::{descriptor::Descriptor, digest::Digest},
    registry::progress::TransferProgress,
};

use super::text::size;

/// Tells of blobs that are worth waiting for.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    quiet: bool,
    begun: Mutex<HashMap<Digest, (Instant, u64)>>,
}

/// Smaller blobs are there before a line is read, in bytes.
const WORTH_TELLING: u64 = 1_000_000;

impl Transfers {
    /// `quiet` tells nothing.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, begun: Mutex::default() }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "=> {text}");
        }
    }
}

impl TransferProgress for Transfers {
    fn start(&self, blob: &Descriptor) {
        if blob.size >= WORTH_TELLING {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            begun.insert(blob.digest, (Instant::now(), blob.size));
            self.line(&format!("pulling {} ({})", short(&blob.digest), size(blob.size)));
        }
    }

    fn advance(&self, _: &Digest, _: u64) {}

    fn done(&self, blob: &Digest) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, bytes)) = begun.remove(blob) {
            let seconds = since.elapsed().as_secs_f64();
            self.line(&format!("pulled {} ({}) in {seconds:.1}s", short(blob), size(bytes)));
        }
    }
}

fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_begun_is_done() {
        let transfers = Transfers::new(true);
        let blob = Descriptor::new("layer", Digest::of(b"layer"), WORTH_TELLING);
        transfers.start(&blob);
        assert_eq!(transfers.begun.lock().unwrap().len(), 1);
        transfers.done(&blob.digest);
        transfers.done(&blob.digest);
        assert!(transfers.begun.lock().unwrap().is_empty());
    }
}
