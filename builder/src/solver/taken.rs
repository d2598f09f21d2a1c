//! Where a step takes files from: a stage, or the context as one look at it found it. All steps of a build share that
//! look, unless a file is not as it was then: who notices looks anew, once.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use super::{
    Solver, VertexResult, chain::View, error::SolveError, key::key, step_result::StepResult,
};
use crate::{
    oci::digest::Digest,
    snapshot::OWNER_SHIFT,
    source::{
        context::{Context, SourceRoot},
        error::SourceError,
        selection::Selection,
        survey::Survey,
        tree_digest::{context_digest, digest},
    },
};

/// What files are taken from.
#[derive(Debug, Clone)]
pub(super) enum Taken<'a> {
    /// A stage or an image.
    Stage(&'a VertexResult),
    /// The context.
    Context(Arc<Survey>),
    /// The context as it is on disk, for files that are shown and not kept.
    Disk,
}

/// A tree of files that stays as it is while it is held.
pub(super) enum Held {
    Stage(View),
    Context(Arc<Context>, Option<Arc<Survey>>),
}

impl<'a> Taken<'a> {
    /// Of this stage, or else of the context.
    pub(super) async fn of(
        solver: &Solver,
        stage: Option<&'a VertexResult>,
    ) -> Result<Self, SolveError> {
        match stage {
            Some(stage) => Ok(Self::Stage(stage)),
            None => {
                let context = solver.context.clone();
                let look = tokio::task::spawn_blocking(move || context.survey());
                Ok(Self::Context(look.await??))
            }
        }
    }

    /// Was the context another one than it had been seen to be? Then who asks next looks anew.
    pub(super) fn is_outdated(&self, solver: &Solver, error: &SolveError) -> bool {
        match (self, error.root()) {
            (Self::Context(survey), SolveError::Source(SourceError::Changed { .. })) => {
                solver.context.forget(survey);
                true
            }
            _ => false,
        }
    }

    /// The digest of what is copied. For a stage it is remembered by the stage's content, so that a build in
    /// which nothing changed mounts nothing.
    pub(super) async fn content(
        &self,
        solver: &Solver,
        selection: &Arc<Selection>,
    ) -> Result<Digest, SolveError> {
        match self {
            Self::Stage(stage) => of_stage(solver, selection, stage).await,
            Self::Context(survey) => solver.content(selection, Some(survey)).await,
            Self::Disk => solver.content(selection, None).await,
        }
    }

    /// The files themselves.
    pub(super) async fn held(&self, solver: &Solver) -> Result<Held, SolveError> {
        Ok(match self {
            Self::Stage(stage) => Held::Stage(solver.host.chains.view(&stage.layers).await?),
            Self::Context(survey) => Held::Context(solver.context.clone(), Some(survey.clone())),
            Self::Disk => Held::Context(solver.context.clone(), None),
        })
    }
}

impl Held {
    /// The tree to copy from.
    pub(super) fn root(&self) -> Result<SourceRoot<'_>, SourceError> {
        match self {
            Self::Stage(view) => stage(view.path()),
            Self::Context(context, Some(survey)) => context.at(survey),
            Self::Context(context, None) => context.root(),
        }
    }
}

fn stage(path: &Path) -> Result<SourceRoot<'_>, SourceError> {
    SourceRoot::stage(path, OWNER_SHIFT, "the stage or image that it names")
}

async fn of_stage(
    solver: &Solver,
    selection: &Arc<Selection>,
    source: &VertexResult,
) -> Result<Digest, SolveError> {
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
        Ok::<_, SolveError>(digest(&stage(view.path())?, &selection, None)?.digest)
    })
    .await??;
    solver.remember(&memo, &StepResult { layer: Some(found), ..StepResult::default() })?;
    solver.trail.tree(&memo, found);
    Ok(found)
}

impl Solver {
    /// The digest of everything that the context offers, for provenance. What was found out about its
    /// files is kept for the next build.
    ///
    /// # Errors
    /// When the context cannot be read.
    pub async fn context_digest(&self) -> Result<Digest, Arc<SolveError>> {
        let (context, cache) = (self.context.clone(), self.stat_cache.clone());
        let file = self.host.stat_cache.clone();
        let work = tokio::task::spawn_blocking(move || {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            let mut of = |root: &SourceRoot<'_>| context_digest(root, Some(&mut cache));
            let survey = context.survey()?;
            let found = match of(&context.at(&survey)?) {
                // Something that no step takes, or it would have been noticed: each file may be as it is now.
                Err(SourceError::Changed { .. }) => of(&context.root()?)?,
                found => found?,
            };
            cache.save(&file)?;
            Ok(found.digest)
        });
        work.await.map_err(SolveError::from).and_then(|found| found).map_err(Arc::new)
    }
}
