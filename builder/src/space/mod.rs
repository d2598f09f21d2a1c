//! What a user's builds leave on the disk, and making room: `item` ← `choose` (what goes; pure), `survey` (what
//! there is) ← `removal` ← `cap`.
//!
//! Nothing that a running command holds is touched ([`crate::content::hold`]), a snapshot goes after all
//! that lies on it, and what describes a thing goes after the thing: a kill in between leaves a description
//! of something that is not there, which every reader takes for a miss.

mod cap;
pub mod choose;
pub mod item;
mod removal;
mod survey;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use self::{cap::exceeded, removal::Removed};
use crate::{
    content::{error::ContentError, index::Index, store::ContentStore},
    snapshot::{SnapshotError, Snapshots},
    solver::error::SolveError,
};

/// Why space cannot be listed or freed.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// The worker does not answer.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The content store cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The cache directories cannot be read.
    #[error(transparent)]
    Mounts(#[from] SolveError),
    /// A file cannot be read, moved or locked.
    #[error("cannot {doing} '{}': {source}", path.display())]
    File {
        /// A verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SpaceError {
    fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

/// One user's data directory with its worker. To be used inside of the worker's namespaces, where files of
/// every owner can be read and removed.
#[derive(Debug)]
pub struct Space {
    data: PathBuf,
    content: ContentStore,
    snapshots: Snapshots,
    index: Arc<Index>,
}

impl Space {
    /// Opens what is below `data`, with the worker that listens at `socket`. To be ended by
    /// [`Space::close`].
    ///
    /// # Errors
    /// When the worker does not answer or a directory cannot be made.
    pub async fn open(data: &Path, socket: &Path, index: Arc<Index>) -> Result<Self, SpaceError> {
        Ok(Self {
            data: data.to_owned(),
            content: ContentStore::open(data.join("content"))?,
            snapshots: Snapshots::connect(socket).await?,
            index,
        })
    }

    /// Ends the work with the worker. With `wait`, the blocks of removed snapshots are free afterwards.
    ///
    /// # Errors
    /// When the worker does not answer.
    pub async fn close(self, wait: bool) -> Result<(), SpaceError> {
        match wait {
            true => Ok(self.snapshots.close_and_collect().await?),
            false => Ok(self.snapshots.close().await?),
        }
    }

    fn holds(&self) -> PathBuf {
        self.data.join("in-use")
    }

    fn mounts(&self) -> PathBuf {
        self.data.join("cache-mounts")
    }
}
