//! Any text behind `RUN --mount=` is a mount or a list of faults, and so is the list of several of them.

use touchmark_builder::dockerfile::{Dockerfile, excerpt};

/// Tries one input: a line is a mount.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mounts: String = text.lines().map(|line| format!("--mount={line} ")).collect();
    for file in [
        format!("FROM a\nRUN {mounts}true\n"),
        format!("FROM a\nARG a=b\nONBUILD RUN {mounts}<<E\ntrue\nE\n"),
    ] {
        if let Err(faults) = Dockerfile::parse(&file) {
            assert!(!faults.is_empty());
            for fault in &faults {
                assert!(!excerpt("Dockerfile", &file, fault).is_empty());
            }
        }
    }
}
