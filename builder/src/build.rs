//! The whole story of a build, one line per stage: `plan` says for each platform what there is to do,
//! `attempt` has it done, `platform` makes an image of what was done, `files` takes its files instead, `statements` gathers the
//! images and signs what is said.

mod attempt;
mod doubts;
mod files;
pub mod layouts;
mod pinned;
mod plan;
mod platform;
mod statements;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;
use touchmark_attest::sign::Signer;

use self::{
    attempt::Attempt,
    layouts::Layouts,
    plan::{PlatformPlan, plan},
};
use crate::{
    attestations::AttestError,
    base_trust::{BaseTrust, BaseTrustError},
    dockerfile::{Diagnostic, Dockerfile},
    downloads::{Breaches, Lock},
    export::{self, ExportError, outputs::Outputs, product::Product},
    graph::{self, BuildGraph, BuildOptions, ConfigLines},
    harden::{HardenError, HardenOptions},
    image::{described::DescribeError, outcomes::Outcomes},
    lint::selection::CheckError,
    oci::platform::Platform,
    provenance::{FetchedInput, Parameters, ProvenanceError},
    shared_cache::{
        CacheError, SharedCache,
        import::{Imported, import},
    },
    solver::{
        SolveOptions,
        error::SolveError,
        event::{Event, Observer},
        host::Host,
        phase::{Phase, PhaseKind},
        settings::FreshStages,
        telling::told,
    },
    source::{context::Context, error::SourceError, git::GitState, image::ImageSourceError},
};

/// What is to be built, and what becomes of it.
pub struct BuildRequest {
    /// The Dockerfile's text.
    pub source: String,
    /// Target, arguments and labels; the platform is one of `platforms`.
    pub options: BuildOptions,
    /// The platforms to build for, each once, in this order. One makes an image, several an image index.
    pub platforms: Vec<Platform>,
    /// Where COPY and ADD take files from.
    pub context: Arc<Context>,
    /// The commit of the context, where it is a git work tree.
    pub git: Option<GitState>,
    /// What was fetched to get the context and the Dockerfile.
    pub fetched: Vec<FetchedInput>,
    /// Images of OCI layouts, by the references that stand for them.
    pub layouts: Layouts,
    /// Which base images must be signed.
    pub base_trust: BaseTrust,
    /// Epoch, cache, network.
    pub solve: SolveOptions,
    /// What hardening does.
    pub harden: HardenOptions,
    /// What provenance says was asked for; the arguments that were used are filled in here.
    pub parameters: Parameters,
    /// Attach an SBOM.
    pub sbom: bool,
    /// Attach provenance.
    pub provenance: bool,
    /// What is laid beside files that are exported without an image.
    pub beside_files: BesideFiles,
    /// Who signs; nothing is attached without one.
    pub signer: Option<Arc<dyn Signer>>,
    /// Caches that are shared with other machines.
    pub shared: SharedCache,
    /// Where the image goes.
    pub outputs: Outputs,
    /// Versions of touchmark and the worker's parts.
    pub versions: BTreeMap<String, String>,
    /// Names this run.
    pub invocation: String,
}

/// Documents about files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BesideFiles {
    /// `sbom.spdx.json`.
    pub sbom: bool,
    /// `provenance.json`.
    pub provenance: bool,
}

/// What was built.
#[derive(Debug)]
pub struct Build {
    /// The image, or the images of all platforms, with what stands beside them: once in every form that
    /// an output wants, and not at all where only files are wanted.
    pub products: Vec<Product>,
    /// What it took from elsewhere, as a lock file has it.
    pub lock: Lock,
    /// What cannot be pinned: addresses with the reason.
    pub unpinned: BTreeSet<String>,
}

/// Why there is no image. The roof's one error: each room keeps its own below.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the error of the room it names")]
pub enum BuildError {
    #[error("the Dockerfile has {} fault(s)", .0.len())]
    Dockerfile(Vec<Diagnostic>),
    #[error("there is no platform to build for")]
    NoPlatform,
    #[error(transparent)]
    Terms(#[from] Breaches),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Image(Box<ImageSourceError>),
    #[error(transparent)]
    BaseTrust(Box<BaseTrustError>),
    #[error(transparent)]
    Context(#[from] SourceError),
    #[error(transparent)]
    Solve(#[from] Arc<SolveError>),
    #[error("{error}")]
    Harden { error: Box<HardenError>, lines: Box<ConfigLines> },
    #[error(transparent)]
    Describe(#[from] DescribeError),
    #[error(transparent)]
    Provenance(#[from] ProvenanceError),
    #[error(transparent)]
    Attest(#[from] AttestError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(
        "the shared cache was not written: {0}\nhelp: ignore-error=true lets the build pass without it"
    )]
    Share(Box<CacheError>),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

impl From<ImageSourceError> for BuildError {
    fn from(error: ImageSourceError) -> Self {
        Self::Image(Box::new(error))
    }
}

impl From<CacheError> for BuildError {
    fn from(error: CacheError) -> Self {
        Self::Share(Box::new(error))
    }
}

impl From<BaseTrustError> for BuildError {
    fn from(error: BaseTrustError) -> Self {
        Self::BaseTrust(Box::new(error))
    }
}

/// Builds, hardens, describes, signs and publishes. Everything is where it belongs before a tag moves.
///
/// # Errors
/// See [`BuildError`]; then no tag was moved and no output is half written.
pub async fn build(
    request: &BuildRequest,
    host: &Arc<Host>,
    observer: &Arc<dyn Observer>,
    cancel: &CancellationToken,
) -> Result<Build, BuildError> {
    let dockerfile = Dockerfile::parse(&request.source).map_err(BuildError::Dockerfile)?;
    // Everything that is about files waits for this look; meanwhile registries are asked. A fault shows there.
    let context = request.context.clone();
    drop(tokio::task::spawn_blocking(move || context.survey().map(drop)));
    let tell = observer.as_ref();
    export::check(&request.outputs).await?;
    let planned = told(tell, Phase::only(PhaseKind::Resolve), plan(&dockerfile, request, host));
    let (planned, shared) = tokio::join!(planned, shared(request, host, observer));
    let (plans, images) = planned?;
    doubts::tell(&dockerfile, request, &images.configs(), observer.as_ref())?;
    unused(&request.options, &plans, observer.as_ref());
    if let Some(plan) = plans.first() {
        unknown_stages(&request.solve.fresh, &plan.graph, observer.as_ref());
    }
    let (plans, images) = (&plans, &images);
    let Imported { steps: shared, told } = shared;
    let outcomes = Outcomes::new(host.cache.clone(), told, !request.shared.to.is_empty());
    let attempt = Attempt { request, host, observer, cancel, plans, images, shared, outcomes };
    let done = attempt.done().await?;
    export::export(&done.results, &request.outputs, host, tell, &done.uploads).await?;
    attempt.share(&done).await?;
    let (lock, unpinned) = pinned::pinned(request, images, done.whole());
    Ok(Build { products: done.results.products, lock, unpinned })
}

/// What other machines made, where the build may use results at all.
async fn shared(
    request: &BuildRequest,
    host: &Arc<Host>,
    observer: &Arc<dyn Observer>,
) -> Imported {
    match request.solve.no_cache {
        true => Imported::default(),
        false => import(&request.shared, host, observer).await,
    }
}

/// Names what `--no-cache-filter` asks for and no stage bears.
fn unknown_stages(fresh: &FreshStages, graph: &BuildGraph, observer: &dyn Observer) {
    for name in fresh.unknown(graph) {
        observer.event(Event::Warning(&format!(
            "--no-cache-filter: no stage that is built is called '{name}'"
        )));
    }
}

/// Names the build arguments that no ARG took: mostly a typing error. Those that speak to the builder
/// itself are not meant for one.
fn unused(options: &BuildOptions, plans: &[PlatformPlan], observer: &dyn Observer) {
    let given = options.build_args.iter().filter(|(_, value)| value.is_some());
    // Some reach further than to an ARG.
    let global = |name: &str| name == "SOURCE_DATE_EPOCH" || name.starts_with("BUILDKIT_");
    let given = given.filter(|(name, _)| !graph::options::is_proxy(name) && !global(name));
    let used = |name: &String| plans.iter().any(|plan| plan.graph.used_args.contains_key(name));
    for (name, _) in given.filter(|(name, _)| !used(name)) {
        observer.event(Event::Warning(&format!(
            "the build argument '{name}' is not used: no ARG of what is built takes it"
        )));
    }
}
