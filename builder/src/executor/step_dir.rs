//! A step's directory under the worker's `/run`: the runtime's files, generated files and mount points. It
//! lies in memory, and its path can be traversed by the step's ids. Its name tells the step's processes from
//! all others, also when this process is killed: the next build ends them (`worker::steps`).

use std::{
    fs,
    io::{BufWriter, ErrorKind, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use oci_spec::runtime::Spec;

use super::{ExecError, mounts};
use crate::{
    ssh::{SshAgent, server::AgentServer},
    worker::{
        ProcessIdentity,
        start::STEPS_DIR,
        steps::{dir_name, remove_step_dir},
    },
};

/// The directory; removed on drop, and by the next build's sweep when this one is killed.
#[derive(Debug)]
pub(super) struct StepDir {
    path: PathBuf,
    id: String,
    servers: Vec<AgentServer>,
}

impl StepDir {
    /// Makes the directory of step `id` of `builder`.
    pub(super) fn make(builder: &ProcessIdentity, id: &str) -> Result<Self, ExecError> {
        // A rule that every runtime's names keep.
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric());
        if id.len() > 40 || !id.split(['-', '_', '.']).all(word) {
            return Err(ExecError::Request(format!("'{id}' cannot name a step")));
        }
        match directory(Path::new(STEPS_DIR)) {
            Err(ExecError::File { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {}
            other => other?,
        }
        let path = Path::new(STEPS_DIR).join(dir_name(builder, id));
        directory(&path)?;
        Ok(Self { path, id: id.to_owned(), servers: Vec::new() })
    }

    /// The directory, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the step's container is called: the runtime's state is in this directory, so that is unique.
    pub(super) fn container(&self) -> &str {
        &self.id
    }

    /// Writes what the runtime reads. It may hold secrets: nobody but this user may.
    pub(super) fn configure(&self, spec: &Spec) -> Result<(), ExecError> {
        let path = self.path.join("config.json");
        let write = || {
            let mut options = fs::File::options();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            let mut file = BufWriter::new(file);
            serde_json::to_writer(&mut file, spec)?;
            file.flush()
        };
        write().map_err(ExecError::file("write", path.clone()))
    }

    /// Makes a directory in it.
    pub(super) fn subdirectory(&self, name: &str) -> Result<PathBuf, ExecError> {
        let path = self.path.join(name);
        directory(&path)?;
        Ok(path)
    }

    /// Makes a file in it that belongs to ids of the step.
    pub(super) fn file(
        &self,
        name: &str,
        content: &[u8],
        owner: (u32, u32),
        mode: u32,
    ) -> Result<PathBuf, ExecError> {
        let path = self.path.join(name);
        let write = || {
            let mut file =
                fs::File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            mounts::give(&path, owner)?;
            file.set_permissions(PermissionsExt::from_mode(mode))
        };
        write().map_err(ExecError::file("write", path.clone()))?;
        Ok(path)
    }

    /// Makes a socket in it that belongs to ids of the step, and serves `agent` there as long as this
    /// directory lives.
    pub(super) fn socket(
        &mut self,
        name: &str,
        agent: &Arc<SshAgent>,
        owner: (u32, u32),
        mode: u32,
    ) -> Result<PathBuf, ExecError> {
        let path = self.path.join(name);
        let mut open = || {
            // A socket's path may have 107 bytes; by its directory's descriptor it is short.
            let dir = fs::File::open(&self.path)?;
            let short = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
            self.servers.push(AgentServer::open(Path::new(&short), agent.clone())?);
            mounts::give(&path, owner)?;
            fs::set_permissions(&path, PermissionsExt::from_mode(mode))
        };
        open().map_err(ExecError::file("make the socket", path.clone()))?;
        Ok(path)
    }
}

impl Drop for StepDir {
    fn drop(&mut self) {
        remove_step_dir(&self.path);
    }
}

fn directory(path: &Path) -> Result<(), ExecError> {
    fs::DirBuilder::new().mode(0o711).create(path).map_err(ExecError::file("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_the_directory() {
        let me = ProcessIdentity::current().unwrap();
        for id in ["", "..", "a/b", ".a", "a--b", "a b", &"a".repeat(41)] {
            let message = StepDir::make(&me, id).unwrap_err().to_string();
            assert_eq!(message, format!("'{id}' cannot name a step"));
        }
    }
}
