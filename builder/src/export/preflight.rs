//! What can be known to fail before anything is built: a daemon that is not there, a place that cannot
//! be written.

use std::{fs, path::Path};

use rustix::fs::{Access, access};

use super::{
    ExportError, containerd, docker,
    layout_error::LayoutError,
    outputs::{FilesTarget, ImageTarget, Outputs, Sink},
};

/// Looks at every place of `outputs`.
///
/// # Errors
/// The first that will not do. One that passes can still fail later: a disk can run full.
pub(super) async fn check(outputs: &Outputs) -> Result<(), ExportError> {
    for output in &outputs.images {
        match &output.target {
            ImageTarget::Layout(path) => writable(path)?,
            ImageTarget::Archive(sink) | ImageTarget::DockerArchive(sink) => file(sink)?,
            ImageTarget::Docker(endpoints) => docker::check(endpoints).await?,
            ImageTarget::Containerd { socket, .. } => {
                containerd::check(socket).await?;
            }
            ImageTarget::Kept | ImageTarget::Registry { .. } => {}
        }
    }
    for output in &outputs.files {
        match &output.target {
            // Into one that is there, everything is written; a new one is made beside others.
            FilesTarget::Directory(path) => new_in(&path.join("inside"), path)?,
            FilesTarget::Tar(sink) => file(sink)?,
        }
    }
    Ok(())
}

fn file(sink: &Sink) -> Result<(), LayoutError> {
    let Sink::File(path) = sink else { return Ok(()) };
    if path.is_dir() {
        return Err(LayoutError::Directory { path: path.clone() });
    }
    writable(path)
}

fn writable(path: &Path) -> Result<(), LayoutError> {
    new_in(path, path)
}

/// Can something be made at `path`, in the nearest directory that is there? `shown` is the place as the
/// user named it.
fn new_in(path: &Path, shown: &Path) -> Result<(), LayoutError> {
    let absolute = std::path::absolute(path).map_err(LayoutError::io("find", shown))?;
    let there = absolute.ancestors().skip(1).find(|place| fs::symlink_metadata(place).is_ok());
    let there = there.unwrap_or(Path::new("/"));
    let fault = |errno: rustix::io::Errno| LayoutError::io("write", shown)(errno.into());
    if !there.is_dir() {
        return Err(fault(rustix::io::Errno::NOTDIR));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_below_a_file_is_no_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(writable(&dir.path().join("new/deep/out")).is_ok());
        let fault = writable(&dir.path().join("file/out")).unwrap_err().to_string();
        assert!(fault.ends_with(
            "/file/out: Not a directory (os error 20)\n\
             help: check the path, the free space and your rights"
        ));
        let fault = file(&Sink::File(dir.path().into())).unwrap_err().to_string();
        assert!(fault.contains("is a directory, so no archive was written there"), "{fault}");
    }
}
