//! ADD of what lies elsewhere: files over HTTP and commits of repositories, beside paths of the context.

use std::sync::Arc;

use serde::Serialize;

use super::{
    Solver, VertexResult,
    chain::Commit,
    copy::{copy_into, is_linked, linked_owner, selection},
    error::SolveError,
    key::key,
    remote_files::{Found, FoundKey, Wanted},
    step_result::StepResult,
    taken::Taken,
};
use crate::{
    fetch::Gate,
    graph::{CopyOp, Origin},
    oci::digest::Digest,
    remote::Remote,
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
    let step = Step { op, origin, parent, exported };
    let taken = Taken::of(solver, source).await?;
    match of(solver, &step, &taken, (&remote, &wanted)).await {
        Err(error) if taken.is_outdated(solver, &error) => {
            let taken = Taken::of(solver, source).await?;
            of(solver, &step, &taken, (&remote, &wanted)).await
        }
        outcome => outcome,
    }
}

/// An ADD, what it is made on, and whether its layer is part of an image.
struct Step<'a> {
    op: &'a CopyOp,
    origin: &'a Origin,
    parent: &'a VertexResult,
    exported: bool,
}

async fn of(
    solver: &Solver,
    Step { op, origin, parent, exported }: &Step<'_>,
    taken: &Taken<'_>,
    (remote, wanted): (&[Found], &Wanted),
) -> Result<VertexResult, SolveError> {
    let epoch = solver.options.epoch;
    let local = Arc::new(selection(op));
    let inputs = AddKey {
        content: taken.content(solver, &local).await?,
        remote: remote.iter().map(Found::key).collect(),
        exclude: &op.exclude,
        dest: &op.dest,
        chown: op.chown.as_deref(),
        chmod: op.chmod.as_deref(),
        unpack: (op.unpack, op.unpack_remote),
        link: is_linked(op),
    };
    let below = if is_linked(op) { &[][..] } else { &parent.layers };
    solver.ingredients(&inputs);
    if is_linked(op) {
        solver.tale.without_base();
    }
    let key = key("add", below, epoch, &inputs)?;
    if let Some(hit) = solver.cached(&key, &parent.layers).await? {
        return Ok(hit);
    }
    solver.begin(origin);
    let mut files = Vec::with_capacity(remote.len());
    for found in remote {
        files.push(found.files(solver, &wanted.gate).await?);
    }
    let active = solver.host.chains.prepare(below).await?;
    if let Err(error) = copy_into(solver, op, &active, &local, taken, files).await {
        solver.host.chains.discard(active).await;
        return Err(error);
    }
    let requests = remote.iter().map(|found| found.record(origin)).collect();
    let want = Commit { epoch, export: *exported || is_linked(op), copied: true };
    let found = StepResult { requests, ..StepResult::default() };
    solver.conclude(active, below, parent, &key, want, found).await
}
