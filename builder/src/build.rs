//! The whole story of a build, one line per stage.

use std::{collections::BTreeMap, sync::Arc};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use touchmark_attest::{predicate::hardening::HardeningReport, sign::Signer};

use crate::{
    attestations::{AttestError, Predicates, kept::sign_or_keep},
    base_trust::{BaseTrust, BaseTrustError},
    dockerfile::{Diagnostic, Dockerfile},
    export::{self, ExportError, Outputs, artifact::Artifact},
    graph::{self, BaseImage, BuildGraph, BuildOptions, ConfigLines},
    harden::{HardenError, HardenOptions},
    image::{
        Sealed,
        assemble::assemble,
        described::{DescribeError, Description, describe},
        hardened::harden,
    },
    provenance::{self, ContextRecord, Facts, Parameters, ProvenanceError},
    sbom::fetched::fetched,
    solver::{
        SolveOptions, Solver,
        error::SolveError,
        event::{Event, Observer},
        host::Host,
    },
    source::{
        context::Context,
        error::SourceError,
        git::GitState,
        image::{ImageSourceError, ResolvedImages, resolve_images},
    },
};

/// What is to be built, and what becomes of it.
pub struct BuildRequest {
    /// The Dockerfile's text.
    pub source: String,
    /// Target, arguments, platform.
    pub options: BuildOptions,
    /// Where COPY and ADD take files from.
    pub context: Arc<Context>,
    /// The commit of the context, where it is a git work tree.
    pub git: Option<GitState>,
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
    /// Who signs; nothing is attached without one.
    pub signer: Option<Arc<dyn Signer>>,
    /// Where the image goes.
    pub outputs: Outputs,
    /// Versions of touchmark and the worker's parts.
    pub versions: BTreeMap<String, String>,
    /// Names this run.
    pub invocation: String,
}

/// What was built.
#[derive(Debug)]
pub struct Build {
    /// The image.
    pub image: Sealed,
    /// What stands beside it: one signed bundle per statement.
    pub artifacts: Vec<Artifact>,
    /// What hardening changed.
    pub hardening: HardeningReport,
}

/// Why there is no image. The roof's one error: each room keeps its own below.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the error of the room it names")]
pub enum BuildError {
    #[error("the Dockerfile has {} fault(s)", .0.len())]
    Dockerfile(Vec<Diagnostic>),
    #[error(transparent)]
    Image(#[from] ImageSourceError),
    #[error(transparent)]
    BaseTrust(#[from] BaseTrustError),
    #[error(transparent)]
    Context(#[from] SourceError),
    #[error(transparent)]
    Solve(#[from] Arc<SolveError>),
    #[error("{error}")]
    Harden { error: HardenError, lines: ConfigLines },
    #[error(transparent)]
    Describe(#[from] DescribeError),
    #[error(transparent)]
    Provenance(#[from] ProvenanceError),
    #[error(transparent)]
    Attest(#[from] AttestError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
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
    let images = base_images(&dockerfile, request, host).await?;
    let graph = graph::lower(&dockerfile, &request.options, &images.configs())
        .map_err(BuildError::Dockerfile)?;
    graph.warnings.iter().for_each(|doubt| observer.event(Event::Doubt(doubt)));
    unused(&request.options, &graph, observer.as_ref());
    let solver = Solver::new(
        host.clone(),
        request.solve.clone(),
        request.context.clone(),
        observer.clone(),
        cancel.clone(),
    );
    let solved = solver.solve(&graph, &images).await?;
    let context = solver.context_digest().await?;
    let image = assemble(&graph.target, &solved, &host.chains, request.solve.epoch)
        .await
        .map_err(Arc::new)?;
    let lines = || graph.target.lines.clone();
    let options =
        HardenOptions { inherited_cmd: graph.target.lines.cmd.is_none(), ..request.harden.clone() };
    let hardened = harden(image, &options, &host.content, &host.cache)
        .await
        .map_err(|error| BuildError::Harden { error, lines: lines() })?;
    let sealed = hardened.image.seal()?;
    let sbom = match request.sbom {
        true => {
            let description = Description {
                name: request.outputs.name().unwrap_or_else(|| "image".into()),
                diff_ids: hardened.image.config.rootfs.diff_ids.clone(),
                epoch: request.solve.epoch,
                fetched: fetched(solved.requests()),
            };
            Some(describe(&sealed, description, &host.content, &host.cache).await?)
        }
        false => None,
    };
    let parameters =
        Parameters { build_args: graph.used_args.clone(), ..request.parameters.clone() };
    let facts = Facts {
        parameters: &parameters,
        images: images.iter().collect(),
        context: &ContextRecord { digest: context, git: request.git.clone() },
        solved: &solved,
        hardening: &serde_json::to_vec(&hardened.report)?,
        invocation: request.invocation.clone(),
        finished: OffsetDateTime::now_utc(),
        versions: request.versions.clone(),
    };
    let provenance = request.provenance.then(|| provenance::provenance(&facts)).transpose()?;
    let predicates = Predicates { provenance, sbom, hardening: hardened.report };
    let artifacts = match &request.signer {
        Some(signer) => sign_or_keep(
            &sealed.descriptor,
            request.outputs.name().as_deref(),
            &predicates,
            signer.as_ref(),
            (&host.cache, solved.ran()),
        )?,
        None => Vec::new(),
    };
    export::export(&sealed, &artifacts, &request.outputs, host, observer.as_ref()).await?;
    Ok(Build { image: sealed, artifacts, hardening: predicates.hardening })
}

/// Names the build arguments that no ARG took: mostly a typing error.
fn unused(options: &BuildOptions, graph: &BuildGraph, observer: &dyn Observer) {
    let given = options.build_args.iter().filter(|(_, value)| value.is_some());
    let given = given.filter(|(name, _)| !graph::options::is_proxy(name));
    for (name, _) in given.filter(|(name, _)| !graph.used_args.contains_key(*name)) {
        observer.event(Event::Warning(&format!(
            "the build argument '{name}' is not used: no ARG of what is built takes it"
        )));
    }
}

/// Every image that the target needs. The ONBUILD triggers of one base can name more, so it goes on until
/// nothing new comes up.
async fn base_images(
    dockerfile: &Dockerfile,
    request: &BuildRequest,
    host: &Host,
) -> Result<ResolvedImages, BuildError> {
    let mut images = ResolvedImages::default();
    loop {
        let wanted = graph::base_images_with(dockerfile, &request.options, &images.configs())
            .map_err(BuildError::Dockerfile)?;
        let missing: Vec<BaseImage> = wanted
            .into_iter()
            .filter(|image| images.get(&image.reference, &image.platform).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(images);
        }
        images.extend(resolve_images(&missing, &host.registry, &host.content).await?);
        request.base_trust.check(&missing, &images, &host.registry).await?;
    }
}
