//! Reads a tar archive as a stream of [`Member`]s: ustar, GNU long names, PAX.
//!
//! The block format is the `tar` crate's; the sequence of blocks is read here, because hardening
//! needs the header blocks as they stood (an entry that is not changed is copied byte for byte), PAX
//! values with newlines, and bounds. Where readers of the field disagree about an archive, it is
//! refused or read as containerd reads it, so that nothing can hide between two readings.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::{
    member::{Kind, Member, Mtime, printable},
    pax::{self, Record},
};

/// Bytes that the names and attributes of one entry may take, as in Go's reader.
const MAX_EXTENSION: u64 = 1024 * 1024;
/// Bytes that all extended headers before one entry may take. Global ones may be repeated, and all
/// are kept until their entry is read.
const MAX_EXTENSIONS: usize = 4 * 1024 * 1024;
const BLOCK: usize = 512;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The stream failed.
    #[error("the layer cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It ended too early.
    #[error("the archive ends in the middle of {0}: it is truncated")]
    Truncated(String),
    /// A block is not a header.
    #[error("the archive is damaged at byte {offset}: the header there has a wrong checksum")]
    Checksum {
        /// Where the block begins.
        offset: u64,
    },
    /// Names or attributes beyond the bound.
    #[error(
        "the archive has an extended header of {size} bytes at byte {offset}; the most that is \
         read is 1048576"
    )]
    Extension {
        /// Announced size.
        size: u64,
        /// Where its header begins.
        offset: u64,
    },
    /// Something that no two readers understand alike, or that touchmark does not read.
    #[error("entry '{entry}': {fault}")]
    Entry {
        /// Name for messages.
        entry: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// A streaming reader of members. After [`Archive::next`] the reader itself ([`Read`]) gives the
/// content of that member; what is left unread is skipped.
#[derive(Debug)]
pub struct Archive<R> {
    inner: R,
    offset: u64,
    left: u64,
    padding: u64,
    name: String,
    raw: Vec<u8>,
    ended: bool,
    trailing: bool,
    whole: bool,
}

#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Vec<Record>>,
}

impl<R: Read> Archive<R> {
    /// Starts at the first block of an uncompressed archive.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            left: 0,
            padding: 0,
            name: String::new(),
            raw: Vec::new(),
            ended: false,
            trailing: false,
            whole: true,
        }
    }

    /// Does not look at what comes after the end of the archive, be it damaged.
    #[must_use]
    pub fn without_tail(self) -> Self {
        Self { whole: false, ..self }
    }

    /// The next member, or `None` at the end. The end reads the stream to its last byte, so that a
    /// verifying reader below sees all of it.
    ///
    /// # Errors
    /// The stream fails, is truncated, is not a tar, or has an entry that cannot be read safely.
    #[allow(clippy::should_implement_trait, reason = "fallible, and lends its content")]
    pub fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        self.skip_body()?;
        self.raw.clear();
        self.name.clear();
        let mut extensions = Extensions::default();
        loop {
            let start = self.offset;
            let Some(header) = self.header()? else {
                if !self.raw.is_empty() {
                    return Err(ArchiveError::Truncated("an extended header".into()));
                }
                self.drain()?;
                return Ok(None);
            };
            let kind = header.entry_type();
            let extended = kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions();
            if !extended {
                return self.member(&header, extensions).map(Some);
            }
            let size = header.entry_size().map_err(|_| ArchiveError::Checksum { offset: start })?;
            if size > MAX_EXTENSION {
                return Err(ArchiveError::Extension { size, offset: start });
            }
            if self.raw.len() > MAX_EXTENSIONS {
                return Err(self.fault("more than 4 MiB of extended headers stand before it"));
            }
            let body = self.extension(size)?;
            self.extend(kind, body, &mut extensions)?;
        }
    }

    /// The header blocks of the current member exactly as they stood, extended headers included.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Is there anything but zeros after the end of the archive? Such bytes are in the blob, but
    /// unpackers do not look at them.
    #[must_use]
    pub fn trailing(&self) -> bool {
        self.trailing
    }

    fn extend(
        &self,
        kind: EntryType,
        body: Vec<u8>,
        extensions: &mut Extensions,
    ) -> Result<(), ArchiveError> {
        let twice = || self.fault("two extended headers of one kind describe it");
        let until_nul = |mut body: Vec<u8>| {
            body.truncate(body.iter().position(|byte| *byte == 0).unwrap_or(body.len()));
            body
        };
        let slot = if kind.is_gnu_longname() {
            &mut extensions.path
        } else if kind.is_gnu_longlink() {
            &mut extensions.link
        } else {
            let records =
                pax::parse(&body).ok_or_else(|| self.fault("its PAX header is malformed"))?;
            if kind.is_pax_global_extensions() {
                return self.check_global(&records);
            }
            return match extensions.pax.replace(records) {
                Some(_) => Err(twice()),
                None => Ok(()),
            };
        };
        match slot.replace(until_nul(body)) {
            Some(_) => Err(twice()),
            None => Ok(()),
        }
    }

    /// containerd ignores global headers, GNU tar applies them: only what changes no content passes.
    fn check_global(&self, records: &[Record]) -> Result<(), ArchiveError> {
        let harmful = |key: &str| {
            matches!(key, "path" | "linkpath" | "size" | "uid" | "gid")
                || ["SCHILY.", "GNU.", "LIBARCHIVE."].iter().any(|start| key.starts_with(start))
        };
        match records.iter().find(|(key, _)| harmful(key)) {
            Some((key, _)) => Err(self.fault(&format!(
                "a global PAX header sets '{}' for all entries, which unpackers read differently",
                printable(key.as_bytes())
            ))),
            None => Ok(()),
        }
    }

    fn member(&mut self, header: &Header, extra: Extensions) -> Result<Member, ArchiveError> {
        let records = extra.pax.unwrap_or_default();
        let value = |key: &str| records.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v);
        let path = value("path").cloned().or(extra.path.clone());
        let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
        self.name = printable(&path);
        if value("path").is_some() && extra.path.is_some_and(|long| long != path) {
            return Err(self.fault("it has two different names"));
        }
        if let Some((key, _)) = records.iter().find(|(key, _)| key.starts_with("GNU.sparse.")) {
            return Err(self.fault(&format!("it is sparse ({key}); pack it without --sparse")));
        }
        let mut kind = self.kind(header.entry_type())?;
        if kind == Kind::File && path.ends_with(b"/") {
            kind = Kind::Directory;
        }
        let number = |key: &str, field: io::Result<u64>| match value(key) {
            Some(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            None => field.ok(),
        };
        let bad = |what| self.fault(&format!("its {what} is not a number"));
        // As a file offset it must fit 63 bits; only its padding may then be added to it.
        let size = number("size", header.entry_size()).filter(|size| i64::try_from(*size).is_ok());
        let size = size.ok_or_else(|| bad("size"))?;
        let mtime = match value("mtime") {
            Some(text) => pax::time(text).ok_or_else(|| bad("time"))?,
            None => (header.mtime().map_err(|_| bad("time"))?.cast_signed(), 0),
        };
        let long_link = value("linkpath").cloned().or(extra.link);
        let field = || header.link_name_bytes().map(|link| link.into_owned());
        let is_link = matches!(kind, Kind::Symlink | Kind::Hardlink);
        let member = Member {
            kind,
            mode: header.mode().map_err(|_| bad("mode"))? & 0o7777,
            uid: number("uid", header.uid()).ok_or_else(|| bad("owner"))?,
            gid: number("gid", header.gid()).ok_or_else(|| bad("group"))?,
            size: if kind == Kind::File { size } else { 0 },
            mtime: Mtime { seconds: mtime.0, nanos: mtime.1 },
            link: if is_link { long_link.or_else(field).unwrap_or_default() } else { Vec::new() },
            device: device(header, kind),
            xattrs: xattrs(&records),
            path,
        };
        self.left = member.size;
        self.padding = member.size.wrapping_neg() % BLOCK as u64;
        Ok(member)
    }

    fn kind(&self, kind: EntryType) -> Result<Kind, ArchiveError> {
        Ok(match kind {
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Link => Kind::Hardlink,
            EntryType::Char => Kind::Char,
            EntryType::Block => Kind::Block,
            EntryType::Fifo => Kind::Fifo,
            EntryType::GNUSparse => {
                return Err(self.fault("it is sparse; pack it without --sparse"));
            }
            other => {
                let letter = printable(&[other.as_byte()]);
                return Err(self.fault(&format!("its type '{letter}' is unknown")));
            }
        })
    }

    fn fault(&self, fault: &str) -> ArchiveError {
        ArchiveError::Entry { entry: self.name.clone(), fault: fault.into() }
    }

    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let start = self.offset;
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let sum: u32 = bytes[..148].iter().chain(&bytes[156..]).map(|byte| u32::from(*byte)).sum();
        if header.cksum().ok() != Some(sum + 8 * 32) {
            return Err(ArchiveError::Checksum { offset: start });
        }
        self.raw.extend_from_slice(header.as_bytes());
        // Readers take a blank number (mode, owner, group, size, time) as 0.
        for field in [100..108, 108..116, 116..124, 124..136, 136..148] {
            let field = &mut header.as_mut_bytes()[field];
            if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
                field[0] = b'0';
            }
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut body = Vec::new();
        let count = (&mut self.inner).take(padded).read_to_end(&mut body)? as u64;
        self.offset += count;
        if count < padded {
            return Err(ArchiveError::Truncated("an extended header".into()));
        }
        self.raw.extend_from_slice(&body);
        body.truncate(usize::try_from(size).unwrap_or(body.len()));
        Ok(body)
    }

    /// Fills one block; false at the end of the stream.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, ArchiveError> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(ArchiveError::Truncated("a header".into())),
                Ok(count) => filled += count,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        self.offset += BLOCK as u64;
        Ok(true)
    }

    fn skip_body(&mut self) -> Result<(), ArchiveError> {
        let rest = self.left + self.padding;
        let skipped = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink())?;
        self.offset += skipped;
        // A last entry without its padding is forgiven by all readers; a cut content is not.
        if skipped < self.left {
            return Err(ArchiveError::Truncated(format!("'{}'", self.name)));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn drain(&mut self) -> Result<(), ArchiveError> {
        self.ended = true;
        if !self.whole {
            return Ok(());
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.inner.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.trailing |= buffer[..count].iter().any(|byte| *byte != 0),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}

fn device(header: &Header, kind: Kind) -> (u32, u32) {
    let number = |field: io::Result<Option<u32>>| field.ok().flatten().unwrap_or(0);
    match kind {
        Kind::Char | Kind::Block => (number(header.device_major()), number(header.device_minor())),
        _ => (0, 0),
    }
}

fn xattrs(records: &[Record]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let named = |(key, value): &Record| {
        key.strip_prefix("SCHILY.xattr.").map(|name| (name.to_owned(), value.clone()))
    };
    records.iter().filter_map(named).collect()
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if limit == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..limit])?;
        if count == 0 {
            let text =
                format!("the archive ends in the middle of '{}': it is truncated", self.name);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left -= count as u64;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
