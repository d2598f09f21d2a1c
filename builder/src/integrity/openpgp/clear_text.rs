//! Texts that are signed in place (section 7).

use super::signature::{Signature, signatures};

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// A text with its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearText {
    /// The text that is signed and nothing around it, with `\n` behind each line.
    pub text: String,
    /// The same as it is hashed.
    pub canonical: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<Signature>,
}

impl ClearText {
    /// Reads it; none where the file does not begin with a signed text.
    #[must_use]
    pub fn read(file: &str) -> Option<Self> {
        let mut lines = file.lines();
        if lines.next()?.trim_end() != BEGIN {
            return None;
        }
        // The names of the hashes, which the signatures say themselves.
        for line in lines.by_ref() {
            if line.trim_end().is_empty() {
                break;
            }
            if !line.starts_with("Hash: ") {
                return None;
            }
        }
        let (mut text, mut canonical) = (String::new(), Vec::new());
        let mut armour = None;
        for line in lines.by_ref() {
            if line.trim_end() == SIGNATURE {
                armour = Some(SIGNATURE.to_owned() + "\n");
                break;
            }
            let line = match line.strip_prefix("- ") {
                Some(line) => line,
                None if line.starts_with('-') => return None,
                None => line,
            };
            let line = line.trim_end_matches([' ', '\t', '\r']);
            if !text.is_empty() {
                canonical.extend(b"\r\n");
            }
            canonical.extend(line.as_bytes());
            text.push_str(line);
            text.push('\n');
        }
        let mut armour = armour?;
        for line in lines {
            armour.push_str(line);
            armour.push('\n');
        }
        Some(Self { text, canonical, signatures: signatures(armour.as_bytes()) })
    }
}
