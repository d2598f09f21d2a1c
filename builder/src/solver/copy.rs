//! COPY, ADD and WORKDIR: file operations that the builder does itself on a mounted snapshot.

use std::{path::Path, sync::Arc};

use serde::Serialize;

use super::{
    Solver, VertexResult,
    chain::{Active, Commit},
    error::SolveError,
    key::key,
    lay::{adopt, straight},
    remote_files::Files,
    step_result::StepResult,
    taken::Taken,
};
use crate::{
    graph::{CopyOp, MkdirOp, Origin},
    oci::digest::Digest,
    snapshot::OWNER_SHIFT,
    source::{
        chmod::Chmod,
        context::SourceRoot,
        copy::{CopySpec, copy, make_dir},
        error::SourceError,
        passwd,
        selection::Selection,
    },
};

/// What of a COPY enters its cache key; see the table in [`super::key`].
#[derive(Serialize)]
struct CopyKey<'a> {
    content: Digest,
    dest: &'a str,
    chown: Option<&'a str>,
    chmod: Option<&'a str>,
    unpack: bool,
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
    let taken = Taken::of(solver, source).await?;
    match of(solver, op, origin, parent, &taken, exported).await {
        Err(error) if taken.is_outdated(solver, &error) => {
            let taken = Taken::of(solver, source).await?;
            of(solver, op, origin, parent, &taken, exported).await
        }
        outcome => outcome,
    }
}

async fn of(
    solver: &Solver,
    op: &CopyOp,
    origin: &Origin,
    parent: &VertexResult,
    taken: &Taken<'_>,
    exported: bool,
) -> Result<VertexResult, SolveError> {
    let epoch = solver.options.epoch;
    let selection = Arc::new(selection(op));
    let content = solver.meanwhile(below_of(op, parent), taken.content(solver, &selection)).await?;
    let (chown, chmod) = (op.chown.as_deref(), op.chmod.as_deref());
    let inputs =
        CopyKey { content, dest: &op.dest, chown, chmod, unpack: op.unpack, link: is_linked(op) };
    let below = below_of(op, parent);
    solver.ingredients(&inputs);
    if is_linked(op) {
        solver.tale.without_base();
    }
    let key = key("copy", below, epoch, &inputs)?;
    if let Some(hit) = solver.cached(&key, &parent.layers).await? {
        return Ok(hit);
    }
    solver.begin(origin);
    if !solver.mounted
        && let Ok((layer, blob)) = straight(solver, op, &selection, taken, below).await
    {
        return adopt(solver, (layer, blob), parent, &key);
    }
    let active = solver.host.chains.prepare(below).await?;
    if let Err(error) = copy_into(solver, op, &active, &selection, taken, Vec::new()).await {
        solver.host.chains.discard(active).await;
        return Err(error);
    }
    // Only from a blob can its files be laid over the parent's.
    let want = Commit { epoch, export: exported || is_linked(op), copied: true };
    solver.conclude(active, below, parent, &key, want, StepResult::default()).await
}

/// The layers that a COPY is made over. A linked one is a layer of its own, made over nothing, whatever it then lies on.
fn below_of<'a>(op: &CopyOp, parent: &'a VertexResult) -> &'a [Digest] {
    if is_linked(op) { &[] } else { &parent.layers }
}

/// What a COPY or ADD takes out of the context, a stage or the Dockerfile.
pub(super) fn selection(op: &CopyOp) -> Selection {
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

/// Is this a layer of its own? As in BuildKit, `--chmod` takes `--link` back.
pub(super) fn is_linked(op: &CopyOp) -> bool {
    op.link && op.chmod.as_deref().is_none_or(str::is_empty)
}

/// A linked copy sees no `/etc/passwd`, so its owner can only be a number.
pub(super) fn linked_owner(op: &CopyOp) -> Result<(), SolveError> {
    match op.chown.as_deref().filter(|owner| is_linked(op) && !passwd::is_numeric(owner)) {
        Some(owner) => Err(SourceError::LinkedOwner { text: owner.to_owned() }.into()),
        None => Ok(()),
    }
}

/// What is copied, in the owners' names that the tree `root` knows.
pub(super) fn spec(
    op: &CopyOp,
    selection: &Selection,
    root: &Path,
    epoch: i64,
) -> Result<CopySpec, SolveError> {
    let owner = op.chown.as_deref();
    Ok(CopySpec {
        selection: selection.clone(),
        dest: op.dest.clone(),
        owner: owner.map(|chown| passwd::resolve_owner(root, chown)).transpose()?,
        chmod: op.chmod.as_deref().map(str::parse::<Chmod>).transpose()?,
        unpack: op.unpack,
        shift: OWNER_SHIFT,
        epoch,
    })
}

/// Copies what is selected, then what was `fetched`, into the mounted snapshot.
pub(super) async fn copy_into(
    solver: &Solver,
    op: &CopyOp,
    active: &Active,
    selection: &Arc<Selection>,
    taken: &Taken<'_>,
    fetched: Vec<Files>,
) -> Result<(), SolveError> {
    let chains = &solver.host.chains;
    let held = taken.held(solver).await?;
    let target = chains.mount(&active.mounts)?;
    let (op, selection) = (op.clone(), selection.clone());
    let epoch = solver.options.epoch;
    tokio::task::spawn_blocking(move || {
        let spec = spec(&op, &selection, target.path(), epoch)?;
        if fetched.is_empty() || !(selection.sources.is_empty() && selection.inline.is_empty()) {
            copy(&held.root()?, &spec, target.path())?;
        }
        for files in fetched {
            let exclude = match files.selection.sources.first() {
                // As BuildKit has it, patterns concern trees, not a file that is named itself.
                Some(source) if source == "/" => op.exclude.clone(),
                _ => Vec::new(),
            };
            let selection = Selection { exclude, ..files.selection.clone() };
            let spec = CopySpec { selection, unpack: op.unpack_remote, ..spec.clone() };
            copy(&SourceRoot::context(&files.dir, None)?, &spec, target.path())?;
        }
        Ok(())
    })
    .await?
}

pub(super) async fn make_directory(
    solver: &Solver,
    op: &MkdirOp,
    origin: &Origin,
    parent: &VertexResult,
    exported: bool,
) -> Result<VertexResult, SolveError> {
    let epoch = solver.options.epoch;
    solver.ingredients(&(&op.path, &op.user));
    let key = key("mkdir", &parent.layers, epoch, &(&op.path, &op.user))?;
    if let Some(hit) = solver.cached(&key, &parent.layers).await? {
        return Ok(hit);
    }
    solver.begin(origin);
    let chains = &solver.host.chains;
    let active = chains.prepare(&parent.layers).await?;
    let made = chains.mount(&active.mounts).and_then(|target| {
        let owner = match op.user.as_str() {
            "" => None,
            user => Some(passwd::resolve_owner(target.path(), user)?),
        };
        make_dir(target.path(), &op.path, owner, OWNER_SHIFT)?;
        Ok(())
    });
    if let Err(error) = made {
        chains.discard(active).await;
        return Err(error);
    }
    let want = Commit { epoch, export: exported, copied: true };
    solver.conclude(active, &parent.layers, parent, &key, want, StepResult::default()).await
}
