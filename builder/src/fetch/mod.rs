//! What the builder fetches itself: for ADD, for build contexts and for named contexts. `gate` decides,
//! `credentials` are the secrets with BuildKit's names ← `http` (one file), `git_program` (how git is run)
//! ← `submodules`, `commit` (its objects, kept), `git` (one commit as files).
//!
//! Absent: what steps fetch (that is `egress`), and git's own idea of configuration, hooks and prompts.

mod commit;
pub mod credentials;
pub mod error;
pub mod gate;
pub mod git;
mod git_program;
pub mod http;
mod reference;
mod settle;
mod submodules;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

pub use error::FetchError;
pub use gate::Gate;
pub use git_program::GitProgram;

use tempfile::TempDir;

use crate::{
    content::store::ContentStore,
    downloads::{DownloadStore, Terms},
    egress::{Upstreams, WayOut},
    policy::NetworkPolicy,
};

/// Fetches files and repositories. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Fetcher {
    upstreams: Result<Upstreams, String>,
    /// Bytes of one body, and of one file that git writes.
    limit: u64,
    /// Redirects that are followed where no rule says another number.
    redirects: u64,
    content: Arc<ContentStore>,
    git: Option<Arc<GitProgram>>,
    scratch: PathBuf,
    downloads: Option<DownloadStore>,
    terms: Terms,
}

impl Fetcher {
    /// Keeps files in `content`, works below `scratch`, and asks `git` for repositories. Limits are those of
    /// `policy`.
    #[must_use]
    pub fn new(
        policy: &NetworkPolicy,
        content: Arc<ContentStore>,
        git: Option<GitProgram>,
        scratch: PathBuf,
        way: WayOut,
    ) -> Self {
        let upstreams = Upstreams::new(policy, way).map_err(|error| error.to_string());
        Self {
            upstreams,
            limit: policy.limits().body,
            redirects: policy.limits().redirects,
            content,
            git: git.map(Arc::new),
            scratch,
            downloads: None,
            terms: Terms::default(),
        }
    }

    /// The same, which keeps in `downloads` what it fetches and finds there what it need not fetch.
    #[must_use]
    pub fn keeping(mut self, downloads: DownloadStore, terms: Terms) -> Self {
        if terms.offline {
            self.upstreams = self.upstreams.map(Upstreams::unplugged);
        }
        Self { downloads: Some(downloads), terms, ..self }
    }

    /// Where fetched files are kept.
    #[must_use]
    pub fn content(&self) -> &Arc<ContentStore> {
        &self.content
    }

    /// A directory for what is fetched, gone with the value.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<TempDir, FetchError> {
        tempfile::tempdir_in(&self.scratch).map_err(FetchError::io(&self.scratch))
    }

    fn upstreams(&self) -> Result<&Upstreams, FetchError> {
        self.upstreams.as_ref().map_err(|error| FetchError::Client(error.clone()))
    }
}
