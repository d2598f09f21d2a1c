//! Signatures (section 5.2).

use ring::digest::{self, SHA256, SHA384, SHA512};

use super::{
    armor::octets,
    packet::{integer, number, packets},
};

/// Signatures that are read of one file.
const SIGNATURES: usize = 16;
/// Subpackets of the issuer's key id and its fingerprint (section 5.2.3).
const ISSUER: u8 = 16;
const ISSUER_FINGERPRINT: u8 = 33;

/// A signature of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    hashing: Hashing,
    /// What of the signature is signed with the text.
    trailer: Vec<u8>,
    /// Key ids and fingerprints that it says are its maker's.
    issuers: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
}

/// Hashes that signatures may have. SHA-1 is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hashing {
    Sha256,
    Sha384,
    Sha512,
}

impl Hashing {
    pub(super) fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

/// The signatures of documents in a file, armoured or not, of the kinds that are known here.
#[must_use]
pub fn signatures(file: &[u8]) -> Vec<Signature> {
    let octets = octets(file);
    let bodies = packets(&octets).filter(|(kind, _)| *kind == 2);
    bodies.filter_map(|(_, body)| Signature::read(body)).take(SIGNATURES).collect()
}

impl Signature {
    fn read(body: &[u8]) -> Option<Self> {
        // Of a binary or of a text document.
        let [4, 0 | 1, algorithm, hash, ..] = body else { return None };
        let hashing = match hash {
            8 => Hashing::Sha256,
            9 => Hashing::Sha384,
            10 => Hashing::Sha512,
            _ => return None,
        };
        let end = 6 + number(body.get(4..6)?);
        let (hashed, rest) = (body.get(6..end)?, body.get(end..)?);
        let length = number(rest.get(..2)?);
        let (unhashed, rest) = (rest.get(2..2 + length)?, rest.get(2 + length..)?);
        let rest = rest.get(2..)?;
        let values = match algorithm {
            1 | 3 => vec![integer(rest)?.0.to_vec()],
            22 => {
                let (r, rest) = integer(rest)?;
                vec![r.to_vec(), integer(rest)?.0.to_vec()]
            }
            27 => vec![rest.get(..64)?.to_vec()],
            _ => return None,
        };
        let mut issuers = Vec::new();
        issuers_of(hashed, &mut issuers);
        issuers_of(unhashed, &mut issuers);
        let mut trailer = body.get(..end)?.to_vec();
        trailer.extend([4, 0xff]);
        trailer.extend(u32::try_from(end).ok()?.to_be_bytes());
        Some(Self { hashing, trailer, issuers, values })
    }

    pub(super) fn hashing(&self) -> Hashing {
        self.hashing
    }

    pub(super) fn values(&self) -> &[Vec<u8>] {
        &self.values
    }

    /// Does it name this key, or none?
    pub(super) fn may_be_by(&self, fingerprint: &[u8; 20]) -> bool {
        self.issuers.is_empty() || self.issuers.iter().any(|known| fingerprint.ends_with(known))
    }

    /// The octets that are signed where the text is `text` (section 5.2.4).
    pub(super) fn signed(&self, text: &[u8]) -> Vec<u8> {
        [text, &self.trailer].concat()
    }
}

fn issuers_of(mut area: &[u8], issuers: &mut Vec<Vec<u8>>) {
    while let Some(&octet) = area.first() {
        let (length, width): (usize, usize) = match octet {
            0..=191 => (usize::from(octet), 1),
            192..=254 => {
                let Some(&second) = area.get(1) else { return };
                (((usize::from(octet) - 192) << 8) + usize::from(second) + 192, 2)
            }
            255 => {
                let Some(four) = area.get(1..5) else { return };
                (number(four), 5)
            }
        };
        let Some(subpacket) = area.get(width..width.saturating_add(length)) else { return };
        match subpacket.split_first() {
            Some((&kind, id)) if kind & 0x7f == ISSUER && id.len() == 8 => {
                issuers.push(id.to_vec())
            }
            Some((&kind, [4, print @ ..]))
                if kind & 0x7f == ISSUER_FINGERPRINT && print.len() == 20 =>
            {
                issuers.push(print.to_vec());
            }
            _ => {}
        }
        area = &area[width + length..];
    }
}
