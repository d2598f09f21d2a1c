//! Any bytes are keys and signatures of OpenPGP, or none; and who checks one with another finds out without a panic.

use touchmark_builder::integrity::openpgp::{ClearText, public_keys, signatures};

/// Tries one input: as a file of each kind.
pub fn run(bytes: &[u8]) {
    let (keys, found) = (public_keys(bytes), signatures(bytes));
    for key in &keys {
        assert!(!key.fingerprint().is_empty());
        // Bytes that hold both a key and its signature over themselves do not come by chance.
        assert!(!found.iter().any(|signature| key.made(signature, bytes)));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = ClearText::read(text);
    }
}
