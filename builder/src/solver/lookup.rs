//! What the cache knows of a step, and what it learns of it.

use serde::Serialize;

use super::{
    Solver, VertexResult, active::Active, chain::Commit, error::SolveError, event::Event, permit,
    stack::Stack, step_result::StepResult, story::Miss,
};
use crate::{graph::Origin, oci::digest::Digest};

impl Solver {
    /// The result of a step, if another step of this build made it, or else an earlier build whose result
    /// this one may use: its layer is at hand and the policy of today allows what it fetched. Where there
    /// is none, the step has claimed its key and runs: whoever has the same key waits for it.
    pub(super) async fn cached(
        &self,
        key: &Digest,
        parent: &[Digest],
    ) -> Result<Option<VertexResult>, SolveError> {
        self.held.hold(None);
        let claim = self.claims.claim(key).await;
        if let Some(result) = claim.as_ref() {
            self.tale.done(key);
            return Ok(Some(VertexResult::on(parent, result.clone(), true)));
        }
        self.held.hold(Some((*key, claim)));
        if self.options.no_cache {
            self.tale.missed(key, &Miss::NotRead);
            return Ok(None);
        }
        let mut miss = Miss::Unknown;
        if let Some(result) = self.host.cache.get::<StepResult>(key) {
            match self.usable(parent, &result).await? {
                Ok(found) => {
                    self.tale.done(key);
                    self.trail.step(key, &result, &found.layers);
                    return Ok(Some(found));
                }
                Err(unusable) => miss = unusable,
            }
        }
        if let Some(result) = self.shared.step(key) {
            match self.usable(parent, result).await? {
                Ok(found) => {
                    self.remember(key, result)?;
                    self.tale.done(key);
                    self.trail.step(key, result, &found.layers);
                    return Ok(Some(found));
                }
                Err(unusable) => miss = unusable,
            }
        }
        self.tale.missed(key, &miss);
        Ok(None)
    }

    /// What an earlier build or another machine came to, if it may be used today and its layer is at hand.
    async fn usable(
        &self,
        parent: &[Digest],
        result: &StepResult,
    ) -> Result<Result<VertexResult, Miss>, SolveError> {
        if let Some(refused) = permit::refused(&result.requests, &self.options.network) {
            return Ok(Err(Miss::Refused(refused.url.clone())));
        }
        let terms = &self.options.terms;
        if let Some(other) = result.requests.iter().find(|one| one.held_to(terms).is_err()) {
            return Ok(Err(Miss::Unlocked(other.url.clone())));
        }
        let found = VertexResult::on(parent, result.clone(), true);
        let holds = self.host.chains.holds(&found.layers).await?;
        Ok(if holds { Ok(found) } else { Err(Miss::LayerGone) })
    }

    /// Ends a step that ran: what it wrote over `below` becomes a layer on its parent's, and `found` with
    /// that layer is stored for later builds.
    pub(super) async fn conclude(
        &self,
        active: Active,
        below: &[Digest],
        parent: &VertexResult,
        key: &Digest,
        want: Commit,
        found: StepResult,
    ) -> Result<VertexResult, SolveError> {
        let layer = self.host.chains.commit(active, below, want, &self.at).await?;
        self.concluded(key, StepResult { layer: Some(layer), ..found }, parent)
    }

    /// Ends a step whose layer is there.
    pub(super) fn concluded(
        &self,
        key: &Digest,
        result: StepResult,
        parent: &VertexResult,
    ) -> Result<VertexResult, SolveError> {
        self.remember(key, &result)?;
        self.tale.done(key);
        let done = VertexResult::on(&parent.layers, result.clone(), false);
        Stack::note(&self.host.cache, &done.layers, &self.at.text, false);
        self.trail.step(key, &result, &done.layers);
        Ok(done)
    }

    /// Stores a step's result for later builds.
    pub(super) fn remember(&self, key: &Digest, result: &StepResult) -> Result<(), SolveError> {
        self.held.fulfil(key, result);
        self.host.cache.put(key, result).map_err(SolveError::store(self.host.cache.dir()))
    }

    /// Notes what enters a step's cache key, to tell a later build what changed.
    pub(super) fn ingredients<T: Serialize>(&self, inputs: &T) {
        self.tale.inputs(inputs, &|text| self.mask.hides(text));
    }

    /// Tells that a step runs, and why.
    pub(super) fn begin(&self, origin: &Origin) {
        self.observer.event(Event::Started(origin));
        self.observer.event(Event::Missed(origin, &self.tale.reasons()));
    }
}
