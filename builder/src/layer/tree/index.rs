//! What one layer holds, gathered in one pass over its archive.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use serde::{Deserialize, Serialize};

use crate::{
    layer::{
        archive::{Archive, ArchiveError},
        member::{self, Kind, Member, NameFault, OPAQUE_NAME, WHITEOUT_PREFIX, text_of},
    },
    oci::digest::{Digest, Hashing},
};

/// One path of a layer or of a [`Tree`](super::Tree).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The path without leading or trailing slash; `""` is the root. Of a whiteout: what it hides.
    /// Bytes that are not UTF-8 are written `\xNN`.
    pub path: String,
    /// What it is. In a tree a hard link has the kind of its target.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (0o7777).
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Bytes of content.
    pub size: u64,
    /// SHA-256 of the content; of files only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Target of a symbolic link as written, or the path of the file a hard link names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Number of the layer it comes from, the lowest is 0. In a [`LayerIndex`] always 0.
    #[serde(default)]
    pub layer: usize,
    /// Position in that layer's archive; `None` for a directory that no archive spells out.
    pub position: Option<usize>,
}

impl Entry {
    /// A directory of which no archive says anything.
    #[must_use]
    pub fn implied_directory(path: &str, layer: usize) -> Self {
        Self {
            path: path.into(),
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            digest: None,
            link: None,
            mtime: 0,
            xattrs: BTreeMap::new(),
            layer,
            position: None,
        }
    }

    /// The last component of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// A regular file that somebody may execute?
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.kind == Kind::File && self.mode & 0o111 != 0
    }

    fn from_member(member: &Member, position: usize) -> Result<Self, NameFault> {
        let parts = member::components(&member.path)?;
        let joined = |parts: &[&[u8]]| text_of(&parts.join(&b'/'));
        let (kind, path) = match parts.split_last() {
            Some((last, parent)) if *last == OPAQUE_NAME.as_bytes() => {
                (Kind::Opaque, joined(parent))
            }
            Some((last, parent)) if last.starts_with(WHITEOUT_PREFIX.as_bytes()) => {
                let mut hidden = parent.to_vec();
                hidden.push(&last[WHITEOUT_PREFIX.len()..]);
                (Kind::Whiteout, joined(&hidden))
            }
            _ => (member.kind, joined(&parts)),
        };
        let link = match member.kind {
            Kind::Symlink => Some(text_of(&member.link)),
            Kind::Hardlink => Some(joined(&member::components(&member.link)?)),
            _ => None,
        };
        Ok(Self {
            path,
            kind,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            size: member.size,
            digest: None,
            link,
            mtime: member.mtime.seconds,
            xattrs: member.xattrs.clone(),
            layer: 0,
            position: Some(position),
        })
    }
}

/// All entries of one layer in the order of its archive, whiteouts among them: `entries[n].position`
/// is `n`, and a path may occur twice. It follows from the layer's bytes, so it can be kept by the
/// layer's digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerIndex {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The blob holds bytes after the end of the archive, where unpackers do not look.
    #[serde(default)]
    pub trailing: bool,
}

/// Why a layer cannot be indexed.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The content of a file cannot be read.
    #[error("the content of '{entry}' cannot be read: {cause}")]
    Content {
        /// Name for messages.
        entry: String,
        /// What the stream said.
        cause: io::Error,
    },
    /// A name or hard link target that leaves the layer or Linux does not allow.
    #[error("entry '{entry}' is refused: {fault}")]
    Name {
        /// Name for messages.
        entry: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// A file whose content was asked for is too large to be held in memory.
    #[error("'{path}' has {size} bytes; the most that is read into memory is {limit}")]
    TooLarge {
        /// Its path.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The caller's bound.
        limit: u64,
    },
}

/// Looks at file contents while a layer is indexed.
pub trait Visitor {
    /// Called for each regular file, in the order of the archive. `content` may be read as far as is
    /// needed. The entry has no digest yet.
    ///
    /// # Errors
    /// Any error ends the scan.
    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ScanError>;
}

/// Indexes an uncompressed layer in one pass and shows each file to `visitor`.
///
/// # Errors
/// The archive is damaged, truncated or hostile; or the visitor's error.
pub fn scan_with(reader: impl Read, visitor: &mut dyn Visitor) -> Result<LayerIndex, ScanError> {
    let mut archive = Archive::new(reader);
    let mut entries = Vec::new();
    while let Some(member) = archive.next()? {
        let mut entry = Entry::from_member(&member, entries.len())
            .map_err(|fault| ScanError::Name { entry: member.display(), fault })?;
        if member.kind == Kind::File {
            let mut content = Hashing::new(&mut archive);
            if entry.kind == Kind::File {
                visitor.file(&entry, &mut content)?;
            }
            io::copy(&mut content, &mut io::sink())
                .map_err(|cause| ScanError::Content { entry: member.display(), cause })?;
            entry.digest = Some(content.finish().1);
        }
        entries.push(entry);
    }
    Ok(LayerIndex { entries, trailing: archive.trailing() })
}

/// The contents of wanted files, by path.
pub type Contents = BTreeMap<String, Vec<u8>>;

/// Indexes an uncompressed layer and keeps the contents of the files whose path is `wanted`, each at
/// most `max_each` bytes. A later entry of the same path replaces an earlier one.
///
/// # Errors
/// As [`scan_with`]; [`ScanError::TooLarge`] when a wanted file is larger than `max_each`.
pub fn scan(
    reader: impl Read,
    wanted: impl Fn(&str) -> bool,
    max_each: u64,
) -> Result<(LayerIndex, Contents), ScanError> {
    let mut keeper = Keeper { wanted, max_each, contents: BTreeMap::new() };
    let index = scan_with(reader, &mut keeper)?;
    Ok((index, keeper.contents))
}

/// The contents of wanted files of an uncompressed layer; see [`scan`].
///
/// # Errors
/// As [`scan`].
pub fn read_files(
    reader: impl Read,
    wanted: impl Fn(&str) -> bool,
    max_each: u64,
) -> Result<Contents, ScanError> {
    scan(reader, wanted, max_each).map(|(_, contents)| contents)
}

struct Keeper<F> {
    wanted: F,
    max_each: u64,
    contents: Contents,
}

impl<F: Fn(&str) -> bool> Visitor for Keeper<F> {
    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ScanError> {
        if (self.wanted)(&entry.path) {
            let bytes = read_whole(entry, content, self.max_each)?;
            self.contents.insert(entry.path.clone(), bytes);
        }
        Ok(())
    }
}

/// Reads the content that a [`Visitor`] was given, at most `limit` bytes.
///
/// # Errors
/// [`ScanError::TooLarge`], or the stream's error.
pub fn read_whole(entry: &Entry, content: &mut dyn Read, limit: u64) -> Result<Vec<u8>, ScanError> {
    if entry.size > limit {
        return Err(ScanError::TooLarge { path: entry.path.clone(), size: entry.size, limit });
    }
    let mut bytes = Vec::new();
    content
        .read_to_end(&mut bytes)
        .map_err(|cause| ScanError::Content { entry: entry.path.clone(), cause })?;
    Ok(bytes)
}
