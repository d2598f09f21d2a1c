//! The directory in which one command keeps what it fetches: gone when the command ends, and swept by the
//! next one when it was killed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use touchmark_builder::worker::ProcessIdentity;

use crate::error::CliError;

/// A directory of this process alone.
#[derive(Debug)]
pub(crate) struct Workspace(PathBuf);

impl Workspace {
    /// Makes it below `data`, and removes those of processes that are gone. To be called inside of the
    /// worker, where files of every owner can be removed.
    pub(crate) fn open(data: &Path) -> Result<Self, CliError> {
        let all = data.join("work");
        let own = ProcessIdentity::current().map_err(|e| CliError::environment(e.to_string()))?;
        let path = all.join(own.to_string());
        sweep(&all);
        fs::create_dir_all(&path).map_err(|error| {
            CliError::environment(format!("{} cannot be made: {error}", path.display()))
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A new directory in it.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, CliError> {
        let path = self.0.join(name);
        fs::create_dir(&path).map(|()| path.clone()).map_err(|error| {
            CliError::environment(format!("{} cannot be made: {error}", path.display()))
        })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What stays is swept by the next command.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the directories of processes that do not run any more.
fn sweep(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.parse::<ProcessIdentity>().ok());
        if owner.is_some_and(|owner| !owner.is_alive()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_swept() {
        let data = tempfile::tempdir().unwrap();
        let dead = data.path().join("work/1:1:00000000");
        fs::create_dir_all(dead.join("x")).unwrap();
        fs::create_dir_all(data.path().join("work/other")).unwrap();
        let own = Workspace::open(data.path()).unwrap();
        let kept = own.directory("context").unwrap();
        assert!(!dead.exists() && kept.exists() && data.path().join("work/other").exists());
        drop(own);
        assert!(!kept.exists());
    }
}
