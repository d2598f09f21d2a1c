//! ASCII armour (section 6.2).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};

const BEGIN: &str = "-----BEGIN PGP ";

/// The octets of every armoured block in the text, or the text itself where it has none. A block that is damaged is left
/// out.
pub(super) fn octets(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| text.contains(BEGIN)) else {
        return Cow::Borrowed(text);
    };
    let blocks = text.split(BEGIN).skip(1).filter_map(block);
    Cow::Owned(blocks.flatten().collect())
}

/// One block, from behind the beginning of its first line.
fn block(text: &str) -> Option<Vec<u8>> {
    let mut lines = text.lines().skip(1);
    lines.by_ref().find(|line| line.trim().is_empty())?;
    let end = |line: &&str| !line.starts_with('=') && !line.starts_with("-----");
    let base64: String = lines.map(str::trim_end).take_while(end).collect();
    BASE64_STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_decoded_and_other_bytes_are_left() {
        let text = b"x\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\nAQID\nBA==\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n\
                     -----BEGIN PGP PUBLIC KEY BLOCK-----\n\nBQ==\n-----END PGP\n-----BEGIN PGP X-----\n\n!\n";
        assert_eq!(&*octets(text), [1, 2, 3, 4, 5]);
        assert_eq!(&*octets(b"\x99\x01"), b"\x99\x01");
    }
}
