//! Any words behind an instruction's name are flags and arguments, or a list of faults.

use touchmark_builder::dockerfile::{Dockerfile, excerpt};

/// Instructions that take flags, with arguments that suit them.
const WITH_FLAGS: [(&str, &str); 6] = [
    ("FROM", "a AS b"),
    ("RUN", "true"),
    ("COPY", "a b"),
    ("ADD", "a b"),
    ("HEALTHCHECK", "CMD true"),
    ("ONBUILD COPY", "a b"),
];

/// Tries one input: the first byte chooses the instruction.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (name, arguments) = WITH_FLAGS[usize::from(*choice) % WITH_FLAGS.len()];
    let file = format!("FROM a\n{name} --{text} {arguments}\n");
    if let Err(faults) = Dockerfile::parse(&file) {
        assert!(!faults.is_empty());
        for fault in &faults {
            assert!(!excerpt("Dockerfile", &file, fault).is_empty());
        }
    }
}
