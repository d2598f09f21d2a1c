//! Go's checksum database, and its hash of an archive.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Read},
};

use sha2::{Digest as _, Sha256};

use super::{
    digest_of::{Algorithm, Hash},
    statement::{About, Statement},
};

/// Go's own limit for the files of a module, in bytes.
const CONTENT: u64 = 500 << 20;
/// The end of an archive's directory, without its comment.
const END: usize = 22;

/// Tells `tell` what the answer to a look-up states: `module version h1:…` and the same of its `go.mod`.
pub(super) fn read(text: &str, tell: &mut dyn FnMut(Statement)) {
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [module, version, hash] = words.as_slice() else { continue };
        let Some(hash) = hash.strip_prefix("h1:") else { continue };
        let (version, ending, algorithm) = match version.strip_suffix("/go.mod") {
            Some(version) => (version, "mod", Algorithm::GoMod),
            None => (*version, "zip", Algorithm::GoZip),
        };
        if let Some(hash) = Hash::base64(algorithm, hash) {
            let end = format!("/{}/@v/{}.{ending}", escaped(module), escaped(version));
            tell(Statement { about: About::PathEnd(end), hash });
        }
    }
}

/// As module proxies write it: `A` is `!a`.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The hash of a `go.mod`.
pub(super) fn hash_mod(bytes: &[u8]) -> Vec<u8> {
    let line = format!("{}  go.mod\n", hex::encode(Sha256::digest(bytes)));
    Sha256::digest(line).to_vec()
}

/// The hash of an archive: over the sorted lines of its files' hashes and names.
///
/// # Errors
/// What is no such archive.
pub(super) fn hash_zip(zip: &[u8]) -> io::Result<Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = CONTENT;
    for entry in entries(zip).ok_or_else(|| broken("no directory"))? {
        let entry = entry.ok_or_else(|| broken("a broken directory"))?;
        if entry.name.ends_with('/') {
            continue;
        }
        let digest = entry.hash(zip, &mut left)?;
        files.insert(entry.name, digest);
    }
    let mut lines = String::new();
    for (name, digest) in files {
        let _ = writeln!(lines, "{}  {name}", hex::encode(digest));
    }
    Ok(Sha256::digest(lines).to_vec())
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("an archive with {what}"))
}

/// A file as the directory at the archive's end has it (APPNOTE.TXT, section 4.3.12).
struct Entry {
    name: String,
    deflated: bool,
    packed: usize,
    offset: usize,
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let part = bytes.get(at..at.checked_add(width)?)?;
    Some(part.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The entries of the directory. Modules are too small for the long form (ZIP64).
fn entries(zip: &[u8]) -> Option<impl Iterator<Item = Option<Entry>> + '_> {
    let last = zip.len().checked_sub(END)?;
    let first = last.saturating_sub(0xffff);
    let end = (first..=last).rev().find(|at| zip[*at..].starts_with(b"PK\x05\x06"))?;
    let count = number(zip, end + 10, 2)?;
    let mut at = number(zip, end + 16, 4)?;
    Some((0..count).map(move |_| {
        let head = zip.get(at..)?.get(..46)?;
        if !head.starts_with(b"PK\x01\x02") {
            return None;
        }
        let method = number(head, 10, 2)?;
        let (name, extra, comment) =
            (number(head, 28, 2)?, number(head, 30, 2)?, number(head, 32, 2)?);
        let text = zip.get(at + 46..at + 46 + name)?;
        at += 46 + name + extra + comment;
        Some(Entry {
            name: String::from_utf8(text.to_vec()).ok()?,
            deflated: match method {
                0 => false,
                8 => true,
                _ => return None,
            },
            packed: number(head, 20, 4)?,
            offset: number(head, 42, 4)?,
        })
    }))
}

impl Entry {
    /// The digest of the content; takes its size from `left`.
    fn hash(&self, zip: &[u8], left: &mut u64) -> io::Result<[u8; 32]> {
        let packed = self.bytes(zip).ok_or_else(|| broken("a broken file"))?;
        let mut content: Box<dyn Read> = match self.deflated {
            true => Box::new(flate2::read::DeflateDecoder::new(packed)),
            false => Box::new(packed),
        };
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 32 << 10];
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                return Ok(digest.finalize().into());
            }
            *left = left.checked_sub(read as u64).ok_or_else(|| broken("too much in it"))?;
            digest.update(&buffer[..read]);
        }
    }

    fn bytes<'z>(&self, zip: &'z [u8]) -> Option<&'z [u8]> {
        let head = zip.get(self.offset..)?;
        if !head.starts_with(b"PK\x03\x04") {
            return None;
        }
        let start = 30 + number(head, 26, 2)? + number(head, 28, 2)?;
        head.get(start..start.checked_add(self.packed)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// An archive of one stored and one deflated file and a directory.
    fn zip() -> Vec<u8> {
        let mut packer =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"package left\n").unwrap();
        let packed = packer.finish().unwrap();
        let module = b"module m.example/left\n";
        let (mut zip, mut directory) = (Vec::new(), Vec::new());
        let files: [(&str, u16, &[u8]); 3] = [
            ("m.example/left@v1.0.0/left.go", 8, &packed),
            ("m.example/left@v1.0.0/d/", 0, b""),
            ("m.example/left@v1.0.0/go.mod", 0, module),
        ];
        for (name, method, bytes) in files {
            let offset = u32::try_from(zip.len()).unwrap();
            let size = u32::try_from(bytes.len()).unwrap();
            let length = u16::try_from(name.len()).unwrap();
            zip.extend(b"PK\x03\x04\x14\0\0\0");
            zip.extend(method.to_le_bytes());
            zip.extend([0; 8]);
            zip.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
            zip.extend(length.to_le_bytes());
            zip.extend([0; 2]);
            zip.extend(name.as_bytes());
            zip.extend(bytes);
            directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0");
            directory.extend(method.to_le_bytes());
            directory.extend([0; 8]);
            directory.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
            directory.extend(length.to_le_bytes());
            directory.extend([0; 12]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let offset = u32::try_from(zip.len()).unwrap();
        let size = u32::try_from(directory.len()).unwrap();
        zip.extend(directory);
        zip.extend(b"PK\x05\x06\0\0\0\0\x03\0\x03\0");
        zip.extend([size.to_le_bytes(), offset.to_le_bytes()].concat());
        zip.extend([0; 2]);
        zip
    }

    #[test]
    fn an_archive_is_hashed_by_its_files_and_not_by_its_bytes() {
        let line =
            |text: &[u8], name: &str| format!("{}  {name}\n", hex::encode(Sha256::digest(text)));
        let module = line(b"module m.example/left\n", "m.example/left@v1.0.0/go.mod");
        let source = line(b"package left\n", "m.example/left@v1.0.0/left.go");
        let expected = Sha256::digest(module + &source).to_vec();
        assert_eq!(hash_zip(&zip()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let zip = zip();
        for end in 0..zip.len() {
            assert!(hash_zip(&zip[..end]).is_err(), "{end}");
        }
        let mut odd = zip;
        let at = odd.len() - 6;
        odd[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(hash_zip(&odd).is_err());
    }

    #[test]
    fn a_look_up_states_archive_and_module_file() {
        let h1 = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let text = format!(
            "12\nm.example/Left v1.0.0 {h1}\nm.example/Left v1.0.0/go.mod {h1}\n\ngo.sum database tree\n12\nx=\n\n— s.example y\n"
        );
        let mut all = Vec::new();
        read(&text, &mut |one| all.push(one));
        let [zip, module] = all.as_slice() else { panic!("{all:?}") };
        assert!(zip.about.names("https://p.example/m.example/!left/@v/v1.0.0.zip"));
        assert_eq!(zip.hash.algorithm, Algorithm::GoZip);
        assert!(module.about.names("https://p.example/sub/m.example/!left/@v/v1.0.0.mod"));
        assert_eq!(module.hash.algorithm, Algorithm::GoMod);
    }
}
