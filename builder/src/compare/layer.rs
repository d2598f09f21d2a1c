//! The first difference between two archives.

use std::io::{self, Read};

use super::difference::EntryDifference;
use crate::layer::{archive::Archive, member::Member};

/// Bytes that are compared at a time.
const PIECE: usize = 64 << 10;

/// The path and what differs; none where every entry is the same, in the same order.
pub(super) fn first(
    old: impl Read,
    new: impl Read,
) -> io::Result<Option<(String, EntryDifference)>> {
    let (mut old, mut new) = (Archive::new(old), Archive::new(new));
    loop {
        let pair = (old.next().map_err(io::Error::other)?, new.next().map_err(io::Error::other)?);
        let (a, b) = match pair {
            (None, None) => return Ok(None),
            (Some(a), None) => return Ok(Some((a.display(), EntryDifference::OnlyOld))),
            (None, Some(b)) => return Ok(Some((b.display(), EntryDifference::OnlyNew))),
            (Some(a), Some(b)) => (a, b),
        };
        if a.path != b.path {
            // Entries are sorted, so the one that comes first is the one that the other lacks.
            let only_old = a.path < b.path;
            return Ok(Some(match only_old {
                true => (a.display(), EntryDifference::OnlyOld),
                false => (b.display(), EntryDifference::OnlyNew),
            }));
        }
        if let Some((offset, old, new)) = contents(&mut old, &mut new)? {
            return Ok(Some((a.display(), EntryDifference::Byte { offset, old, new })));
        }
        if let Some(what) = header(&a, &b) {
            return Ok(Some((a.display(), what)));
        }
    }
}

fn header(a: &Member, b: &Member) -> Option<EntryDifference> {
    let time = |member: &Member| format!("{}.{:09}", member.mtime.seconds, member.mtime.nanos);
    let link = |member: &Member| String::from_utf8_lossy(&member.link).escape_debug().to_string();
    let device = |member: &Member| format!("{}:{}", member.device.0, member.device.1);
    let mut fields = vec![
        ("kind", format!("{:?}", a.kind).to_lowercase(), format!("{:?}", b.kind).to_lowercase()),
        ("size", a.size.to_string(), b.size.to_string()),
        ("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode)),
        ("uid", a.uid.to_string(), b.uid.to_string()),
        ("gid", a.gid.to_string(), b.gid.to_string()),
        ("mtime", time(a), time(b)),
        ("link", link(a), link(b)),
        ("device", device(a), device(b)),
    ];
    let names = a.xattrs.keys().chain(b.xattrs.keys());
    let value = |member: &Member, name: &String| {
        member.xattrs.get(name).map_or("nothing".into(), hex::encode)
    };
    fields.extend(names.map(|name| ("xattr", value(a, name), value(b, name))));
    fields
        .into_iter()
        .find(|(_, old, new)| old != new)
        .map(|(field, old, new)| EntryDifference::Header { field: field.to_owned(), old, new })
}

/// The first byte that differs, as far as both have one.
fn contents(old: &mut impl Read, new: &mut impl Read) -> io::Result<Option<(u64, u8, u8)>> {
    let (mut a, mut b) = (vec![0; PIECE], vec![0; PIECE]);
    let mut offset = 0;
    loop {
        let (read_a, read_b) = (fill(old, &mut a)?, fill(new, &mut b)?);
        let both = read_a.min(read_b);
        if let Some(at) = (0..both).find(|at| a[*at] != b[*at]) {
            return Ok(Some((offset + at as u64, a[at], b[at])));
        }
        if both < PIECE {
            return Ok(None);
        }
        offset += both as u64;
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
