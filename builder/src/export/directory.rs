//! Files into a directory of the user's. They are written beside it first; then they take their places,
//! directory by directory, each by one renaming. What is in the directory already and has another name
//! stays. Nothing is followed: a link that stands in the way is replaced, so nothing outside of the
//! directory changes.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use super::file_tree::{FileTree, FileTreeError, Reader, write_tar};
use crate::layer::{UnpackOptions, unpack};

/// Files beside the place where they shall be.
#[derive(Debug)]
pub(super) struct StagedFiles {
    fresh: tempfile::TempDir,
    dest: PathBuf,
    merge: bool,
}

/// Writes the trees to a new directory from which they can be renamed into `dest`. Everything belongs
/// to the user: the builder runs as root of a namespace in which that is the user's own id.
pub(super) fn stage(
    trees: &[FileTree],
    split: bool,
    dest: &Path,
) -> Result<StagedFiles, FileTreeError> {
    let (dest, merge) = match fs::canonicalize(dest) {
        Ok(found) => (found, true),
        Err(_) => (dest.to_owned(), false),
    };
    let parent = match dest.parent() {
        // Inside, because `dest` can be a mount point, and nothing is renamed across one.
        _ if merge => &dest,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(at(parent))?;
    let fresh = tempfile::Builder::new().prefix(".touchmark-local-").tempdir_in(parent);
    let fresh = fresh.map_err(at(parent))?;
    let (reader, writer) = io::pipe()?;
    let unpacked = thread::scope(|scope| {
        let packer = scope.spawn(|| write_tar(trees, split, Reader::User, writer));
        let options = UnpackOptions { owner: Some((0, 0)), ..UnpackOptions::default() };
        let unpacked = unpack(io::BufReader::new(reader), fresh.path(), options);
        let unpacked =
            unpacked.map_err(|cause| FileTreeError::Unpack { dest: dest.clone(), cause });
        // What could not be read explains why unpacking stopped; a full disk explains why packing did.
        match (packer.join().map_err(|_| FileTreeError::Reader)?, unpacked) {
            (Err(FileTreeError::Write(_)), Err(fault)) => Err(fault),
            (packed, unpacked) => packed.and(unpacked),
        }
    });
    unpacked?;
    Ok(StagedFiles { fresh, dest, merge })
}

impl StagedFiles {
    /// Renames everything into its place.
    ///
    /// # Errors
    /// The system refuses a renaming. What was renamed until then stays.
    pub(super) fn publish(self) -> Result<(), FileTreeError> {
        let Self { fresh, dest, merge: into } = self;
        if into {
            return Ok(merge(fresh.path(), &dest)?);
        }
        fs::set_permissions(fresh.path(), fs::Permissions::from_mode(0o755)).map_err(at(&dest))?;
        fs::rename(fresh.path(), &dest).map_err(at(&dest))?;
        // What the temporary name stood for is `dest` now: nothing is left to remove.
        let _: PathBuf = fresh.keep();
        Ok(())
    }
}

/// Moves what is in `from` into the directory `to`.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, place) = (entry.path(), to.join(entry.file_name()));
        let is_directory = entry.file_type()?.is_dir();
        match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&place)(error)),
            Ok(there) if there.is_dir() && is_directory => {
                let metadata = entry.metadata()?;
                merge(&source, &place)?;
                take_over(&metadata, &place).map_err(at(&place))?;
                continue;
            }
            Ok(there) if there.is_dir() => fs::remove_dir_all(&place).map_err(at(&place))?,
            Ok(_) if is_directory => fs::remove_file(&place).map_err(at(&place))?,
            Ok(_) => {}
        }
        fs::rename(&source, &place).map_err(at(&place))?;
    }
    Ok(())
}

/// Gives a directory that stays the mode and the time of the one that it stands for.
fn take_over(metadata: &fs::Metadata, place: &Path) -> io::Result<()> {
    fs::set_permissions(place, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    let seconds = Duration::from_secs(u64::try_from(metadata.mtime()).unwrap_or(0));
    fs::File::open(place)?.set_modified(UNIX_EPOCH + seconds)
}

fn at(place: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let place = place.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{place}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_was_there_stays_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, outside) =
            (dir.path().join("from"), dir.path().join("to"), dir.path().join("outside"));
        for path in ["from/a/b", "from/way", "to/a", "to/file/inside", "outside"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::write(from.join("a/b/new"), "new").unwrap();
        fs::write(from.join("a/same"), "new").unwrap();
        fs::write(from.join("way/in"), "new").unwrap();
        fs::write(from.join("file"), "new").unwrap();
        fs::set_permissions(from.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(to.join("a/same"), "old").unwrap();
        fs::write(to.join("a/kept"), "old").unwrap();
        symlink(&outside, to.join("way")).unwrap();

        merge(&from, &to).unwrap();
        let text = |path: &str| fs::read_to_string(to.join(path)).unwrap();
        assert_eq!((text("a/same"), text("a/kept")), ("new".into(), "old".into()));
        assert_eq!((text("a/b/new"), text("file")), ("new".into(), "new".into()));
        assert_eq!(fs::metadata(to.join("a")).unwrap().mode() & 0o777, 0o700);
        assert!(!fs::symlink_metadata(to.join("way")).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "a link was followed");
    }
}
