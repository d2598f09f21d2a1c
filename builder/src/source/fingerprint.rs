//! What `stat` says of everything that a COPY takes: while that is the same, so is the digest of the contents.
//! It needs no file to be opened and no attribute to be read, because whatever changes either changes a time.

use std::{io, os::unix::ffi::OsStrExt};

use super::{
    context::SourceRoot,
    error::SourceError,
    rooted::{Kind, Meta},
    walk::{Entry, Visitor},
};
use crate::oci::digest::{Digest, Hashing};

/// A fingerprint that is being made.
pub(super) struct Fingerprint<'a> {
    root: &'a SourceRoot<'a>,
    out: Hashing<io::Sink>,
    record: Vec<u8>,
    /// The latest time of anything in it, in seconds since 1970.
    newest: i64,
}

impl<'a> Fingerprint<'a> {
    /// Begins one for what `asked` names, which has to tell all selections apart.
    pub(super) fn new(root: &'a SourceRoot<'a>, asked: &[&[u8]]) -> Self {
        let mut made =
            Self { root, out: Hashing::new(io::sink()), record: Vec::new(), newest: i64::MIN };
        asked.iter().for_each(|field| made.field(field));
        made.end();
        made
    }

    /// Begins the next source.
    pub(super) fn begin(&mut self, named: &[&[u8]]) {
        named.iter().for_each(|field| self.field(field));
        self.end();
    }

    /// The fingerprint, and the latest time of anything in it.
    pub(super) fn finish(self) -> (Digest, i64) {
        (self.out.finish().1, self.newest)
    }

    fn field(&mut self, bytes: &[u8]) {
        self.record.extend((bytes.len() as u64).to_le_bytes());
        self.record.extend_from_slice(bytes);
    }

    fn end(&mut self) {
        // A sink takes everything.
        let _ = io::Write::write_all(&mut self.out, &self.record);
        self.record.clear();
    }

    fn note(&mut self, entry: &Entry<'_>) {
        let Meta { kind, mode, uid, gid, size, mtime, ctime, inode, links } = *entry.meta;
        self.newest = self.newest.max(mtime.0).max(ctime.0);
        let kind = match kind {
            Kind::File => 1,
            Kind::Directory => 2,
            Kind::Link => 3,
            Kind::Fifo => 4,
            Kind::Socket => 5,
            Kind::Device => 6,
        };
        let owner = self.root.owner(uid, gid);
        self.field(entry.rel.as_os_str().as_bytes());
        self.record.extend([kind, u8::from(entry.selected)]);
        for number in [mode, owner.0, owner.1] {
            self.record.extend(number.to_le_bytes());
        }
        for number in [size, inode.0, inode.1, links] {
            self.record.extend(number.to_le_bytes());
        }
        for number in [mtime.0, mtime.1, ctime.0, ctime.1] {
            self.record.extend(number.to_le_bytes());
        }
        self.end();
    }
}

impl Visitor for Fingerprint<'_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        // Of the directory that is named itself, nothing is copied but what is in it.
        if !entry.rel.as_os_str().is_empty() {
            self.note(entry);
        }
        Ok(())
    }

    fn leaf(&mut self, entry: &Entry<'_>) -> Result<(), SourceError> {
        self.note(entry);
        Ok(())
    }

    fn leave(&mut self, _: &Entry<'_>) -> Result<(), SourceError> {
        Ok(())
    }
}
