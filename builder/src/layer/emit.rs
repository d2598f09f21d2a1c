//! Writes a tar archive whose bytes follow from its members alone: ustar headers, PAX records only
//! where ustar cannot say it, no user or group names.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::{
    member::{Kind, Member},
    pax,
};

/// Writes members one after the other.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    inner: W,
    /// What waits to be written: a small file goes with its headers in one piece.
    buffer: Vec<u8>,
}

/// Bytes that are written at once.
const BUFFER: usize = 256 * 1024;

impl<W: Write> ArchiveWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, buffer: Vec::new() }
    }

    /// Writes one member with its content, which must be `member.size` bytes long.
    ///
    /// # Errors
    /// The stream fails; the content is shorter than announced; or the member is of a kind that no
    /// archive holds ([`Kind::Whiteout`], [`Kind::Opaque`]: write a file of that name).
    pub fn append(&mut self, member: &Member, content: impl Read) -> io::Result<()> {
        self.put(&headers(member)?)?;
        self.body(content, member.size)
    }

    /// Copies header blocks as they stood in another archive, with their content.
    ///
    /// # Errors
    /// The stream fails, or the content is shorter than `size`.
    pub fn append_raw(&mut self, headers: &[u8], content: impl Read, size: u64) -> io::Result<()> {
        self.put(headers)?;
        self.body(content, size)
    }

    /// Writes the two blocks of zeros that end an archive and gives the stream back.
    ///
    /// # Errors
    /// The stream fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&[0; 1024])?;
        self.inner.write_all(&self.buffer)?;
        Ok(self.inner)
    }

    fn body(&mut self, mut content: impl Read, size: u64) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            self.make_room()?;
            let begin = self.buffer.len();
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER - begin);
            self.buffer.resize(begin + piece, 0);
            let count = match content.read(&mut self.buffer[begin..]) {
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {
                    self.buffer.truncate(begin);
                    continue;
                }
                read => read?,
            };
            self.buffer.truncate(begin + count);
            left -= count as u64;
            if count == 0 {
                let text =
                    format!("the file shrank while it was read: {} of {size} bytes", size - left);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        }
        let padding = usize::try_from(size.wrapping_neg() % 512).unwrap_or(0);
        self.put(&[0; 512][..padding])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.make_room()
    }

    /// Writes what waits when little more would fit beside it.
    fn make_room(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER / 2 {
            self.inner.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// The largest number that fits seven octal digits.
const MAX_SMALL: u64 = 0o777_7777;
/// The largest number that fits eleven octal digits.
const MAX_LARGE: u64 = 0o777_7777_7777;

/// The blocks that stand before a member's content.
pub(crate) fn headers(member: &Member) -> io::Result<Vec<u8>> {
    let mut path = member.path.clone();
    if member.kind == Kind::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    let mut records = Vec::new();
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type(member.kind)?);
    header.set_mode(member.mode & 0o7777);
    if let Some((prefix, name)) = split(&path) {
        put(&mut header, 345, prefix);
        put(&mut header, 0, name);
    } else {
        pax::append(&mut records, "path", &path);
        put(&mut header, 0, &path[..path.len().min(100)]);
    }
    if member.link.len() > 100 || !member.link.is_ascii() {
        pax::append(&mut records, "linkpath", &member.link);
    }
    put(&mut header, 157, &member.link[..member.link.len().min(100)]);
    let mut number = |key: &str, value: u64, limit: u64| {
        if value > limit {
            pax::append(&mut records, key, value.to_string().as_bytes());
        }
        if value > limit { 0 } else { value }
    };
    header.set_uid(number("uid", member.uid, MAX_SMALL));
    header.set_gid(number("gid", member.gid, MAX_SMALL));
    header.set_size(number("size", member.size, MAX_LARGE));
    let seconds = u64::try_from(member.mtime.seconds).ok().filter(|value| *value <= MAX_LARGE);
    header.set_mtime(seconds.unwrap_or(0));
    if seconds.is_none() || member.mtime.nanos != 0 {
        pax::append(&mut records, "mtime", mtime(member).as_bytes());
    }
    if matches!(member.kind, Kind::Char | Kind::Block) {
        header.set_device_major(member.device.0)?;
        header.set_device_minor(member.device.1)?;
    }
    for (name, value) in &member.xattrs {
        pax::append(&mut records, &format!("SCHILY.xattr.{name}"), value);
    }
    header.set_cksum();
    let mut blocks = extended(&records);
    blocks.extend_from_slice(header.as_bytes());
    Ok(blocks)
}

fn entry_type(kind: Kind) -> io::Result<EntryType> {
    Ok(match kind {
        Kind::File => EntryType::Regular,
        Kind::Directory => EntryType::Directory,
        Kind::Symlink => EntryType::Symlink,
        Kind::Hardlink => EntryType::Link,
        Kind::Char => EntryType::Char,
        Kind::Block => EntryType::Block,
        Kind::Fifo => EntryType::Fifo,
        Kind::Whiteout | Kind::Opaque => {
            let text = "a whiteout is written as a file named .wh.*";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    })
}

/// Copies a text into a header field; the caller has checked that it fits.
fn put(header: &mut Header, at: usize, text: &[u8]) {
    header.as_mut_bytes()[at..at + text.len()].copy_from_slice(text);
}

/// The ustar fields `prefix` (155 bytes) and `name` (100 bytes) of a path, where it fits them.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // Not the last byte: a directory's own slash belongs to the name.
    let slashes = (0..path.len() - 1).rev().filter(|at| path[*at] == b'/');
    let fitting = |at: &usize| *at > 0 && *at <= 155 && path.len() - at - 1 <= 100;
    slashes.into_iter().find(fitting).map(|at| (&path[..at], &path[at + 1..]))
}

/// Seconds with a decimal fraction, counted away from zero as PAX wants it.
fn mtime(member: &Member) -> String {
    let total = i128::from(member.mtime.seconds) * 1_000_000_000 + i128::from(member.mtime.nanos);
    let sign = if total < 0 { "-" } else { "" };
    let (seconds, nanos) = (total.abs() / 1_000_000_000, total.abs() % 1_000_000_000);
    let fraction = format!("{nanos:09}");
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{seconds}"),
        digits => format!("{sign}{seconds}.{digits}"),
    }
}

/// The blocks of a PAX header with these records; none for none.
fn extended(records: &[u8]) -> Vec<u8> {
    if records.is_empty() {
        return Vec::new();
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    put(&mut header, 0, b"PaxHeaders/entry");
    header.set_mode(0o644);
    for set in [Header::set_uid, Header::set_gid, Header::set_mtime] {
        set(&mut header, 0);
    }
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut blocks = header.as_bytes().to_vec();
    blocks.extend_from_slice(records);
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}
