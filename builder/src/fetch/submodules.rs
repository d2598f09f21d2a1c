//! The submodules of a commit: each is fetched like the repository itself, past the same gate.

use std::path::Path;

use super::{
    FetchError, Fetcher,
    git::{GitAsk, Resolved},
    git_program::{GitProgram, Session},
};
use crate::remote::GitAddress;

/// Submodules of one commit.
const MAX_SUBMODULES: usize = 500;

impl Fetcher {
    /// Fills in the submodules of the checkout at `root`.
    #[allow(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
    pub(super) async fn submodules(
        &self,
        ask: &GitAsk<'_>,
        program: &GitProgram,
        session: &Session,
        commit: &str,
        root: &Path,
        keep_git_dir: bool,
        depth: usize,
    ) -> Result<(), FetchError> {
        let blob = format!("--blob={commit}:.gitmodules");
        let arguments = ["config", &blob, "-z", "--get-regexp", r"^submodule\..*\.(path|url)$"];
        // Without such a file there are none.
        let Ok(listed) = program.run(session, root, &arguments).await else { return Ok(()) };
        let listed = modules(&listed);
        if listed.len() > MAX_SUBMODULES {
            let reason = format!("there are more than {MAX_SUBMODULES}");
            return Err(FetchError::SubmoduleEntry { path: ".gitmodules".into(), reason });
        }
        for (path, url) in listed {
            let tree = program.run(session, root, &["ls-tree", "-z", commit, "--", &path]).await;
            let tree = tree.unwrap_or_default();
            let Some(wanted) = gitlink(&tree) else { continue };
            let fault = |reason: &str| FetchError::SubmoduleEntry {
                path: path.clone(),
                reason: reason.into(),
            };
            if depth == 0 {
                return Err(fault("the submodules lie too deep in one another"));
            }
            let into = plain_directory(root, &path).ok_or_else(|| fault("it is no directory"))?;
            let mut address = ask.address.submodule(&url)?;
            address.reference = Some(wanted.to_owned());
            let within = GitAsk { address: &address, ..*ask };
            let done = self.submodule(&within, &into, keep_git_dir, depth - 1);
            Box::pin(done).await.map_err(|cause| FetchError::Submodule {
                path: path.clone(),
                cause: Box::new(cause),
            })?;
        }
        Ok(())
    }

    async fn submodule(
        &self,
        ask: &GitAsk<'_>,
        into: &Path,
        keep_git_dir: bool,
        depth: usize,
    ) -> Result<(), FetchError> {
        let resolved: Resolved = self.resolve_git(ask).await?;
        self.clone_into(ask, &resolved, keep_git_dir, into, depth).await.map(|_| ())
    }
}

/// Path and URL of each submodule (gitmodules(5)); the answer is `key\nvalue\0…`.
fn modules(listed: &str) -> Vec<(String, String)> {
    let pairs: Vec<(&str, &str)> =
        listed.split('\0').filter_map(|entry| entry.split_once('\n')).collect();
    let url = |name: &str| {
        let key = format!("{name}.url");
        pairs.iter().find(|(found, _)| *found == key).map(|(_, url)| (*url).to_owned())
    };
    let paths = pairs.iter().filter_map(|(key, path)| Some((key.strip_suffix(".path")?, *path)));
    paths.filter_map(|(name, path)| Some((path.to_owned(), url(name)?))).collect()
}

/// The commit of `160000 commit ID\tpath\0`.
fn gitlink(tree: &str) -> Option<&str> {
    let commit = tree.strip_prefix("160000 commit ")?.split('\t').next()?;
    GitAddress::is_commit(commit).then_some(commit)
}

/// The directory of a submodule, with no link on the way.
fn plain_directory(root: &Path, path: &str) -> Option<std::path::PathBuf> {
    let mut at = root.to_owned();
    for part in path.split('/') {
        if matches!(part, "" | "." | ".." | ".git") {
            return None;
        }
        at.push(part);
        if !at.symlink_metadata().ok()?.is_dir() {
            return None;
        }
    }
    Some(at)
}
