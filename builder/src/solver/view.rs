//! A stack of layers as a directory.

use std::path::Path;

use tempfile::TempDir;

use super::error::SolveError;
use crate::snapshot::{Mount, Mounted};

/// A mounted stack of layers; what is written to it, if it may be, belongs to its snapshot.
#[derive(Debug)]
pub struct View {
    // Unmounted before its directory is removed: fields are dropped in this order.
    #[allow(dead_code, reason = "held for its Drop")]
    mounted: Option<Mounted>,
    dir: TempDir,
}

impl View {
    /// Mounts `mounts` at a directory of their own below `scratch`.
    pub(super) fn mount(mounts: &[Mount], scratch: &Path) -> Result<Self, SolveError> {
        let Self { dir, .. } = Self::empty(scratch)?;
        Ok(Self { mounted: Some(Mounted::mount(mounts, dir.path())?), dir })
    }

    /// An empty directory below `scratch`.
    pub(super) fn empty(scratch: &Path) -> Result<Self, SolveError> {
        let dir = tempfile::tempdir_in(scratch).map_err(SolveError::store(scratch))?;
        Ok(Self { mounted: None, dir })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}
