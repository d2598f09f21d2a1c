//! A snapshot that is being written, and the names of those that were.

use super::error::SolveError;
use crate::{
    oci::digest::Digest,
    snapshot::{Mount, Snapshots},
};

/// A snapshot that is being written.
#[derive(Debug)]
pub struct Active {
    /// Under this key it is committed or removed.
    pub key: String,
    /// How it is mounted.
    pub mounts: Vec<Mount>,
}

impl Active {
    /// A new one on top of the committed snapshot `parent`, or of nothing.
    pub(super) async fn on(
        parent: Option<&str>,
        snapshots: &Snapshots,
    ) -> Result<Self, SolveError> {
        let key = random_key()?;
        let mounts = snapshots.prepare(&key, parent).await?;
        Ok(Self { key, mounts })
    }

    /// Gives it up.
    pub(super) async fn discard(self, snapshots: &Snapshots) {
        // What cannot be removed now is swept by a later build; the failure that led here counts more.
        let _ = snapshots.remove(&self.key).await;
    }
}

/// Committed snapshots are named by content, so that every build of this user shares them.
pub(super) fn snapshot_name(id: &Digest) -> String {
    format!("layer-{}", id.hex())
}

/// A key that no other snapshot has.
pub(super) fn random_key() -> Result<String, SolveError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| SolveError::Random(error.to_string()))?;
    Ok(format!("step-{}", hex::encode(bytes)))
}
