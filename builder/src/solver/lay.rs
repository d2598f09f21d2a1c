//! COPY without a snapshot: where no later step of the build mounts the result, the layer's archive is made
//! straight from the context or stage. What such layers hold is kept, for the next COPY on top of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Solver, VertexResult, copy::spec, error::SolveError, grounds::Under, pack::Unfinished,
    step_result::StepResult, taken::Taken,
};
use crate::{
    graph::CopyOp,
    oci::digest::Digest,
    source::{
        layout::{Laid, lay},
        passwd,
        selection::Selection,
    },
};

/// The layers of this build that have no snapshot, by name.
#[derive(Debug, Default)]
pub(super) struct LaidLayers(Mutex<HashMap<Digest, Arc<Laid>>>);

impl LaidLayers {
    fn keep(&self, layer: Digest, laid: Laid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, Arc::new(laid));
    }

    /// The layers of `chain` up to those that were laid, and the laid ones on top.
    fn split<'a>(&self, chain: &'a [Digest]) -> (&'a [Digest], Vec<Arc<Laid>>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let top = chain.iter().rev().map_while(|layer| all.get(layer).cloned());
        let mut laid: Vec<_> = top.collect();
        laid.reverse();
        (&chain[..chain.len() - laid.len()], laid)
    }
}

/// Ends a COPY whose layer was made so.
pub(super) fn adopt(
    solver: &Solver,
    (layer, blob): (Digest, Unfinished),
    parent: &VertexResult,
    key: &Digest,
) -> Result<VertexResult, SolveError> {
    solver.host.chains.complete(layer, blob, &solver.at);
    let result = StepResult { layer: Some(layer), ..StepResult::default() };
    solver.concluded(key, result, parent)
}

/// Makes the layer of a COPY over `below`.
///
/// # Errors
/// Also where only a snapshot will do: the caller copies into one then, and a fault shows again.
pub(super) async fn straight(
    solver: &Solver,
    op: &CopyOp,
    selection: &Arc<Selection>,
    taken: &Taken<'_>,
    below: &[Digest],
) -> Result<(Digest, Unfinished), SolveError> {
    let chains = &solver.host.chains;
    let (base, laid) = solver.laid.split(below);
    let named = op.chown.as_deref().is_some_and(|owner| !passwd::is_numeric(owner));
    let decides =
        |layer: &Arc<Laid>| ["etc", "etc/passwd", "etc/group"].iter().any(|p| layer.has(p));
    if named && laid.iter().any(decides) {
        return Err(SolveError::EmptyChain);
    }
    let ground = match named {
        true => None,
        false => solver.grounds.of(base, chains).await?,
    };
    let under = match ground {
        Some(ground) => Under::Ground(ground),
        None => Under::Mounted(chains.view(base).await?),
    };
    let held = taken.held(solver).await?;
    let (op, selection) = (op.clone(), selection.clone());
    let (epoch, writer) = (solver.options.epoch, chains.writer()?);
    let made = tokio::task::spawn_blocking(move || {
        let spec = spec(&op, &selection, under.root(), epoch)?;
        let root = held.root()?;
        let (writer, laid) = lay(&root, &spec, under.below(laid)?)?.write(&root, epoch, writer)?;
        Ok::<_, SolveError>((Unfinished::of(writer), laid))
    });
    let ((layer, blob), laid) = made.await??;
    solver.laid.keep(layer, laid);
    Ok((layer, blob))
}
