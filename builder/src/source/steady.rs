//! Reading a file of a tree that someone may be writing to: what was read is one state of the file,
//! or an error. Where the tree is a look at a context, it is the state of that look.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use rustix::{fs::fstat, io::Errno};

use super::{
    context::SourceRoot,
    error::SourceError,
    path::text,
    rooted::{Kind, Meta, missing},
    walk::Entry,
};
use crate::oci::digest::{Digest, Hashing};

/// Bytes that are read at once, of a file that has as many: fewer calls than the standard library makes.
const PIECE: u64 = 64 << 10;

/// The facts about an open file.
pub(super) fn facts(file: &File) -> io::Result<Meta> {
    Ok(Meta::of(&fstat(file)?))
}

/// Opens the file of an entry. In a look at a context it must be what was seen then.
///
/// # Errors
/// [`SourceError::Changed`] when it is not; those of the system.
pub(super) fn open(
    root: &SourceRoot<'_>,
    (path, seen): (&Path, &Meta),
) -> Result<(File, Meta), SourceError> {
    let io = || SourceError::io("read", root.rooted.path().join(path));
    let file = match root.rooted.open_file(path) {
        Err(cause) if root.survey.is_some() && is_another(&cause) => return Err(changed(path)),
        file => file.map_err(io())?,
    };
    let now = facts(&file).map_err(io())?;
    if root.survey.is_some() && !(now.kind == Kind::File && now.same_content(seen)) {
        return Err(changed(path));
    }
    Ok((file, now))
}

/// Does it say that no file is there, or something else?
fn is_another(cause: &io::Error) -> bool {
    let link = cause.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    link || missing(cause)
}

/// Is an entry of a look at a context still what it was?
///
/// # Errors
/// [`SourceError::Changed`] when it is not; those of the system.
pub(super) fn is_as_seen(root: &SourceRoot<'_>, entry: &Entry<'_>) -> Result<(), SourceError> {
    let io = || SourceError::io("read", root.rooted.path().join(entry.path));
    match root.rooted.lstat(entry.path).map_err(io())? {
        Some(now) if now == *entry.meta => Ok(()),
        _ => Err(changed(entry.path)),
    }
}

/// The error for what is not as it was.
pub(super) fn changed(path: &Path) -> SourceError {
    SourceError::Changed { path: text(path).into_owned() }
}

/// Hands the file of an entry to `take`, which returns the number of bytes it took, and compares size,
/// times and inode before and after. Tries a second time before it reports the change; but where the tree is a
/// look at a context, whoever asks has to look again.
pub(super) fn read(
    root: &SourceRoot<'_>,
    (path, seen): (&Path, &Meta),
    take: &mut dyn FnMut(&mut File) -> Result<u64, SourceError>,
) -> Result<Meta, SourceError> {
    let io = || SourceError::io("read", root.rooted.path().join(path));
    for _ in 0..if root.survey.is_some() { 1 } else { 2 } {
        let (mut file, before) = open(root, (path, seen))?;
        if before.kind != Kind::File {
            continue;
        }
        let count = take(&mut file)?;
        if count == before.size && facts(&file).map_err(io())?.same_content(&before) {
            return Ok(before);
        }
    }
    Err(changed(path))
}

/// The digest of a file's contents.
pub(super) fn digest(
    root: &SourceRoot<'_>,
    (path, seen): (&Path, &Meta),
) -> Result<(Digest, Meta), SourceError> {
    let mut found = Digest::of(b"");
    let meta = read(root, (path, seen), &mut |file: &mut File| {
        let mut hashing = Hashing::new(io::sink());
        let count = pour(file, &mut hashing, seen.size).map_err(SourceError::io("read", path))?;
        found = hashing.finish().1;
        Ok(count)
    })?;
    Ok((found, meta))
}

/// Copies everything, which is about `size` bytes; returns the number of bytes.
pub(super) fn pour(from: &mut impl Read, to: &mut impl Write, size: u64) -> io::Result<u64> {
    // With one byte more, the end is found without another call's worth of buffer.
    let mut buffer = vec![0; usize::try_from((size + 1).clamp(512, PIECE)).unwrap_or(512)];
    let mut count = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(count),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                count += read as u64;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// What the contents of an entry must be where its times prove nothing: it had changed just before the look.
pub(super) fn promised(root: &SourceRoot<'_>, entry: &Entry<'_>) -> Option<Digest> {
    let survey = root.survey.as_ref()?;
    if survey.has_settled(entry.meta) { None } else { entry.item.and_then(|item| item.digest()) }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn read_all(file: &mut File) -> Result<u64, SourceError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(SourceError::io("read", "f"))?;
        Ok(bytes.len() as u64)
    }

    #[test]
    fn one_change_is_retried_and_two_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "1").unwrap();
        let root = SourceRoot::context(dir.path(), None).unwrap();
        let mut changes = 1;
        let mut attempts = 0;
        let mut take = |open: &mut File| {
            attempts += 1;
            let count = read_all(open);
            if changes > 0 {
                changes -= 1;
                std::fs::write(&file, "longer").unwrap();
            }
            count
        };
        let meta = root.meta(Path::new("f")).unwrap();
        assert_eq!(read(&root, (Path::new("f"), &meta), &mut take).unwrap().size, 6);
        assert_eq!(attempts, 2);
        let mut always = |open: &mut File| {
            let count = read_all(open);
            std::fs::write(&file, format!("x{}", count.as_ref().unwrap())).unwrap();
            std::fs::OpenOptions::new().append(true).open(&file).unwrap().set_len(99).unwrap();
            count
        };
        let error = read(&root, (Path::new("f"), &meta), &mut always);
        // The second attempt starts at 99 bytes and ends at 99 with other times.
        assert_eq!(error.unwrap_err().to_string(), "'f' changed while it was being read");
    }
}
