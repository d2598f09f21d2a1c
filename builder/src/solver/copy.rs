//! COPY, ADD and WORKDIR: file operations that the builder does itself on a mounted snapshot.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use serde::Serialize;

use super::{
    Solver, VertexResult,
    chain::{Active, Commit, View},
    error::SolveError,
    key::key,
    lay::{adopt, straight},
    remote_files::Files,
    step_result::StepResult,
};
use crate::{
    graph::{CopyOp, MkdirOp, Origin},
    oci::digest::Digest,
    snapshot::OWNER_SHIFT,
    source::{
        chmod::Chmod,
        context::{Context, SourceRoot},
        copy::{CopySpec, copy, make_dir},
        error::SourceError,
        passwd,
        selection::Selection,
        tree_digest::{digest, listed},
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
    let epoch = solver.options.epoch;
    let selection = Arc::new(selection(op));
    let content = content(solver, &selection, source).await?;
    let (chown, chmod) = (op.chown.as_deref(), op.chmod.as_deref());
    let inputs =
        CopyKey { content, dest: &op.dest, chown, chmod, unpack: op.unpack, link: is_linked(op) };
    // A linked copy is a layer of its own, made over nothing, whatever it then lies on.
    let below = if is_linked(op) { &[][..] } else { &parent.layers };
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
        && let Ok((layer, blob)) = straight(solver, op, &selection, source, below).await
    {
        steady(solver, &selection, source, (Ok(()), content)).await?;
        return adopt(solver, (layer, blob), parent, &key);
    }
    let active = solver.host.chains.prepare(below).await?;
    let copied = copy_into(solver, op, &active, &selection, source, Vec::new()).await;
    if let Err(error) = steady(solver, &selection, source, (copied, content)).await {
        solver.host.chains.discard(active).await;
        return Err(error);
    }
    // Only from a blob can its files be laid over the parent's.
    let want = Commit { epoch, export: exported || is_linked(op), copied: true };
    solver.conclude(active, below, parent, &key, want, StepResult::default()).await
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

/// Was what has been `copied` what the key names? The source is looked at once more.
pub(super) async fn steady(
    solver: &Solver,
    selection: &Arc<Selection>,
    source: Option<&VertexResult>,
    (copied, named): (Result<(), SolveError>, Digest),
) -> Result<(), SolveError> {
    copied?;
    match content(solver, selection, source).await? == named {
        true => Ok(()),
        false => Err(SolveError::ContextChanged),
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

/// The digest of what is copied. For a stage it is remembered by the stage's content, so that a build in
/// which nothing changed mounts nothing.
pub(super) async fn content(
    solver: &Solver,
    selection: &Arc<Selection>,
    source: Option<&VertexResult>,
) -> Result<Digest, SolveError> {
    let Some(source) = source else {
        let (context, selection) = (solver.context.clone(), selection.clone());
        let cache = solver.stat_cache.clone();
        let tale = solver.tale.clone();
        return tokio::task::spawn_blocking(move || {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            let (found, listing) = listed(&context.root()?, &selection, Some(&mut cache))?;
            if let Some(listing) = listing {
                tale.files(listing);
            }
            Ok(found.digest)
        })
        .await?;
    };
    let inline: Vec<_> = selection.inline.iter().map(|(n, bytes)| (n, Digest::of(bytes))).collect();
    let named = (&selection.sources, inline, &selection.exclude, selection.parents);
    let memo = key("tree", &source.layers, 0, &named)?;
    let known = solver.host.cache.get::<StepResult>(&memo).and_then(|known| known.layer);
    if let Some(known) = known.or_else(|| solver.shared.tree(&memo)) {
        solver.trail.tree(&memo, known);
        return Ok(known);
    }
    let view = solver.host.chains.view(&source.layers).await?;
    let selection = selection.clone();
    let found = tokio::task::spawn_blocking(move || {
        let root = SourceRoot::stage(view.path(), OWNER_SHIFT, "the stage or image that it names")?;
        Ok::<_, SolveError>(digest(&root, &selection, None)?.digest)
    })
    .await??;
    solver.remember(&memo, &StepResult { layer: Some(found), ..StepResult::default() })?;
    solver.trail.tree(&memo, found);
    Ok(found)
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

/// The files to copy from: the mounted stage, else the context.
pub(super) fn source_root<'a>(
    view: Option<&'a View>,
    context: &'a Context,
) -> Result<SourceRoot<'a>, SourceError> {
    match view {
        Some(view) => {
            SourceRoot::stage(view.path(), OWNER_SHIFT, "the stage or image that it names")
        }
        None => context.root(),
    }
}

/// Copies what is selected, then what was `fetched`, into the mounted snapshot.
pub(super) async fn copy_into(
    solver: &Solver,
    op: &CopyOp,
    active: &Active,
    selection: &Arc<Selection>,
    source: Option<&VertexResult>,
    fetched: Vec<Files>,
) -> Result<(), SolveError> {
    let chains = &solver.host.chains;
    let view = match source {
        Some(source) => Some(chains.view(&source.layers).await?),
        None => None,
    };
    let target = chains.mount(&active.mounts)?;
    let (context, op, selection) = (solver.context.clone(), op.clone(), selection.clone());
    let epoch = solver.options.epoch;
    tokio::task::spawn_blocking(move || {
        let spec = spec(&op, &selection, target.path(), epoch)?;
        if fetched.is_empty() || !(selection.sources.is_empty() && selection.inline.is_empty()) {
            copy(&source_root(view.as_ref(), &context)?, &spec, target.path())?;
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
