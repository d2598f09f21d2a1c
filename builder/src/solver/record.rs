//! What a build did, as far as provenance needs it.

use std::{collections::BTreeSet, sync::Arc};

use time::OffsetDateTime;

use super::{error::SolveError, step_result::StepResult};
use crate::{
    egress::RequestRecord,
    graph::{BuildGraph, Origin, VertexId, merge::Merged},
    integrity::Seen,
    oci::digest::Digest,
};

/// What one vertex produced.
#[derive(Debug, Clone, PartialEq)]
pub struct VertexResult {
    /// The file system as a stack of layers, lowest first, named by the digests of their tars.
    pub layers: Vec<Digest>,
    /// Did the vertex add the top layer?
    pub added: bool,
    /// Is it a step, and not an image that is only looked up?
    pub step: bool,
    /// Was it answered from the cache?
    pub cached: bool,
    /// What it fetched, now or when the cached result was made.
    pub requests: Vec<RequestRecord>,
    /// The ids of the caches that it could read.
    pub caches: Vec<String>,
    /// The rights that it had beyond those of every step, by name.
    pub entitlements: Vec<String>,
    /// What the steps that it stands on fetched, and what it fetched itself, as far as that could be indexes.
    pub(super) indexes: Arc<Vec<Seen>>,
}

impl VertexResult {
    /// The empty file system.
    pub(super) fn scratch() -> Self {
        Self::image(Vec::new())
    }

    /// An image as it was found.
    pub(super) fn image(layers: Vec<Digest>) -> Self {
        Self {
            layers,
            added: false,
            step: false,
            cached: false,
            requests: Vec::new(),
            caches: Vec::new(),
            entitlements: Vec::new(),
            indexes: Arc::default(),
        }
    }

    /// A step's result on top of its parent's layers.
    pub(super) fn on(parent: &[Digest], result: StepResult, cached: bool) -> Self {
        let added = result.layer.is_some();
        let layers = parent.iter().copied().chain(result.layer).collect();
        Self {
            layers,
            added,
            step: true,
            cached,
            requests: result.requests,
            caches: result.caches,
            entitlements: result.entitlements,
            indexes: Arc::default(),
        }
    }

    /// The same on top of `inputs`.
    pub(super) fn after(self, inputs: &[Self]) -> Self {
        let below = inputs.first().map(|parent| parent.indexes.clone()).unwrap_or_default();
        let own: Vec<Seen> = self.requests.iter().filter_map(Seen::of).collect();
        let indexes = match own.is_empty() {
            true => below,
            false => Arc::new(below.iter().cloned().chain(own).collect()),
        };
        Self { indexes, ..self }
    }
}

/// What an operation works on: its first input (see [`crate::graph::Op::inputs`]).
pub(super) fn parent(inputs: &[VertexResult]) -> Result<&VertexResult, SolveError> {
    inputs.first().ok_or(SolveError::EmptyChain)
}

/// The results of a build for several platforms.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Of each platform, in the order in which their graphs were given.
    pub platforms: Vec<Solved>,
    /// Of all of them together, each operation once. Its target is the first platform's.
    pub whole: Solved,
}

impl Solution {
    /// `results` are those of `merged`, which was made of `graphs`.
    pub(super) fn new(
        graphs: &[&BuildGraph],
        merged: &Merged,
        results: Vec<VertexResult>,
        started: OffsetDateTime,
    ) -> Self {
        let platform = |(graph, places): (&&BuildGraph, &Vec<VertexId>)| Solved {
            results: places.iter().map(|place| results[place.0].clone()).collect(),
            origins: graph.vertices.iter().map(|vertex| vertex.origin.clone()).collect(),
            target: graph.target.vertex,
            started,
        };
        let platforms = graphs.iter().zip(&merged.places).map(platform).collect();
        let origins = merged.vertices.iter().map(|vertex| vertex.origin.clone()).collect();
        let target = graphs.first().zip(merged.places.first());
        let target = target.map_or(VertexId(0), |(graph, places)| places[graph.target.vertex.0]);
        Self { platforms, whole: Solved { results, origins, target, started } }
    }
}

/// All results of a build for one platform, by vertex.
#[derive(Debug, Clone)]
pub struct Solved {
    pub(super) results: Vec<VertexResult>,
    pub(super) origins: Vec<Origin>,
    pub(super) target: VertexId,
    /// When solving began.
    pub started: OffsetDateTime,
}

impl Solved {
    /// The result of the stage that was asked for.
    #[must_use]
    pub fn target(&self) -> &VertexResult {
        self.vertex(self.target)
    }

    /// The result of one vertex.
    #[must_use]
    pub fn vertex(&self, id: VertexId) -> &VertexResult {
        &self.results[id.0]
    }

    /// Did any step run, rather than being answered from the cache?
    #[must_use]
    pub fn ran(&self) -> bool {
        self.results.iter().any(|result| result.step && !result.cached)
    }

    /// Everything that any step fetched.
    pub fn requests(&self) -> impl Iterator<Item = &RequestRecord> {
        self.results.iter().flat_map(|result| &result.requests)
    }

    /// The ids of the caches that steps could read, each once.
    #[must_use]
    pub fn caches(&self) -> BTreeSet<&str> {
        self.results.iter().flat_map(|result| &result.caches).map(String::as_str).collect()
    }

    /// The rights that steps had beyond those of every step, each once.
    #[must_use]
    pub fn entitlements(&self) -> BTreeSet<&str> {
        self.results.iter().flat_map(|result| &result.entitlements).map(String::as_str).collect()
    }

    /// Every step with what it fetched, in the order of the Dockerfile.
    pub fn steps(&self) -> impl Iterator<Item = (&Origin, &VertexResult)> {
        self.origins.iter().zip(&self.results)
    }
}
