//! The certificate's serial number, as it stands in files: the one part that is long, and in no other certificate.

use base64::{Engine, prelude::BASE64_STANDARD};
use memchr::memmem::Finder;

/// Where the serial number stands in a certificate (RFC 5280, section 4.1): after the heads of two sequences and the
/// version. Our own certificates have serial numbers of 20 bytes.
const SERIAL: std::ops::Range<usize> = 15..35;
/// Whole groups of base64 around it: they are in one line of PEM however wide it is.
const AROUND: std::ops::Range<usize> = 12..36;

/// Finds a certificate in bytes, be it in DER or in PEM.
#[derive(Debug)]
pub(super) struct Needle {
    binary: Finder<'static>,
    text: Finder<'static>,
}

impl Needle {
    /// For this certificate (DER).
    pub(super) fn new(certificate: &[u8]) -> Self {
        let part = |range: std::ops::Range<usize>| certificate.get(range).unwrap_or(certificate);
        Self {
            binary: Finder::new(part(SERIAL)).into_owned(),
            text: Finder::new(&BASE64_STANDARD.encode(part(AROUND))).into_owned(),
        }
    }

    /// Bytes that two neighbouring pieces of a file must share so that nothing between them is missed.
    pub(super) const OVERLAP: usize = 64;

    /// Is it in there?
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.binary.find(bytes).is_some() || self.text.find(bytes).is_some()
    }
}
