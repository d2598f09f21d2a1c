//! The tar of a context's `tar` line.

use std::{io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use tar::{EntryType, Header};

use super::context::{Line, MTIME};

/// A tar of `members`, compressed as the name says.
pub(super) fn of(path: &Path, members: &[Line]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        add(&mut builder, member);
    }
    let tar = builder.into_inner().expect("a tar in memory");
    let name = path.to_string_lossy();
    if !(name.ends_with(".gz") || name.ends_with(".tgz")) {
        return tar;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&tar).expect("gzip in memory");
    encoder.finish().expect("gzip in memory")
}

fn add(builder: &mut tar::Builder<Vec<u8>>, line: &Line) {
    let (kind, mode) = match line.kind.as_str() {
        "dir" => (EntryType::Directory, 0o755),
        "link" => (EntryType::Symlink, 0o777),
        "hard" => (EntryType::Link, 0o644),
        "fifo" => (EntryType::Fifo, 0o644),
        "char" => (EntryType::Char, 0o644),
        "block" => (EntryType::Block, 0o644),
        _ => (EntryType::Regular, 0o644),
    };
    let data = if kind == EntryType::Regular { line.contents() } else { Vec::new() };
    let xattrs: Vec<_> =
        line.xattrs().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value)).collect();
    let records = xattrs.iter().map(|(name, value)| (name.as_str(), *value));
    builder.append_pax_extensions(records).expect("a tar in memory");
    let mut header = Header::new_ustar();
    let field = |bytes: &mut [u8], value: &[u8]| bytes[..value.len()].copy_from_slice(value);
    field(&mut header.as_old_mut().name, &line.path);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        field(&mut header.as_old_mut().linkname, &line.rest[0]);
    }
    if matches!(kind, EntryType::Char | EntryType::Block) {
        let number = |at: usize| String::from_utf8_lossy(&line.rest[at]).parse().expect("a number");
        header.set_device_major(number(0)).expect("ustar");
        header.set_device_minor(number(1)).expect("ustar");
    }
    header.set_entry_type(kind);
    header.set_mode(u32::try_from(line.number("mode", mode)).expect("a mode"));
    header.set_uid(line.number("uid", 0));
    header.set_gid(line.number("gid", 0));
    header.set_mtime(line.number("mtime", MTIME));
    header.set_size(data.len() as u64);
    header.set_cksum();
    builder.append(&header, data.as_slice()).expect("a tar in memory");
}
