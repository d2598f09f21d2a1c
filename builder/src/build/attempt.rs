//! The steps, and what is made of them. A shared cache that does not keep what it promised is found out in
//! the middle of it: then all of it is done once more without that cache, and what ran by now is answered
//! from the local one.

use std::sync::Arc;

use futures::future::try_join_all;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{BuildError, BuildRequest, plan::PlatformPlan, platform::Run};
use crate::{
    export::{Results, outputs::ImageTarget, product::Product, uploads::Uploads},
    graph::BuildGraph,
    image::{ahead::Ahead, outcomes::Outcomes},
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
    provenance::{ContextRecord, builder_id},
    shared_cache::{
        SharedCache,
        export::{Facts, export},
    },
    solver::{
        Solution, Solved, Solver,
        event::{Event, Observer},
        host::Host,
        shared::SharedSteps,
        trail::Passed,
    },
    source::image::ResolvedImages,
};

/// What is to be done.
pub(super) struct Attempt<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) host: &'a Arc<Host>,
    pub(super) observer: &'a Arc<dyn Observer>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) plans: &'a [PlatformPlan],
    pub(super) images: &'a ResolvedImages,
    /// What other machines made.
    pub(super) shared: Arc<SharedSteps>,
    /// What came of images before.
    pub(super) outcomes: Outcomes,
}

/// What was done.
pub(super) struct Done {
    /// What is exported.
    pub(super) results: Results,
    /// Layers that are on their way already.
    pub(super) uploads: Uploads,
    solution: Solution,
    passed: Passed,
    finished: OffsetDateTime,
}

impl Done {
    /// What all steps did, of all platforms.
    pub(super) fn whole(&self) -> &Solved {
        &self.solution.whole
    }
}

impl Attempt<'_> {
    /// Does it, without the shared caches that turn out not to be good.
    pub(super) async fn done(&self) -> Result<Done, BuildError> {
        loop {
            let error = match self.once().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let BuildError::Solve(cause) = &error else { return Err(error) };
            let Some(name) = cause.shared_source() else { return Err(error) };
            // Each time, one fewer offers layers, so this ends.
            self.host.chains.withdraw(name);
            let root = cause.root();
            self.observer.event(Event::Warning(&format!("{root}\nthe build goes on without it")));
        }
    }

    async fn once(&self) -> Result<Done, BuildError> {
        let Self { request, host, observer, .. } = *self;
        let solver = Solver::new(
            host.clone(),
            request.solve.clone(),
            request.context.clone(),
            observer.clone(),
            self.cancel.child_token(),
        );
        let all = request.solve.compress && request.shared.wants_all();
        let solver = solver.sharing(self.shared.clone()).compressing_all(all);
        let graphs: Vec<&BuildGraph> = self.plans.iter().map(|plan| &plan.graph).collect();
        let ahead = self.ahead();
        let solution = solver.solve(&graphs, self.images).await;
        ahead.end().await;
        let solution = solution?;
        let context = ContextRecord {
            digest: solver.context_digest().await?,
            git: request.git.clone(),
            fetched: request.fetched.clone(),
            named: solver.named_digests(),
        };
        let finished = OffsetDateTime::now_utc();
        let uploads = Uploads::new(host.clone(), observer.clone());
        let tell = observer.as_ref();
        let outcomes = &self.outcomes;
        let run = Run { request, host, tell, uploads: &uploads, outcomes, context, finished };
        let results = self.results(&run, &solution).await?;
        Ok(Done { results, uploads, solution, passed: solver.trail().passed(), finished })
    }

    /// Hardens the bases of the images while the steps run.
    fn ahead(&self) -> Ahead {
        let Self { request, host, .. } = *self;
        let mut bases: Vec<Vec<(Digest, Descriptor)>> = Vec::new();
        if request.outputs.wants_image() {
            for plan in self.plans {
                let base = plan.graph.base();
                let base = base.and_then(|op| self.images.get(&op.reference, &op.platform));
                let base = base.map(|image| image.layers.clone());
                bases.extend(base.filter(|layers| !bases.contains(layers)));
            }
        }
        Ahead::begin(bases, &request.harden, &host.content, &self.outcomes)
    }

    async fn results(&self, run: &Run<'_>, solution: &Solution) -> Result<Results, BuildError> {
        let outputs = &self.request.outputs;
        let each: Vec<_> = self.plans.iter().zip(&solution.platforms).collect();
        let mut results = Results { products: Vec::new(), trees: run.trees(&each).await? };
        if outputs.wants_image() {
            let hardened = each.iter().map(|(plan, solved)| run.image(plan, solved));
            let hardened = try_join_all(hardened).await?;
            for form in outputs.forms() {
                let made = each.iter().zip(&hardened);
                let made = made.map(|((plan, solved), image)| run.made(plan, solved, image, &form));
                let made = try_join_all(made).await?;
                let release = run.release(self.plans, solution, made, &form)?;
                results.products.push(Product { form, release });
            }
        }
        Ok(results)
    }

    /// Writes the shared caches.
    pub(super) async fn share(&self, done: &Done) -> Result<(), BuildError> {
        let Self { request, host, observer, .. } = *self;
        let options: &SharedCache = &request.shared;
        if options.to.is_empty() {
            return Ok(());
        }
        let parameters = &request.parameters;
        let facts = Facts {
            builder: builder_id(&parameters.network, &done.solution.whole).to_owned(),
            versions: &request.versions,
            finished: done.finished,
            epoch: request.solve.epoch,
            platforms: request.platforms.iter().map(ToString::to_string).collect(),
            policy: parameters.policy_digest,
            invocation: &request.invocation,
            layers: done.solution.platforms.iter().map(|one| one.target().layers.clone()).collect(),
            outcomes: self.outcomes.used(),
            pushed: self.pushed(&done.results),
        };
        Ok(export(options, &done.passed, &facts, host, observer.as_ref()).await?)
    }

    /// The image in each repository that it was pushed to, once.
    fn pushed(&self, results: &Results) -> Vec<(Reference, Descriptor)> {
        let outputs = &self.request.outputs;
        let mut pushed: Vec<(Reference, Descriptor)> = Vec::new();
        for output in &outputs.images {
            let product = results.products.iter().find(|product| product.form == output.form);
            let (ImageTarget::Registry { .. }, Some(product)) = (&output.target, product) else {
                continue;
            };
            for name in outputs.names_of(output) {
                let image = product.release.descriptor();
                let same = |(known, of): &(Reference, Descriptor)| {
                    known.name() == name.name() && of.digest == image.digest
                };
                if !pushed.iter().any(same) {
                    pushed.push((name.clone(), image.clone()));
                }
            }
        }
        pushed
    }
}
