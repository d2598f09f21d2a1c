//! One entry of a tar archive, whatever mixture of ustar, GNU and PAX headers it was written in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Prefix of the names that delete something in the layers below (layer.md, "Whiteouts").
pub const WHITEOUT_PREFIX: &str = ".wh.";
/// The name that hides everything below in its directory (layer.md, "Opaque Whiteout").
pub const OPAQUE_NAME: &str = ".wh..wh..opq";
/// The extended attribute that holds file capabilities.
pub const CAPABILITY_XATTR: &str = "security.capability";

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Second name of a file that an earlier entry, or a layer below, holds.
    Hardlink,
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe.
    Fifo,
    /// Hides one path of the layers below. Never in a [`Member`], only in a layer's index.
    Whiteout,
    /// Hides the content of one directory of the layers below. Only in a layer's index.
    Opaque,
}

/// Modification time; `nanos` counts forward from `seconds` (0..1_000_000_000).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mtime {
    /// Seconds since 1970, may be negative.
    pub seconds: i64,
    /// Nanoseconds.
    pub nanos: u32,
}

/// The metadata of one entry. Names are bytes, because tar and Linux do not ask for UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name as it stands in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (0o7777).
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Bytes of content that follow; 0 for all but files.
    pub size: u64,
    /// Modification time.
    pub mtime: Mtime,
    /// Target of a symbolic or hard link, else empty.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes (PAX `SCHILY.xattr.*`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Member {
    /// An empty entry of this kind, owned by root, at time 0.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Mtime::default(),
            link: Vec::new(),
            device: (0, 0),
            xattrs: BTreeMap::new(),
        }
    }

    /// The name for messages, with control bytes and what is not UTF-8 escaped and cut at 200 bytes:
    /// a hostile name must not write on the user's terminal.
    #[must_use]
    pub fn display(&self) -> String {
        printable(&self.path)
    }
}

/// A name made fit for a message.
pub(crate) fn printable(name: &[u8]) -> String {
    const LIMIT: usize = 200;
    let text = text_of(&name[..name.len().min(LIMIT)]);
    let mut clean: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if name.len() > LIMIT {
        clean.push('…');
    }
    clean
}

/// The bytes as text; each byte that is not UTF-8 becomes `\xNN`, so that two names stay two.
#[must_use]
pub fn text_of(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Why a name cannot be a path inside a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// It has a `..` component.
    #[error("its path climbs with '..'")]
    Climbs,
    /// It is longer than Linux allows.
    #[error("its path is longer than 4095 bytes")]
    TooLong,
    /// A component is longer than Linux allows.
    #[error("a name in its path is longer than 255 bytes")]
    NameTooLong,
    /// It has a NUL byte.
    #[error("its path holds a NUL byte")]
    Nul,
}

/// The components of an archive name: a leading `/`, empty parts and `.` are dropped.
///
/// # Errors
/// `..` anywhere is refused instead of being folded: folding means something else when the component
/// before it is a link, and no archiver writes it.
pub fn components(path: &[u8]) -> Result<Vec<&[u8]>, NameFault> {
    if path.len() > 4095 {
        return Err(NameFault::TooLong);
    }
    let mut parts = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(NameFault::Climbs),
            _ if part.contains(&0) => return Err(NameFault::Nul),
            _ if part.len() > 255 => return Err(NameFault::NameTooLong),
            _ => parts.push(part),
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_relative_and_never_climb() {
        assert_eq!(components(b"/./usr//bin/").unwrap(), [&b"usr"[..], b"bin"]);
        assert_eq!(components(b"./").unwrap(), Vec::<&[u8]>::new());
        assert_eq!(components(b"a/../b"), Err(NameFault::Climbs));
        assert_eq!(components(&[b'a'; 5000]), Err(NameFault::TooLong));
        assert_eq!(components(&[b'a'; 256]), Err(NameFault::NameTooLong));
        assert_eq!(components(b"a\0b"), Err(NameFault::Nul));
    }

    #[test]
    fn hostile_names_are_printed_harmlessly() {
        assert_eq!(printable(b"a\x1b[31mb\xff\n"), "a\\u{1b}[31mb\\xff\\n");
        assert_eq!(printable(&[b'x'; 300]).chars().count(), 201);
    }
}
