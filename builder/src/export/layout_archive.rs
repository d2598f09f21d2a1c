//! Finding the files of a layout in a tar archive, without unpacking it. Only three kinds of names
//! count: `oci-layout`, `index.json`, `blobs/sha256/<64 hex digits>`; everything else is passed over, so
//! no path in the archive can lead anywhere.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Take},
    path::{Path, PathBuf},
};

use tar::{EntryType, Header};

use super::layout_error::LayoutError;
use crate::oci::digest::Digest;

/// Where each file of a layout begins in the archive, and its size.
#[derive(Debug)]
pub(super) struct LayoutArchive {
    path: PathBuf,
    files: HashMap<String, (u64, u64)>,
}

const BLOCK: u64 = 512;
/// Archives of more entries are refused.
const MAX_ENTRIES: usize = 200_000;
/// A longer name or extended header is refused, in bytes.
const MAX_EXTENSION: u64 = 64 * 1024;

/// What an extended header says about the entry after it.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl LayoutArchive {
    /// Reads the headers of the archive at `path`; `place` is its name in messages.
    pub(super) fn open(path: &Path, place: &str) -> Result<Self, LayoutError> {
        let file = File::open(path).map_err(LayoutError::io("open", path))?;
        let length = file.metadata().map_err(LayoutError::io("read", path))?.len();
        let fault = |reason: String| LayoutError::NotALayout { place: place.into(), reason };
        let mut walk = Walk { reader: BufReader::new(file), at: 0, length };
        let mut files = HashMap::new();
        for _ in 0..MAX_ENTRIES {
            match walk.next().map_err(fault)? {
                None => return Ok(Self { path: path.into(), files }),
                Some(Found { name, offset, size }) if is_ours(&name) => {
                    if files.insert(name.clone(), (offset, size)).is_some() {
                        return Err(fault(format!("it has two files {name}")));
                    }
                }
                Some(_) => {}
            }
        }
        Err(fault(format!("it has more than {MAX_ENTRIES} entries")))
    }

    /// The file `name` and its size.
    pub(super) fn file(&self, name: &str) -> io::Result<Option<(Take<File>, u64)>> {
        let Some((offset, size)) = self.files.get(name) else { return Ok(None) };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(*offset))?;
        Ok(Some((file.take(*size), *size)))
    }
}

fn is_ours(name: &str) -> bool {
    let is_blob = |hex: &str| format!("sha256:{hex}").parse::<Digest>().is_ok();
    name == "oci-layout"
        || name == "index.json"
        || name.strip_prefix("blobs/sha256/").is_some_and(is_blob)
}

/// A regular file: its name, and where its content is, in bytes.
struct Found {
    name: String,
    offset: u64,
    size: u64,
}

/// Goes from header to header. The tar crate would hold extended headers of any size in memory.
struct Walk {
    reader: BufReader<File>,
    at: u64,
    length: u64,
}

impl Walk {
    /// The next regular file.
    fn next(&mut self) -> Result<Option<Found>, String> {
        let mut extension = Extension::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let stated = header.entry_size().map_err(|_| self.broken("has no size"))?;
            match header.entry_type() {
                EntryType::XHeader => self.pax(stated, &mut extension)?,
                EntryType::GNULongName => {
                    let mut name = self.extension(stated)?;
                    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                    extension.path = Some(name);
                }
                kind => {
                    let size = extension.size.unwrap_or(stated);
                    let offset = self.at;
                    self.skip(size)?;
                    let name = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
                    let name = String::from_utf8_lossy(&name).into_owned();
                    let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
                    if kind.is_file() {
                        return Ok(Some(Found { name, offset, size }));
                    }
                    if is_ours(&name) {
                        return Err(format!("its {name} is not a regular file"));
                    }
                    extension = Extension::default();
                }
            }
        }
    }

    /// The next header block; `None` at the end: a block of zeros, or the end of the file.
    fn header(&mut self) -> Result<Option<Header>, String> {
        let mut header = Header::new_old();
        if self.at == self.length {
            return Ok(None);
        }
        if self.reader.read_exact(header.as_mut_bytes()).is_err() {
            return Err(self.broken("is cut off"));
        }
        if self.at == 0 && header.as_bytes().starts_with(&[0x1f, 0x8b]) {
            return Err("it is compressed; decompress it first".into());
        }
        self.at += BLOCK;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The checksum counts its own eight bytes as spaces.
        let bytes = header.as_bytes().iter().enumerate();
        let sum: u32 = bytes
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        match header.cksum() {
            Ok(stated) if stated == sum => Ok(Some(header)),
            _ if self.at == BLOCK => Err("it is not a tar archive".into()),
            _ => Err(self.broken("has a wrong checksum")),
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, String> {
        if size > MAX_EXTENSION {
            return Err(self.broken("has a name of more than 64 KiB"));
        }
        let mut bytes = Vec::new();
        let read = Read::by_ref(&mut self.reader).take(size).read_to_end(&mut bytes);
        if read.ok() != Some(bytes.len()) || bytes.len() as u64 != size {
            return Err(self.broken("is cut off"));
        }
        self.at += size;
        self.skip(size.next_multiple_of(BLOCK) - size)?;
        Ok(bytes)
    }

    /// pax records, `<length> <key>=<value>\n` (POSIX.1-2024, pax, "Extended Header").
    fn pax(&mut self, size: u64, extension: &mut Extension) -> Result<(), String> {
        let bytes = self.extension(size)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let record = pax_record(rest).ok_or_else(|| self.broken("has a broken pax header"))?;
            let (key, value, tail) = record;
            match key {
                b"path" => extension.path = Some(value.into()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    extension.size = Some(size.ok_or_else(|| self.broken("has no size"))?);
                }
                _ => {}
            }
            rest = tail;
        }
        Ok(())
    }

    /// Over the content and its padding.
    fn skip(&mut self, size: u64) -> Result<(), String> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.length);
        let Some(end) = end else { return Err(self.broken("is cut off")) };
        let next = end.next_multiple_of(BLOCK).min(self.length);
        let distance = i64::try_from(next - self.at).map_err(|_| self.broken("has no size"))?;
        self.reader.seek_relative(distance).map_err(|error| error.to_string())?;
        self.at = next;
        Ok(())
    }

    fn broken(&self, what: &str) -> String {
        format!("the archive's entry at byte {} {what}", self.at)
    }
}

fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}
