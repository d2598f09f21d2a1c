//! Executes the graph: each vertex waits for its inputs only.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, Shared, join_all, select, try_join_all},
};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::{
    add,
    claims::{Claims, Held},
    copy,
    diary::Diary,
    error::SolveError,
    event::{Event, Observer, Wait},
    failures,
    foresight::Contents,
    grounds::Grounds,
    host::Host,
    lay::LaidLayers,
    named,
    options::SolveOptions,
    record::{Solution, VertexResult, parent},
    run,
    secret_mask::SecretMask,
    shared::SharedSteps,
    story::{Story, Tale},
    trail::Trail,
    uses::{Uses, planned},
};
use crate::{
    graph::{BuildGraph, Op, Origin, Vertex, merge::merge},
    integrity::{ReadIndexes, same},
    oci::{digest::Digest, reference::Reference},
    source::{
        context::Context,
        image::{ResolvedImage, ResolvedImages},
        stat_cache::StatCache,
    },
};

/// Executes build graphs.
#[derive(Debug, Clone)]
pub struct Solver {
    pub(super) host: Arc<Host>,
    pub(super) options: Arc<SolveOptions>,
    pub(super) context: Arc<Context>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) stat_cache: Arc<Mutex<StatCache>>,
    pub(super) cancel: CancellationToken,
    /// What no output may show.
    pub(super) mask: Arc<SecretMask>,
    /// What other machines made.
    pub(super) shared: Arc<SharedSteps>,
    /// What this build came by.
    pub(super) trail: Arc<Trail>,
    /// Compress the layers of every step, not only those of the image.
    pub(super) all: bool,
    /// The digests of the named contexts that are directories.
    pub(super) named: Arc<Mutex<BTreeMap<String, Digest>>>,
    /// The instruction that names each base image.
    images: Arc<HashMap<Reference, Origin>>,
    slots: Arc<Semaphore>,
    pub(super) claims: Arc<Claims>,
    pub(super) laid: Arc<LaidLayers>,
    /// The indexes of packages that were read.
    pub(super) read: ReadIndexes,
    pub(super) grounds: Arc<Grounds>,
    /// What is known of the context.
    pub(super) contents: Arc<Contents>,
    /// The step that this value was made for, and will another one mount what it makes?
    pub(super) at: Arc<Origin>,
    pub(super) mounted: bool,
    /// What it has claimed.
    pub(super) held: Arc<Held>,
    /// What there is to tell of the build.
    story: Option<Arc<Story>>,
    /// What there is to tell of the step.
    pub(super) tale: Arc<Tale>,
}

type Pending = Shared<BoxFuture<'static, Result<VertexResult, Arc<SolveError>>>>;

impl Solver {
    /// A solver for one build.
    #[must_use]
    pub fn new(
        host: Arc<Host>,
        options: SolveOptions,
        context: Arc<Context>,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(host.jobs.max(1)));
        let stat_cache = Arc::new(Mutex::new(StatCache::load(&host.stat_cache)));
        let mask = Arc::new(SecretMask::new(options.secrets.values()));
        let options = Arc::new(options);
        Self {
            host,
            options,
            context,
            observer,
            stat_cache,
            cancel,
            mask,
            shared: Arc::default(),
            trail: Arc::default(),
            all: false,
            named: Arc::default(),
            images: Arc::default(),
            slots,
            claims: Arc::default(),
            laid: Arc::default(),
            read: ReadIndexes::default(),
            grounds: Arc::default(),
            contents: Arc::default(),
            mounted: true,
            at: Arc::default(),
            held: Arc::default(),
            story: None,
            tale: Arc::default(),
        }
    }

    /// Executes what the targets of all graphs need, each operation once. What needs a step that failed
    /// does not run, all others go on; each is waited for, so that nothing is left behind.
    ///
    /// # Errors
    /// The failures of the steps.
    pub async fn solve(
        &self,
        graphs: &[&BuildGraph],
        images: &ResolvedImages,
    ) -> Result<Solution, Arc<SolveError>> {
        let merged = merge(graphs);
        self.refuse(&merged.vertices)?;
        self.emulate(&merged.vertices).await?;
        self.observer.event(Event::Planned(&planned(&merged.vertices)));
        self.host.egress.expect(run::networked(&merged.vertices));
        let started = OffsetDateTime::now_utc();
        let uses = Uses::of(graphs, &merged, self.options.compress, self.all);
        let diary = Diary::new(&self.host.cache, &self.options.project);
        let story = Story::new(diary, self.options.epoch, graphs, &merged.vertices, images);
        let story = Arc::new(story);
        let solver = Self {
            images: Arc::new(image_lines(&merged.vertices)),
            story: Some(story.clone()),
            ..self.clone()
        };
        let mut pending: Vec<Pending> = Vec::with_capacity(merged.vertices.len());
        for (number, vertex) in merged.vertices.iter().enumerate() {
            let inputs: Vec<Pending> =
                vertex.op.inputs().iter().map(|input| pending[input.0].clone()).collect();
            let step = Self { mounted: uses.mounts(number), ..solver.clone() };
            pending.push(step.vertex(vertex.clone(), inputs, images, uses.exports(number)));
        }
        let foresight = pin!(self.foresee(&merged.vertices));
        // When the steps are done, there is nothing more to foresee.
        let results = match select(join_all(pending), foresight).await {
            Either::Left((results, _)) => results,
            Either::Right(((), steps)) => steps.await,
        };
        story.end();
        let results = failures::outcome(results)?;
        let requests = results.iter().flat_map(|result| &result.requests);
        same(requests, &self.host.content).map_err(|error| Arc::new(error.into()))?;
        Ok(Solution::new(graphs, &merged, results, started))
    }

    fn vertex(
        &self,
        vertex: Vertex,
        inputs: Vec<Pending>,
        images: &ResolvedImages,
        exported: bool,
    ) -> Pending {
        let solver = self.clone();
        let image = match &vertex.op {
            Op::Image(op) => images.get(&op.reference, &op.platform).cloned(),
            _ => None,
        };
        async move {
            let inputs = try_join_all(inputs).await?;
            let done = match (&vertex.op, image) {
                (Op::Image(_), Some(image)) => Ok(solver.image(&vertex.origin, &image, exported)),
                _ if solver.options.fresh.holds(&vertex.origin.stage) => {
                    solver.without_cache().step(&vertex, &inputs, exported).await
                }
                _ => solver.step(&vertex, &inputs, exported).await,
            };
            done.map(|done| done.after(&inputs))
        }
        .boxed()
        .shared()
    }

    /// The same, which does not read the cache.
    fn without_cache(&self) -> Self {
        let options = SolveOptions { no_cache: true, ..(*self.options).clone() };
        Self { options: Arc::new(options), ..self.clone() }
    }

    /// Notes the digest of a named context that is a directory.
    pub(super) fn name(&self, name: &str, digest: Digest) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.insert(name.to_owned(), digest);
    }

    /// The digests of the named contexts that are directories and were used.
    #[must_use]
    pub fn named_digests(&self) -> BTreeMap<String, Digest> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds what no step can do before any step runs.
    fn refuse(&self, vertices: &[Vertex]) -> Result<(), Arc<SolveError>> {
        for vertex in vertices {
            if let Op::Run(op) = &vertex.op {
                let refused = run::refuse(op, self.options.allow);
                refused.map_err(|error| Arc::new(error.at(&vertex.origin)))?;
            }
        }
        Ok(())
    }

    fn image(&self, origin: &Origin, image: &ResolvedImage, exported: bool) -> VertexResult {
        self.observer.event(Event::Base(origin, &image.reference, &image.digest));
        let chains = &self.host.chains;
        for (diff_id, blob) in &image.layers {
            chains.fetchable(*diff_id, &image.reference, blob);
            if exported {
                chains.bases.exported(*diff_id);
            }
        }
        let layers: Vec<Digest> = image.layers.iter().map(|(diff_id, _)| *diff_id).collect();
        if !self.mounted {
            self.grounds.add(&layers);
        }
        VertexResult::image(layers)
    }

    /// The right to run; waits until one of the steps that have it gives it back.
    async fn slot(&self, origin: &Origin) -> Result<SemaphorePermit<'_>, SolveError> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        self.observer.event(Event::Waiting(origin, Wait::Slot));
        let slot = self.slots.acquire().await.map_err(|_| SolveError::Cancelled)?;
        self.observer.event(Event::Resumed(origin));
        Ok(slot)
    }

    async fn step(
        &self,
        vertex: &Vertex,
        inputs: &[VertexResult],
        exported: bool,
    ) -> Result<VertexResult, Arc<SolveError>> {
        if vertex.op == Op::Scratch {
            return Ok(VertexResult::scratch());
        }
        let origin = &vertex.origin;
        let _slot = self.slot(origin).await?;
        // What it claims is given back with it, however the step ends.
        let tale = self.story.as_ref().map(|story| story.tale(vertex, inputs));
        let (tale, at) = (Arc::new(tale.unwrap_or_default()), Arc::new(origin.clone()));
        let solver = &Self { held: Arc::default(), at, tale, ..self.clone() };
        if self.cancel.is_cancelled() {
            return Err(Arc::new(SolveError::Cancelled));
        }
        let began = Instant::now();
        self.observer.event(Event::Checking(origin));
        let outcome = match &vertex.op {
            Op::Scratch => Ok(VertexResult::scratch()),
            Op::Image(op) => Err(SolveError::Unresolved(op.reference.clone())),
            Op::Named(op) => named::solve(solver, op, origin, exported).await,
            Op::Run(op) => run::solve(solver, op, origin, inputs, exported).await,
            Op::Copy(op) if !op.remote.is_empty() => {
                add::solve(solver, op, origin, parent(inputs)?, inputs.get(1), exported).await
            }
            Op::Copy(op) => {
                copy::solve(solver, op, origin, parent(inputs)?, inputs.get(1), exported).await
            }
            Op::Mkdir(op) => {
                copy::make_directory(solver, op, origin, parent(inputs)?, exported).await
            }
        };
        match &outcome {
            Ok(result) if result.cached => self.observer.event(Event::Cached(origin)),
            Ok(_) => self.observer.event(Event::Finished(origin, began.elapsed())),
            Err(error) if error.is_cancelled() => {
                self.observer.event(Event::Cancelled(origin, began.elapsed()));
            }
            Err(_) => self.observer.event(Event::Failed(origin, began.elapsed())),
        }
        outcome.map_err(|error| {
            if failures::ends_all(&error) {
                self.cancel.cancel();
            }
            // A layer of a base image is fetched when a step needs it; the line at fault is its FROM.
            let line = match &error {
                SolveError::Base { reference, .. } => self.images.get(reference).unwrap_or(origin),
                _ => origin,
            };
            Arc::new(error.at(line))
        })
    }
}

fn image_lines(vertices: &[Vertex]) -> HashMap<Reference, Origin> {
    let image = |vertex: &Vertex| match &vertex.op {
        Op::Image(op) => Some((op.reference.clone(), vertex.origin.clone())),
        _ => None,
    };
    // The first line that names an image is the one to show.
    vertices.iter().rev().filter_map(image).collect()
}
