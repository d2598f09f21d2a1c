//! ADD of a local archive: told by its contents, not its name, and unpacked where it goes.

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use super::{context::SourceRoot, error::SourceError, path::text, steady};
use crate::layer::{LayerReader, UnpackOptions, Unpacked, archive::Archive, unpack};

/// What the first bytes of a file say about it.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// A tar archive, plain or compressed with gzip or zstd.
    Archive,
    /// Compressed with something that is not supported.
    Unsupported(&'static str),
    Other,
}

/// Unpacks the file at `path` into the directory `into` if it is an archive; `None` when it is not.
pub(super) fn unpack_into(
    source: &SourceRoot<'_>,
    path: &Path,
    into: &Path,
    options: UnpackOptions,
) -> Result<Option<Unpacked>, SourceError> {
    let mut done = None;
    let fault = |reason: String| SourceError::Archive { path: text(path).into_owned(), reason };
    steady::read(source, path, &mut |file: &mut File| {
        let size = file.metadata().map_err(SourceError::io("read", path))?.len();
        let tar = LayerReader::new(file, None).map_err(|cause| fault(cause.to_string()))?;
        done = Some(unpack(tar, into, options).map_err(|cause| fault(cause.to_string()))?);
        Ok(size)
    })?;
    Ok(done)
}

/// Is the file at `path` an archive that ADD unpacks?
///
/// xz and bzip2 hide whether there is a tar inside; there the name decides, so that a lone
/// compressed file is copied as it is.
pub(super) fn is_archive(source: &SourceRoot<'_>, path: &Path) -> Result<bool, SourceError> {
    let io = || SourceError::io("read", source.rooted.path().join(path));
    let mut file = source.rooted.open_file(path).map_err(io())?;
    match look(&mut file).map_err(io())? {
        Content::Archive => Ok(true),
        Content::Other => Ok(false),
        Content::Unsupported(format) => {
            let path = text(path).into_owned();
            let name = path.to_lowercase();
            let ends = [".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz", ".tar.lzma"];
            if ends.iter().any(|end| name.ends_with(end)) {
                return Err(SourceError::Compression { path, format });
            }
            Ok(false)
        }
    }
}

fn look(file: &mut File) -> std::io::Result<Content> {
    let mut magic = Vec::new();
    file.by_ref().take(6).read_to_end(&mut magic)?;
    file.rewind()?;
    let unsupported: [(&[u8], &str); 3] =
        [(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x5d\0\0", "lzma")];
    if let Some((_, format)) = unsupported.iter().find(|(start, _)| magic.starts_with(start)) {
        return Ok(Content::Unsupported(format));
    }
    // Whatever cannot be read as an archive is an ordinary file, also a damaged archive.
    let first = LayerReader::new(file, None).ok().map(|tar| Archive::new(tar).next());
    Ok(match first {
        Some(Ok(Some(_))) => Content::Archive,
        _ => Content::Other,
    })
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
    fn plain_gzip_and_zstd_are_unpacked_whatever_their_name() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar()).unwrap();
        let zstd = zstd::encode_all(&tar()[..], 1).unwrap();
        for bytes in [tar(), gzip.finish().unwrap(), zstd] {
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
        let case = Case::new("f.tar.xz", b"\xfd7zXZ\0...");
        let error = case.add("f.tar.xz", None).unwrap_err();
        assert_eq!(error.to_string(), "'f.tar.xz' is compressed with xz, which cannot be unpacked");
        assert_eq!(error.help(), Some("recompress it with gzip or zstd, or use COPY"));
        let case = Case::new("f.tar", &tar()[..1200]);
        let error = case.add("f.tar", None).unwrap_err().to_string();
        assert!(error.starts_with("the archive 'f.tar' cannot be unpacked: "), "{error}");
    }
}
