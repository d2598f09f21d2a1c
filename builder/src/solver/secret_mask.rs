//! Keeps the values of secrets out of what a step writes, while it streams by.
//!
//! Masked is each line of a secret, without the white space around it: a password in a file mostly ends in a
//! line break, and a tool that prints a key may indent it. What is shorter than a few bytes is left alone,
//! because it is everywhere; so is a secret that was encoded or broken up before it was printed.

use std::{collections::HashMap, fmt, ops::Range};

use crate::secret::SecretBytes;

/// What stands for a secret.
const MASK: &[u8] = b"***";
/// A secret of one line is masked from this length on, in bytes.
const SHORTEST: usize = 4;
/// A line of a longer secret is masked from this length on, in bytes: `{` and `end` say nothing.
const SHORTEST_LINE: usize = 8;
/// A longer line is masked piece by piece, which limits what must be held back, in bytes.
const PIECE: usize = 1024;

/// The secrets of a build, as what to look for.
pub(super) struct SecretMask {
    /// Sorted, each once, none shorter than [`SHORTEST`].
    patterns: Vec<SecretBytes>,
    /// Which of them begin with these bytes.
    by_start: HashMap<[u8; SHORTEST], Range<usize>>,
    /// One bit for each pair of bytes that a pattern begins with.
    pairs: Vec<u64>,
}

/// What of a stream is held back, because it may be the beginning of a secret.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    bytes: Vec<u8>,
    /// So many of them belong to a secret that was masked already.
    covered: usize,
}

impl fmt::Debug for SecretMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretMask").field("patterns", &self.patterns.len()).finish()
    }
}

impl SecretMask {
    /// Looks for these values.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretBytes>) -> Self {
        let mut patterns: Vec<SecretBytes> = Vec::new();
        for secret in secrets {
            let lines = secret.expose_secret().split(|byte| matches!(byte, b'\n' | b'\r'));
            let lines: Vec<&[u8]> =
                lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
            let shortest = if lines.len() == 1 { SHORTEST } else { SHORTEST_LINE };
            let lines = lines.into_iter().filter(|line| line.len() >= shortest);
            let pieces = lines.flat_map(|line| line.chunks(PIECE));
            let pieces = pieces.filter(|piece| piece.len() >= SHORTEST);
            patterns.extend(pieces.map(|piece| SecretBytes::new(piece.to_vec())));
        }
        patterns.sort_by(|a, b| a.expose_secret().cmp(b.expose_secret()));
        patterns.dedup_by(|a, b| a.expose_secret() == b.expose_secret());
        let mut by_start: HashMap<[u8; SHORTEST], Range<usize>> = HashMap::new();
        let mut pairs = vec![0; (1 << 16) / 64];
        for (number, pattern) in patterns.iter().enumerate() {
            let Some(start) = pattern.expose_secret().first_chunk::<SHORTEST>() else { continue };
            by_start.entry(*start).or_insert(number..number).end = number + 1;
            let pair = usize::from(u16::from_be_bytes([start[0], start[1]]));
            pairs[pair / 64] |= 1 << (pair % 64);
        }
        Self { patterns, by_start, pairs }
    }

    /// Is any of them in this text?
    pub(super) fn hides(&self, text: &str) -> bool {
        let mut held = HeldBack::default();
        let mut passed = self.pass(&mut held, text.as_bytes());
        passed.extend(self.rest(&mut held));
        passed != text.as_bytes()
    }

    /// Is there nothing to keep back?
    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What may be shown now that `bytes` came; the rest is held back.
    pub(super) fn pass(&self, held: &mut HeldBack, bytes: &[u8]) -> Vec<u8> {
        held.bytes.extend_from_slice(bytes);
        let end = held.bytes.len();
        self.show(held, |mask, rest| mask.may_become(rest), end)
    }

    /// What was held back, when the stream is at its end.
    pub(super) fn rest(&self, held: &mut HeldBack) -> Vec<u8> {
        let end = held.bytes.len();
        self.show(held, |_, _| false, end)
    }

    /// Masks up to where `hold` says that a secret may have begun.
    fn show(&self, held: &mut HeldBack, hold: fn(&Self, &[u8]) -> bool, end: usize) -> Vec<u8> {
        let mut shown = Vec::with_capacity(end);
        let bytes = &held.bytes;
        let mut covered = held.covered;
        let mut upto = end;
        for at in 0..end {
            let rest = &bytes[at..];
            if !self.may_begin(rest) {
                continue;
            }
            if hold(self, rest) {
                upto = at;
                break;
            }
            let Some(length) = self.longest(rest) else { continue };
            if covered == 0 || at > covered {
                shown.extend_from_slice(&bytes[covered..at]);
                shown.extend_from_slice(MASK);
            }
            covered = covered.max(at + length);
        }
        if covered < upto {
            shown.extend_from_slice(&bytes[covered..upto]);
        }
        held.bytes.drain(..upto);
        held.covered = covered.saturating_sub(upto);
        shown
    }

    /// Cheap: false for nearly every place of a text.
    fn may_begin(&self, rest: &[u8]) -> bool {
        match rest {
            [first, second, ..] => {
                let pair = usize::from(u16::from_be_bytes([*first, *second]));
                self.pairs[pair / 64] & (1 << (pair % 64)) != 0
            }
            // The last byte: the second one is not known yet.
            _ => true,
        }
    }

    /// Is `rest`, which is all there is, the beginning of a longer secret?
    fn may_become(&self, rest: &[u8]) -> bool {
        if rest.len() >= PIECE {
            return false;
        }
        let first = self.patterns.partition_point(|pattern| pattern.expose_secret() <= rest);
        self.patterns.get(first).is_some_and(|pattern| pattern.expose_secret().starts_with(rest))
    }

    /// The length of the longest secret that `rest` begins with.
    fn longest(&self, rest: &[u8]) -> Option<usize> {
        let known = self.by_start.get(rest.first_chunk::<SHORTEST>()?)?;
        let known = self.patterns[known.clone()].iter().map(SecretBytes::expose_secret);
        known.filter(|pattern| rest.starts_with(pattern)).map(<[u8]>::len).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], text: &str, piece: usize) -> String {
        let secrets: Vec<SecretBytes> =
            secrets.iter().map(|secret| SecretBytes::new(secret.as_bytes().to_vec())).collect();
        let mask = SecretMask::new(&secrets);
        let mut held = HeldBack::default();
        let mut shown = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            shown.extend(mask.pass(&mut held, bytes));
            assert!(held.bytes.len() < PIECE);
        }
        shown.extend(mask.rest(&mut held));
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_secret_is_masked_wherever_the_stream_is_cut() {
        for piece in [1, 2, 3, 7, 100] {
            let seen = |secrets: &[&str], text| masked(secrets, text, piece);
            assert_eq!(
                seen(&["hunter2\n"], "a hunter2, hunter hunter2\nhunt"),
                "a ***, hunter ***\nhunt"
            );
            assert_eq!(
                seen(&["pass", "password"], "pass passwor password pas"),
                "*** ***wor *** pas"
            );
            assert_eq!(seen(&["abcd", "cdef"], "xabcdefx"), "x***x");
            assert_eq!(seen(&["aaaa"], "aaaaaaab"), "***b");
            assert_eq!(seen(&["ünï"], "ünïünü"), "***ünü");
            assert_eq!(seen(&[], "text"), "text");
        }
    }

    #[test]
    fn each_telling_line_of_a_longer_secret_is_masked() {
        let key = "-----BEGIN KEY-----\r\nMIIEowIBAAKCAQEA\n  indented line\n{\nshort\n";
        assert_eq!(
            masked(&[key], "MIIEowIBAAKCAQEA\n> indented line\n{short", 5),
            "***\n> ***\n{short"
        );
        let long = "0123456789".repeat(1000);
        assert_eq!(masked(&[&long], &format!("<{long}>"), 777), "<***>");
    }

    #[test]
    fn what_is_everywhere_is_no_secret() {
        assert!(SecretMask::new(&[SecretBytes::new(b"abc\n".to_vec())]).is_empty());
        assert_eq!(masked(&["abc", " \n"], "abc", 1), "abc");
    }

    #[test]
    fn nothing_of_a_secret_is_in_its_debug_form() {
        let mask = SecretMask::new(&[SecretBytes::new(b"hunter2".to_vec())]);
        assert_eq!(format!("{mask:?}"), "SecretMask { patterns: 1 }");
    }
}
