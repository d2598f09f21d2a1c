//! Everything that a build writes, beside the places where it shall be, until all of it is there.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    ExportError, directory::StagedFiles, layout_error::LayoutError, layout_writer::StagedLayout,
    stream::Stream,
};

/// One result beside its place. Dropped, it leaves no trace.
#[derive(Debug)]
pub(super) enum Staged {
    /// A file.
    File(tempfile::NamedTempFile, PathBuf),
    /// A layout as a directory.
    Layout(StagedLayout),
    /// Files for a directory.
    Files(StagedFiles),
}

impl Staged {
    /// Writes `stream` to a new file beside `dest`.
    pub(super) fn file(stream: &Stream, dest: &Path) -> Result<Self, ExportError> {
        // Through links, as every program that opens a file for writing does it.
        let dest = fs::canonicalize(dest).unwrap_or_else(|_| dest.into());
        if dest.is_dir() {
            return Err(LayoutError::Directory { path: dest }.into());
        }
        let parent = match dest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(LayoutError::io("create", parent))?;
        let fresh = tempfile::Builder::new().prefix(".touchmark-").tempfile_in(parent);
        let mut fresh = fresh.map_err(LayoutError::io("create a file in", parent))?;
        stream.write(&mut fresh)?;
        let open = Permissions::from_mode(0o644);
        fs::set_permissions(fresh.path(), open).map_err(LayoutError::io("write", &dest))?;
        Ok(Self::File(fresh, dest))
    }

    /// Puts it in its place.
    pub(super) fn publish(self) -> Result<(), ExportError> {
        match self {
            Self::File(fresh, dest) => {
                let fault =
                    |error: tempfile::PersistError| LayoutError::io("write", &dest)(error.error);
                fresh.persist(&dest).map(drop).map_err(fault)?;
            }
            Self::Layout(layout) => layout.publish()?,
            Self::Files(files) => files.publish()?,
        }
        Ok(())
    }
}

/// Is this something that a file cannot take the place of: a pipe, a terminal, `/dev/null`?
pub(super) fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Writes `stream` to a pipe or a device.
pub(super) fn write_to(stream: &Stream, path: &Path) -> Result<(), ExportError> {
    let file = fs::OpenOptions::new().write(true).open(path);
    let mut file = file.map_err(LayoutError::io("open", path))?;
    stream.write(&mut file)
}
