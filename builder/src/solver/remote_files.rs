//! What an address of ADD or of a named context leads to: first what it is, for the cache key; then its
//! files, where the key is not known yet.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tempfile::TempDir;

use super::{Solver, error::SolveError};
use crate::{
    downloads::Breaches,
    egress::{RequestRecord, StepOrigin},
    fetch::{
        Gate,
        credentials::Credentials,
        git::{GitAsk, Resolved},
        http::{HttpAsk, HttpFile, file_name},
    },
    graph::Origin,
    oci::{descriptor::Descriptor, digest::Digest},
    remote::{GitAddress, Remote},
    source::selection::Selection,
};

/// What is wanted of an address beside what it says itself.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) gate: Gate,
    /// A file's digest, or the beginning of a commit's id.
    pub(super) checksum: Option<String>,
    pub(super) keep_git_dir: Option<bool>,
}

/// What an address leads to now.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// A commit of a repository, and whether `.git` belongs to its files.
    Git(GitAddress, Resolved, bool),
    /// A file and its name.
    Http(HttpFile, String),
}

/// What of it enters a cache key.
#[derive(Debug, Serialize)]
pub(super) enum FoundKey<'a> {
    /// Commit, subdirectory, submodules, `.git` with the address it names.
    Git(&'a str, &'a str, bool, Option<String>),
    /// Content, name, time stamp.
    Http(Digest, &'a str, i64),
}

/// Files on disk, as long as the value lives.
#[derive(Debug)]
pub(super) struct Files {
    /// What to copy from.
    pub(super) dir: PathBuf,
    /// What to copy of it.
    pub(super) selection: Selection,
    #[allow(dead_code, reason = "held for its Drop")]
    scratch: TempDir,
}

impl Found {
    /// Asks the network what `remote` is. A file is fetched by that, if it is not known already.
    pub(super) async fn look(
        solver: &Solver,
        remote: &Remote,
        wanted: &Wanted,
        origin: &Origin,
    ) -> Result<Self, SolveError> {
        let credentials = Credentials::new(solver.options.secrets.clone());
        let origin = StepOrigin {
            line: u32::try_from(origin.span.first_line).unwrap_or(u32::MAX),
            text: origin.text.clone(),
            stage: origin.stage.clone(),
        };
        let fetcher = &solver.host.fetcher;
        match remote {
            Remote::Git(address) => {
                let mut address = address.clone();
                if let Some(checksum) = &wanted.checksum {
                    address.commit = Some(checksum.clone());
                }
                let ask =
                    GitAsk { address: &address, gate: &wanted.gate, credentials: &credentials };
                let resolved = cancellable(solver, fetcher.resolve_git(&ask)).await?;
                held(solver, &resolved.record(&address, &origin))?;
                let keep = wanted.keep_git_dir.or(address.keep_git_dir).unwrap_or(false);
                Ok(Self::Git(address, resolved, keep))
            }
            Remote::Http(url) => {
                let checksum = wanted.checksum.as_deref().map(str::parse::<Digest>);
                let checksum = checksum.transpose().map_err(|_| {
                    SolveError::Checksum(wanted.checksum.clone().unwrap_or_default())
                })?;
                let gate = &wanted.gate;
                let ask = HttpAsk { url, checksum, gate, credentials: &credentials, origin };
                let file = cancellable(solver, fetcher.http(&ask)).await?;
                held(solver, &file.record)?;
                Ok(Self::Http(file, file_name(url)))
            }
        }
    }

    pub(super) fn key(&self) -> FoundKey<'_> {
        match self {
            Self::Git(address, resolved, keep) => FoundKey::Git(
                &resolved.commit,
                &address.subdir,
                address.submodules.unwrap_or(true),
                keep.then(|| address.url()),
            ),
            Self::Http(file, name) => {
                FoundKey::Http(file.digest, name, file.modified.unwrap_or_default())
            }
        }
    }

    /// The record for provenance.
    pub(super) fn record(&self, origin: &Origin) -> RequestRecord {
        match self {
            Self::Git(address, resolved, _) => resolved.record(
                address,
                &StepOrigin {
                    line: u32::try_from(origin.span.first_line).unwrap_or(u32::MAX),
                    text: origin.text.clone(),
                    stage: origin.stage.clone(),
                },
            ),
            Self::Http(file, _) => file.record.clone(),
        }
    }

    /// Brings the files to disk.
    pub(super) async fn files(&self, solver: &Solver, gate: &Gate) -> Result<Files, SolveError> {
        let scratch = solver.host.fetcher.directory()?;
        match self {
            Self::Git(address, resolved, keep) => {
                let credentials = Credentials::new(solver.options.secrets.clone());
                let ask = GitAsk { address, gate, credentials: &credentials };
                let fetcher = &solver.host.fetcher;
                let checkout = fetcher.checkout(&ask, resolved, *keep, scratch.path());
                let dir = cancellable(solver, checkout).await?.dir;
                Ok(Files { dir, selection: everything(), scratch })
            }
            Self::Http(file, name) => {
                let (content, file, name) =
                    (solver.host.content.clone(), file.clone(), name.clone());
                tokio::task::spawn_blocking(move || {
                    let path = scratch.path().join(&name);
                    let blob = Descriptor::new("application/octet-stream", file.digest, file.size);
                    let mut blob = content.open_verified(&blob)?;
                    place(&mut blob, &path, file.modified.unwrap_or_default())
                        .map_err(SolveError::store(&path))?;
                    let sources = vec![literal(&name)];
                    let selection = Selection { sources, ..Selection::default() };
                    Ok(Files { dir: scratch.path().to_owned(), selection, scratch })
                })
                .await?
            }
        }
    }
}

/// Is it as the build's terms want it?
fn held(solver: &Solver, record: &RequestRecord) -> Result<(), SolveError> {
    record.held_to(&solver.options.terms).map_err(|breach| Breaches(vec![breach]).into())
}

/// Writes a fetched file as BuildKit does: mode 0600, with the time of its last change or 1970.
fn place(bytes: &mut dyn io::Read, path: &Path, modified: i64) -> io::Result<()> {
    let mut file = File::create(path)?;
    io::copy(bytes, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let since = Duration::from_secs(u64::try_from(modified).unwrap_or_default());
    file.set_modified(SystemTime::UNIX_EPOCH + since)
}

/// The contents of a directory.
pub(super) fn everything() -> Selection {
    Selection { sources: vec!["/".into()], ..Selection::default() }
}

/// A name in which wildcards mean themselves.
fn literal(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '*' | '?' | '[' => pattern.extend(['[', c, ']']),
            '\\' => pattern.push_str("\\\\"),
            c => pattern.push(c),
        }
    }
    pattern
}

async fn cancellable<T, E: Into<SolveError>>(
    solver: &Solver,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, SolveError> {
    match solver.cancel.run_until_cancelled(work).await {
        Some(done) => done.map_err(Into::into),
        None => Err(SolveError::Cancelled),
    }
}
