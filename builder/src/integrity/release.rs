//! Debian's `Release`, alone or inside `InRelease`: the indexes of a suite with their hashes.

use std::collections::BTreeMap;

/// Files that are read of one list; Debian's have 1,500.
const FILES: usize = 200_000;

/// The files below the suite's directory, with their SHA-256.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    files: BTreeMap<String, [u8; 32]>,
}

impl Release {
    /// Reads the list under `SHA256:`; of a signed text only what the signature covers is to be given.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut files = BTreeMap::new();
        let mut listed = false;
        for line in text.lines() {
            if !line.starts_with([' ', '\t']) {
                listed = line.trim_end() == "SHA256:";
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (Some(digits), Some(_), Some(path)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let mut digest = [0; 32];
            if listed && files.len() < FILES && hex::decode_to_slice(digits, &mut digest).is_ok() {
                files.insert(path.to_owned(), digest);
            }
        }
        Self { files }
    }

    /// Is the file at this path below the suite's directory listed, and with which digest?
    #[must_use]
    pub fn at(&self, path: &str) -> Option<[u8; 32]> {
        self.files.get(path).copied()
    }

    /// Does it list a file of this content?
    #[must_use]
    pub fn has(&self, digest: &[u8; 32]) -> bool {
        self.files.values().any(|known| known == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_of_sha256_counts() {
        let text = format!(
            "Origin: Example\nMD5Sum:\n {} 12 main/x\nSHA256:\n {}   345 main/binary-amd64/Packages.xz\n short 1 y\n\
             SHA512:\n {} 1 z\n",
            "11".repeat(16),
            "aa".repeat(32),
            "bb".repeat(32)
        );
        let release = Release::read(&text);
        assert_eq!(release.at("main/binary-amd64/Packages.xz"), Some([0xaa; 32]));
        assert!(release.has(&[0xaa; 32]) && !release.has(&[0xbb; 32]));
        assert_eq!(release.at("main/x"), None);
    }
}
