//! Debian's `Packages`: which files an archive has, with their hashes.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
};

/// More of a line than this says nothing that is looked for.
const LINE: u64 = 16 << 10;
/// Packages that are read of one index; Debian's largest has 70,000.
const FILES: usize = 1_000_000;

/// The files of an index by path below the archive's root, with their SHA-256.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages {
    files: HashMap<Box<str>, [u8; 32]>,
}

impl Packages {
    /// Reads the decompressed text as it comes; stanzas without a path or a SHA-256 are passed over.
    ///
    /// # Errors
    /// What reading gives.
    pub fn read(text: impl Read) -> io::Result<Self> {
        let mut text = BufReader::with_capacity(256 << 10, text);
        let mut files = HashMap::new();
        let (mut path, mut digest, mut line) = (None, None, Vec::with_capacity(256));
        loop {
            let more = next_line(&mut text, &mut line)?;
            if let Some(value) = line.strip_prefix(b"Filename:") {
                path = std::str::from_utf8(value).ok().map(|path| clean(path.trim()));
            } else if let Some(value) = line.strip_prefix(b"SHA256:") {
                let mut bytes = [0; 32];
                let read = hex::decode_to_slice(value.trim_ascii(), &mut bytes);
                digest = read.ok().map(|()| bytes);
            }
            if !more || line.is_empty() {
                if let (Some(path), Some(digest)) = (path.take(), digest.take())
                    && files.len() < FILES
                {
                    files.insert(path, digest);
                }
                (path, digest) = (None, None);
            }
            if !more {
                return Ok(Self { files });
            }
        }
    }

    /// The SHA-256 of the file at this path below the archive's root.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<[u8; 32]> {
        self.files.get(path).copied()
    }

    /// Has it a file of this content?
    #[must_use]
    pub fn has(&self, digest: &[u8; 32]) -> bool {
        self.files.values().any(|known| known == digest)
    }

    /// How many files it lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Does it list nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// `./pool/x` is `pool/x`.
fn clean(path: &str) -> Box<str> {
    path.trim_start_matches("./").trim_start_matches('/').into()
}

/// The next line without its end, and whether there was one.
fn next_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = text.take(LINE).read_until(b'\n', line)?;
    if read as u64 == LINE && line.last() != Some(&b'\n') {
        line.truncate(256);
        skip_line(text)?;
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(read > 0)
}

fn skip_line(text: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = text.fill_buf()?;
        let end = memchr::memchr(b'\n', buffer);
        let used = end.map_or(buffer.len(), |at| at + 1);
        let done = end.is_some() || buffer.is_empty();
        text.consume(used);
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_give_paths_and_digests() {
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let long = "x".repeat(40_000);
        let text = format!(
            "Package: a\nFilename: pool/main/a/a_1_all.deb\nDescription: {long}\nSHA256: {a}\n\n\
             Package: none\nFilename: pool/n.deb\n\nSHA256: {b}\n\n\
             Package: b\r\nSHA256: {b}\r\nFilename: ./b_1.deb"
        );
        let packages = Packages::read(text.as_bytes()).unwrap();
        assert_eq!(packages.len(), 2);
        assert_eq!(packages.at("pool/main/a/a_1_all.deb"), Some([0xaa; 32]));
        assert_eq!(packages.at("b_1.deb"), Some([0xbb; 32]));
        assert!(packages.has(&[0xbb; 32]) && !packages.has(&[0xcc; 32]));
        assert!(Packages::read(&b""[..]).unwrap().is_empty());
    }
}
