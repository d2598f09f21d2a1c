//! ADD of a local archive: told by its contents, not its name, and unpacked where it goes.

use std::{fs::File, io::Seek, path::Path};

use super::{
    context::SourceRoot, decompressed::decompressed, error::SourceError, path::text, steady,
    walk::Entry,
};
use crate::layer::{UnpackOptions, Unpacked, archive::Archive, unpack};

/// Unpacks the file at `path` into the directory `into` if it is an archive; `None` when it is not.
pub(super) fn unpack_into(
    source: &SourceRoot<'_>,
    path: &Path,
    into: &Path,
    options: UnpackOptions,
) -> Result<Option<Unpacked>, SourceError> {
    let mut done = None;
    let fault = |reason: String| SourceError::Archive { path: text(path).into_owned(), reason };
    let (item, seen) = (source.item(path)?, source.meta(path)?);
    steady::read(source, (path, &seen), &mut |file: &mut File| {
        let size = file.metadata().map_err(SourceError::io("read", path))?.len();
        let tar = decompressed(file).map_err(|cause| fault(cause.to_string()))?;
        done = Some(unpack(tar, into, options).map_err(|cause| fault(cause.to_string()))?);
        Ok(size)
    })?;
    let entry = Entry { path, rel: Path::new(""), meta: &seen, selected: true, item };
    if let Some(promised) = steady::promised(source, &entry)
        && steady::digest(source, (path, &seen))?.0 != promised
    {
        return Err(steady::changed(path));
    }
    Ok(done)
}

/// Unpacks the archive at `path`, which nobody else writes to, into the directory `into`; `name` is what
/// messages call it.
///
/// # Errors
/// [`SourceError::Archive`] when it cannot be unpacked, also when it would leave the directory.
pub fn unpack_file(
    path: &Path,
    name: &str,
    into: &Path,
    shift: u32,
) -> Result<Unpacked, SourceError> {
    let fault = |reason: String| SourceError::Archive { path: name.into(), reason };
    let file = File::open(path).map_err(SourceError::io("open", path))?;
    let tar = decompressed(file).map_err(|cause| fault(cause.to_string()))?;
    let options = UnpackOptions { shift, added: true, ..UnpackOptions::default() };
    unpack(tar, into, options).map_err(|cause| fault(cause.to_string()))
}

/// Does the file begin like an archive, compressed or not? Reads from where it stands, and goes back to
/// its beginning.
///
/// # Errors
/// When it cannot be read.
pub fn begins_archive(file: &mut File) -> std::io::Result<bool> {
    // Whatever cannot be read as an archive is an ordinary file, also a damaged archive.
    let first = decompressed(&mut *file).ok().map(|tar| Archive::new(tar).next());
    let found = matches!(first, Some(Ok(Some(_))));
    file.rewind()?;
    Ok(found)
}

/// Is the file at `path` an archive that ADD unpacks?
pub(super) fn is_archive(source: &SourceRoot<'_>, path: &Path) -> Result<bool, SourceError> {
    let io = || SourceError::io("read", source.rooted.path().join(path));
    let mut file = source.rooted.open_file(path).map_err(io())?;
    begins_archive(&mut file).map_err(io())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, path::PathBuf};

    use super::{
        super::{
            copy::{CopySpec, copy},
            selection::Selection,
        },
        *,
    };

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        for (name, contents) in [("d/one", "1"), ("two", "22")] {
            header.set_size(contents.len() as u64);
            header.set_mode(0o640);
            header.set_uid(7);
            header.set_gid(8);
            header.set_mtime(1_000);
            header.set_cksum();
            builder.append_data(&mut header.clone(), name, contents.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    struct Case(tempfile::TempDir);

    impl Case {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("context")).unwrap();
            fs::create_dir(dir.path().join("root")).unwrap();
            fs::write(dir.path().join("context").join(name), bytes).unwrap();
            Self(dir)
        }

        fn add(&self, name: &str, owner: Option<(u32, u32)>) -> Result<u64, SourceError> {
            let root = SourceRoot::context(&self.0.path().join("context"), None).unwrap();
            let sources = vec![name.to_owned()];
            let spec = CopySpec {
                selection: Selection { sources, ..Selection::default() },
                dest: "/x/".into(),
                unpack: true,
                owner,
                ..CopySpec::default()
            };
            copy(&root, &spec, &self.at("")).map(|copied| copied.bytes)
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join("root").join(path)
        }
    }

    #[test]
    fn every_compression_is_unpacked_whatever_its_name() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar()).unwrap();
        let zstd = zstd::encode_all(&tar()[..], 1).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&tar()).unwrap();
        let xz = include_bytes!("archive/two-files.tar.xz").to_vec();
        for bytes in [tar(), gzip.finish().unwrap(), zstd, bzip2.finish().unwrap(), xz] {
            let case = Case::new("data.bin", &bytes);
            assert_eq!(case.add("data.bin", None).unwrap(), 3);
            assert_eq!(fs::read_to_string(case.at("x/two")).unwrap(), "22");
            assert_eq!(fs::read_to_string(case.at("x/d/one")).unwrap(), "1");
        }
    }

    #[test]
    fn owners_are_the_archives_or_those_asked_for() {
        use std::os::unix::fs::MetadataExt;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs to be root, in a user namespace or not");
            return;
        }
        let case = Case::new("a.tar", &tar());
        case.add("a.tar", None).unwrap();
        let two = fs::metadata(case.at("x/two")).unwrap();
        assert_eq!((two.uid(), two.gid(), two.mode() & 0o777, two.mtime()), (7, 8, 0o640, 1_000));
        case.add("a.tar", Some((3, 4))).unwrap();
        assert_eq!(fs::metadata(case.at("x/two")).unwrap().uid(), 3);
    }

    #[test]
    fn other_files_are_copied() {
        for bytes in [&b""[..], b"text", b"\x1f\x8b\x08broken", &[0; 1024]] {
            let case = Case::new("f.tar.gz", bytes);
            case.add("f.tar.gz", None).unwrap();
            assert_eq!(fs::read(case.at("x/f.tar.gz")).unwrap(), bytes);
        }
        let case = Case::new("f.xz", b"\xfd7zXZ\0...");
        case.add("f.xz", None).unwrap();
        assert!(case.at("x/f.xz").exists());
    }

    #[test]
    fn what_cannot_be_unpacked_says_so() {
        let case = Case::new("f.tar", &tar()[..1200]);
        let error = case.add("f.tar", None).unwrap_err().to_string();
        assert!(error.starts_with("the archive 'f.tar' cannot be unpacked: "), "{error}");
    }
}
