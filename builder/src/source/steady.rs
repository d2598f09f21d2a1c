//! Reading a file of a tree that someone may be writing to: what was read is one state of the file,
//! or an error.

use std::{fs::File, io, path::Path};

use rustix::fs::fstat;

use super::{
    context::SourceRoot,
    error::SourceError,
    path::text,
    rooted::{Kind, Meta},
};

/// Hands the file at `path` to `take`, which returns the number of bytes it took, and compares size,
/// times and inode before and after. Tries a second time before it reports the change.
pub(super) fn read(
    root: &SourceRoot<'_>,
    path: &Path,
    take: &mut dyn FnMut(&mut File) -> Result<u64, SourceError>,
) -> Result<Meta, SourceError> {
    let io = || SourceError::io("read", root.rooted.path().join(path));
    for _ in 0..2 {
        let mut file = root.rooted.open_file(path).map_err(io())?;
        let facts = |file: &File| -> Result<Meta, SourceError> {
            fstat(file).map(|stat| Meta::of(&stat)).map_err(io::Error::from).map_err(io())
        };
        let before = facts(&file)?;
        if before.kind != Kind::File {
            continue;
        }
        let count = take(&mut file)?;
        if count == before.size && facts(&file)?.same_content(&before) {
            return Ok(before);
        }
    }
    Err(SourceError::Changed { path: text(path).into_owned() })
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
        assert_eq!(read(&root, Path::new("f"), &mut take).unwrap().size, 6);
        assert_eq!(attempts, 2);
        let mut always = |open: &mut File| {
            let count = read_all(open);
            std::fs::write(&file, format!("x{}", count.as_ref().unwrap())).unwrap();
            std::fs::OpenOptions::new().append(true).open(&file).unwrap().set_len(99).unwrap();
            count
        };
        let error = read(&root, Path::new("f"), &mut always);
        // The second attempt starts at 99 bytes and ends at 99 with other times.
        assert_eq!(error.unwrap_err().to_string(), "'f' changed while it was being read");
    }
}
