//! ADD of what lies elsewhere: files over HTTP and commits of repositories, beside paths of the context.

use std::sync::Arc;

use serde::Serialize;

use super::{
    Solver, VertexResult,
    chain::{Active, Commit},
    copy::{content, is_linked, linked_owner},
    error::SolveError,
    event::Event,
    key::key,
    remote_files::{Files, Found, FoundKey, Wanted},
    step_result::StepResult,
};
use crate::{
    fetch::Gate,
    graph::{CopyOp, Origin},
    oci::digest::Digest,
    remote::Remote,
    snapshot::OWNER_SHIFT,
    source::{
        chmod::Chmod,
        context::SourceRoot,
        copy::{CopySpec, copy},
        passwd,
        selection::Selection,
    },
};

/// What of an ADD enters its cache key; see the table in [`super::key`].
#[derive(Serialize)]
struct AddKey<'a> {
    content: Digest,
    remote: Vec<FoundKey<'a>>,
    exclude: &'a [String],
    dest: &'a str,
    chown: Option<&'a str>,
    chmod: Option<&'a str>,
    unpack: (bool, bool),
    link: bool,
}

pub(super) async fn solve(
    solver: &Solver,
    op: &CopyOp,
    origin: &Origin,
    parent: &VertexResult,
    source: Option<&VertexResult>,
    exported: bool,
) -> Result<VertexResult, SolveError> {
    linked_owner(op)?;
    let epoch = solver.options.epoch;
    let wanted = Wanted {
        gate: Gate::Policy(solver.options.network.clone()),
        checksum: op.checksum.clone(),
        keep_git_dir: op.keep_git_dir,
    };
    let mut remote = Vec::with_capacity(op.remote.len());
    for address in &op.remote {
        let parsed = Remote::parse(address).map_err(crate::fetch::FetchError::from)?;
        let parsed = parsed.ok_or(SolveError::EmptyChain)?;
        remote.push(Found::look(solver, &parsed, &wanted, origin).await?);
    }
    let local = Arc::new(local(op));
    let content_before = content(solver, &local, source).await?;
    let inputs = AddKey {
        content: content_before,
        remote: remote.iter().map(Found::key).collect(),
        exclude: &op.exclude,
        dest: &op.dest,
        chown: op.chown.as_deref(),
        chmod: op.chmod.as_deref(),
        unpack: (op.unpack, op.unpack_remote),
        link: is_linked(op),
    };
    let below = if is_linked(op) { &[][..] } else { &parent.layers };
    let key = key("add", below, epoch, &inputs)?;
    if let Some(hit) = solver.cached(&key, &parent.layers).await? {
        return Ok(hit);
    }
    solver.observer.event(Event::Started(origin));
    let mut files = Vec::with_capacity(remote.len());
    for found in &remote {
        files.push(found.files(solver, &wanted.gate).await?);
    }
    let active = solver.host.chains.prepare(below).await?;
    let added = add(solver, op, &active, local.clone(), source, files).await;
    let steady = match added {
        Ok(()) => match content(solver, &local, source).await {
            Ok(again) if again == content_before => Ok(()),
            Ok(_) => Err(SolveError::ContextChanged),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    if let Err(error) = steady {
        solver.host.chains.discard(active).await;
        return Err(error);
    }
    let requests = remote.iter().map(|found| found.record(origin)).collect();
    let want = Commit { epoch, export: exported || is_linked(op) };
    let found = StepResult { requests, ..StepResult::default() };
    solver.conclude(active, below, parent, &key, want, found).await
}

fn local(op: &CopyOp) -> Selection {
    let inline = op.inline.iter();
    Selection {
        sources: op.sources.clone(),
        inline: inline
            .map(|file| (file.name.clone(), file.contents.clone().into_bytes()))
            .collect(),
        exclude: op.exclude.clone(),
        parents: op.parents,
    }
}

/// Copies the paths of the context, then what was fetched, into the mounted snapshot.
async fn add(
    solver: &Solver,
    op: &CopyOp,
    active: &Active,
    local: Arc<Selection>,
    source: Option<&VertexResult>,
    files: Vec<Files>,
) -> Result<(), SolveError> {
    let chains = &solver.host.chains;
    let view = match source {
        Some(source) => Some(chains.view(&source.layers).await?),
        None => None,
    };
    let (mounted, dir) = chains.mount(&active.mounts)?;
    let (context, op) = (solver.context.clone(), op.clone());
    let epoch = solver.options.epoch;
    tokio::task::spawn_blocking(move || {
        // Unmounted before its directory is removed, also when something fails.
        let dir = dir;
        let _mounted = mounted;
        let owner = op.chown.as_deref();
        let owner = owner.map(|chown| passwd::resolve_owner(dir.path(), chown)).transpose()?;
        let spec = CopySpec {
            selection: Selection::clone(&local),
            dest: op.dest.clone(),
            owner,
            chmod: op.chmod.as_deref().map(str::parse::<Chmod>).transpose()?,
            unpack: op.unpack,
            shift: OWNER_SHIFT,
            epoch,
        };
        if !(local.sources.is_empty() && local.inline.is_empty()) {
            let root = match &view {
                Some(view) => {
                    SourceRoot::stage(view.path(), OWNER_SHIFT, "the stage or image that it names")?
                }
                None => context.root()?,
            };
            copy(&root, &spec, dir.path())?;
        }
        for fetched in files {
            let exclude = match fetched.selection.sources.first() {
                // As BuildKit has it, patterns concern trees, not a file that is named itself.
                Some(source) if source == "/" => op.exclude.clone(),
                _ => Vec::new(),
            };
            let selection = Selection { exclude, ..fetched.selection.clone() };
            let spec = CopySpec { selection, unpack: op.unpack_remote, ..spec.clone() };
            copy(&SourceRoot::context(&fetched.dir, None)?, &spec, dir.path())?;
        }
        Ok(())
    })
    .await?
}
