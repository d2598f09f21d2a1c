//! Cache directories as one file: a tar, compressed with Zstandard. Its first member says which caches
//! follow; the files of the first one stand below `0/`, those of the second below `1/`, and so on.

use std::{
    io::{self, Cursor, Read, Write},
    path::Path,
    thread,
};

use serde::{Deserialize, Serialize};

use super::{cache_mount::CacheName, error::SolveError};
use crate::layer::{
    PackOptions,
    archive::{Archive, ArchiveError},
    emit::{self, ArchiveWriter},
    member::{self, Kind, Member, printable},
    pack::{PackError, pack},
    unpack::{MAX_ID, UnpackError},
};
use crate::snapshot::OWNER_SHIFT;

/// The first member.
const TABLE: &str = "touchmark-caches.json";
const VERSION: u32 = 1;
/// A larger table of contents is none, in bytes.
const MAX_TABLE: u64 = 4 << 20;
/// Fast, and small enough.
const LEVEL: i32 = 3;

/// Why caches were not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum CacheArchiveError {
    /// An id that no cache has.
    #[error("there is no cache '{0}'\nhelp: `touchmark cache du` lists them")]
    Unknown(String),
    /// Not what [`super::cache_store::CacheStore::export`] writes.
    #[error("this is no file of `touchmark cache export`: {0}")]
    Foreign(String),
    /// The stream.
    #[error("{0}")]
    Stream(#[from] io::Error),
    /// A cache cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A damaged archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A hostile or damaged member.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The directory of the caches.
    #[error(transparent)]
    Store(#[from] SolveError),
}

/// A cache as the table of contents names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: CacheName,
    /// Permission bits that the directory has by now.
    pub(super) mode: u32,
    /// Owner, as a step sees it.
    pub(super) uid: u32,
    /// Group, as a step sees it.
    pub(super) gid: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    version: u32,
    caches: Vec<Entry>,
}

/// Writes these caches, each with the directory that holds it. The bytes follow from names and contents.
pub(super) fn write<W: Write>(caches: &[(&Entry, &Path)], out: W) -> Result<W, CacheArchiveError> {
    let mut encoder = zstd::Encoder::new(out, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut archive = ArchiveWriter::new(encoder);
    let caches_only = caches.iter().map(|(entry, _)| (*entry).clone()).collect();
    let table = Table { version: VERSION, caches: caches_only };
    let table = serde_json::to_vec(&table).map_err(SolveError::from)?;
    let mut first = Member::new(TABLE, Kind::File, 0o644);
    first.size = table.len() as u64;
    archive.append(&first, &table[..])?;
    for (number, (_, path)) in caches.iter().enumerate() {
        one(path, &format!("{number}/"), &mut archive)?;
    }
    Ok(archive.finish()?.finish()?)
}

/// Packs a directory on a second thread and renames what comes out of it.
fn one(
    path: &Path,
    prefix: &str,
    archive: &mut ArchiveWriter<impl Write>,
) -> Result<(), CacheArchiveError> {
    let (reader, writer) = io::pipe()?;
    // Times are kept as they are: compilers compare them.
    let options = PackOptions { shift: OWNER_SHIFT, epoch: i64::MAX, ..PackOptions::default() };
    thread::scope(|scope| {
        let packing = scope.spawn(move || pack(path, options, writer).map(drop));
        let mut members = Archive::new(reader);
        let mut copy = || -> Result<(), CacheArchiveError> {
            while let Some(mut member) = members.next()? {
                member.path.splice(..0, prefix.bytes());
                if member.kind == Kind::Hardlink {
                    member.link.splice(..0, prefix.bytes());
                }
                archive.append(&member, &mut members)?;
            }
            Ok(())
        };
        let copied = copy();
        // Lets the other side see that nobody reads any more.
        drop(members);
        let packed = packing.join();
        match (packed, copied) {
            // A reader that went away is the consequence of what it says itself.
            (Ok(Err(error)), Ok(()) | Err(CacheArchiveError::Archive(_))) => Err(error.into()),
            (_, copied) => copied,
        }
    })
}

/// Reads an archive: `take` gets each cache with a tar of its files, which it reads to the end or not.
pub(super) fn read(
    archive: impl Read,
    mut take: impl FnMut(&Entry, &mut dyn Read) -> Result<(), CacheArchiveError>,
) -> Result<(), CacheArchiveError> {
    let foreign = |reason: &str| CacheArchiveError::Foreign(reason.to_owned());
    let decoder = zstd::Decoder::new(archive)?;
    let mut archive = Archive::new(decoder);
    let first = archive.next().map_err(|error| CacheArchiveError::Foreign(error.to_string()))?;
    let first = first.filter(|first| first.path == TABLE.as_bytes());
    let first = first.ok_or_else(|| foreign("it does not begin with a table of contents"))?;
    if first.size > MAX_TABLE {
        return Err(foreign("its table of contents is too long"));
    }
    let mut bytes = Vec::new();
    archive.read_to_end(&mut bytes)?;
    let table: Table = serde_json::from_slice(&bytes)
        .map_err(|error| CacheArchiveError::Foreign(error.to_string()))?;
    if table.version != VERSION {
        return Err(foreign("another version of touchmark wrote it"));
    }
    if let Some(entry) = table.caches.iter().find(|entry| !is_sound(entry)) {
        let id = printable(entry.name.id.as_bytes());
        return Err(foreign(&format!("the mode or owner of the cache '{id}' is none")));
    }
    let mut next = archive.next()?;
    for (number, entry) in table.caches.iter().enumerate() {
        let prefix = format!("{number}/").into_bytes();
        let mut part = Part {
            archive: &mut archive,
            next,
            prefix,
            ready: Cursor::default(),
            left: 0,
            padding: 0,
        };
        take(entry, &mut part)?;
        io::copy(&mut part, &mut io::sink())?;
        next = part.next;
    }
    match next {
        Some(member) => Err(foreign(&format!("'{}' belongs to no cache", member.display()))),
        None => Ok(()),
    }
}

fn is_sound(entry: &Entry) -> bool {
    let ids = [entry.uid, entry.gid, entry.name.uid, entry.name.gid];
    let modes = [entry.mode, entry.name.mode];
    ids.into_iter().all(|id| u64::from(id) <= MAX_ID)
        && modes.into_iter().all(|mode| mode <= 0o7777)
}

/// The members of one cache as a tar of their own.
struct Part<'a, R: Read> {
    archive: &'a mut Archive<R>,
    /// Read ahead: the first member of the rest.
    next: Option<Member>,
    prefix: Vec<u8>,
    /// Bytes that are given before anything else is read.
    ready: Cursor<Vec<u8>>,
    /// Content of the current member that was not given yet.
    left: u64,
    /// Zeros after it.
    padding: usize,
}

impl<R: Read> Part<'_, R> {
    /// Prepares the next member; false where the next one is not of this cache.
    fn advance(&mut self) -> io::Result<bool> {
        let ours = |member: &mut Member| member.path.starts_with(&self.prefix);
        let Some(mut member) = self.next.take_if(ours) else { return Ok(false) };
        member.path.drain(..self.prefix.len());
        if member.kind == Kind::Hardlink {
            let inside = member.link.strip_prefix(&self.prefix[..]).map(<[u8]>::to_vec);
            member.link = inside.ok_or_else(|| leaves(&member))?;
        }
        // Also where the member is skipped, its name must be one.
        member::components(&member.path).map_err(|_| leaves(&member))?;
        self.ready = Cursor::new(emit::headers(&member)?);
        self.left = member.size;
        self.padding = usize::try_from(member.size.wrapping_neg() % 512).unwrap_or(0);
        if member.size == 0 {
            self.read_ahead()?;
        }
        Ok(true)
    }

    fn read_ahead(&mut self) -> io::Result<()> {
        self.next = self.archive.next().map_err(io::Error::other)?;
        Ok(())
    }
}

fn leaves(member: &Member) -> io::Error {
    io::Error::other(format!("the entry '{}' leaves its cache", member.display()))
}

impl<R: Read> Read for Part<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.ready.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if self.left > 0 {
                let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
                let count = self.archive.read(&mut buffer[..limit])?;
                self.left -= count as u64;
                if self.left == 0 {
                    self.ready = Cursor::new(vec![0; self.padding]);
                    self.read_ahead()?;
                }
                return Ok(count);
            }
            // The end of the stream is the end of the tar: its reader forgives missing zeros.
            if !self.advance()? {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
