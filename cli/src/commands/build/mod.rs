//! `touchmark build`.

mod failure;
mod host;
mod outputs;
mod plan;
mod report;
mod secrets;
mod signing;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use touchmark_attest::sign::Signer;
use touchmark_builder::{
    base_trust::BaseTrust,
    build::{BuildRequest, build},
    dockerfile::{Diagnostic, excerpt},
    harden::HardenOptions,
    policy::{HardenPolicy, harden::UserRule},
    solver::{SolveOptions, event::Observer},
    source::error::SourceError,
};

use self::{plan::Plan, signing::Signing};
use crate::{
    config::Config,
    error::CliError,
    inside, runtime, signing_key,
    ui::{printer::Printer, progress::Plain},
};

/// Build an image from a Dockerfile.
///
/// Each step runs on a rootless containerd that starts by itself, as a user that is neither you nor
/// root, and reaches only allowlisted mirrors. The last stage is hardened, and is pushed together with
/// its signed SBOM, its signed provenance and a signature before any tag points at it.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Directory whose files COPY and ADD can reach
    #[arg(value_name = "CONTEXT")]
    pub(crate) context: PathBuf,
    /// Dockerfile [default: CONTEXT/Dockerfile]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Name for the image, `name:tag`; may be given several times
    #[arg(short, long, value_name = "NAME")]
    pub(crate) tag: Vec<String>,
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Value of an ARG; without `=VALUE` it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// Secret for `RUN --mount=type=secret`: `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`
    #[arg(long, value_name = "SPEC")]
    pub(crate) secret: Vec<String>,
    /// Label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// Platform of the image [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// Run every step even where its result is known
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Ask registries for newer base images (touchmark always does)
    #[arg(long)]
    pub(crate) pull: bool,
    /// What to make: `type=image[,push=true]` or `type=oci,dest=PATH[,tar=false]`
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) output: Vec<String>,
    /// Push the image; short for `--output type=image,push=true`
    #[arg(long)]
    pub(crate) push: bool,
    /// How progress is shown
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) progress: ProgressStyle,
    /// Print only the image's digest
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Write the image's configuration digest to this file
    #[arg(long, value_name = "PATH")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write digests and names of the result to this file, as JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// What RUN steps may reach: the policy's mirrors, or nothing
    #[arg(long, value_name = "MODE", value_enum, default_value_t = NetworkArg::Mirrors)]
    pub(crate) network: NetworkArg,
    /// Policy file [default: touchmark.toml beside the Dockerfile, else in the context]
    #[arg(long, value_name = "PATH")]
    pub(crate) policy: Option<PathBuf>,
    /// Hardening of the exported stage [default: what the policy says, else baseline]
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub(crate) harden: Option<HardenArg>,
    /// Attach an SBOM [default: on for --push and type=oci]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) sbom: Option<bool>,
    /// Attach provenance [default: on for --push and type=oci]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = provenance_mode)]
    pub(crate) provenance: Option<bool>,
    /// Private key that signs the image, its SBOM and its provenance [default: what the policy says]
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<String>,
    /// Neither sign nor attach anything
    #[arg(long, conflicts_with = "sign_key")]
    pub(crate) no_sign: bool,
    /// Steps that may run at the same time [default: one per processor]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) jobs: Option<usize>,
}

/// Styles of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// The best for where standard error goes
    Auto,
    /// One line per event
    Plain,
    /// Nothing but faults
    Quiet,
}

/// What the network of RUN steps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// The mirrors that the policy allows
    Mirrors,
    /// Nothing
    None,
}

/// Levels of hardening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HardenArg {
    /// Change nothing
    Off,
    /// No setuid bits, file capabilities, shells or network tools
    Baseline,
}

fn provenance_mode(text: &str) -> Result<bool, String> {
    match text {
        "false" => Ok(false),
        "true" | "max" | "mode=max" => Ok(true),
        _ => Err("give true, false or max".into()),
    }
}

/// Runs `touchmark build`.
pub(crate) fn run(args: &BuildArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    let plan = Plan::new(args, &config)?;
    let signing = Signing::choose(args, &plan)?;
    let base_trust = base_trust(&plan)?;
    let worker_config = inside::worker_config(&config)?;
    let worker = inside::join(&worker_config)?;
    let signer = signing.load(printer)?;
    runtime::block_on(async {
        let cancel = CancellationToken::new();
        interrupt(&cancel);
        let quiet = args.quiet || args.progress == ProgressStyle::Quiet;
        let asked = worker_config.clone();
        let versions = tokio::task::spawn_blocking(move || report::versions(&asked));
        let host = host::open(&plan, (args.jobs, quiet), &config, &worker).await?;
        let host = Arc::new(host);
        let observer: Arc<dyn Observer> =
            Arc::new(Plain::new(quiet, &plan.dockerfile_name, &plan.source));
        let mut request = request(args, &plan, signer, base_trust);
        request.versions = versions.await.unwrap_or_default();
        let built = build(&request, &host, &observer, &cancel).await;
        let closed = host.chains.close().await;
        match built {
            Err(_) if cancel.is_cancelled() && INTERRUPTED.load(Ordering::Relaxed) => {
                Err(CliError::interrupted())
            }
            Err(error) => Err(failure::explain(&error, &plan.dockerfile_name, &plan.source)),
            Ok(built) => {
                closed.map_err(|error| CliError::environment(error.to_string()))?;
                report::write(args, &plan, &built, printer)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })?
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ctrl-C and SIGTERM end the build in order: running steps are killed, nothing is published.
fn interrupt(cancel: &CancellationToken) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        INTERRUPTED.store(true, Ordering::Relaxed);
        cancel.cancel();
    });
}

fn request(
    args: &BuildArgs,
    plan: &Plan,
    signer: Option<Arc<dyn Signer>>,
    base_trust: BaseTrust,
) -> BuildRequest {
    BuildRequest {
        source: plan.source.clone(),
        options: plan.options.clone(),
        context: plan.context.clone(),
        git: plan.git.clone(),
        base_trust,
        solve: SolveOptions {
            epoch: plan.epoch,
            no_cache: args.no_cache,
            network: Arc::new(plan.policy.network.clone()),
            secrets: plan.secrets.clone(),
        },
        harden: harden_options(&plan.policy.harden, plan.epoch),
        parameters: plan.parameters.clone(),
        sbom: args.sbom.unwrap_or(true),
        provenance: args.provenance.unwrap_or(true),
        signer,
        outputs: plan.outputs.clone(),
        versions: BTreeMap::new(),
        invocation: report::invocation(),
    }
}

/// The keys that the policy wants base images to be signed with.
fn base_trust(plan: &Plan) -> Result<BaseTrust, CliError> {
    let registries = &plan.policy.registries;
    let keys = registries.signature_keys().map(|name| {
        let key = signing_key::load_public(&plan.policy_dir.join(name))?;
        Ok((name.to_owned(), key))
    });
    let keys = keys.collect::<Result<BTreeMap<_, _>, CliError>>()?;
    Ok(BaseTrust::new(registries.clone(), keys))
}

fn harden_options(policy: &HardenPolicy, epoch: i64) -> HardenOptions {
    HardenOptions {
        level: policy.level,
        keep: policy.keep.clone(),
        remove: policy.remove.clone(),
        epoch,
        require_nonroot: policy.user == UserRule::RequireNonroot,
        ..HardenOptions::default()
    }
}

/// Faults of a Dockerfile as they are shown: exit code 2.
pub(super) fn faults(name: &str, source: &str, faults: &[Diagnostic]) -> CliError {
    let shown = faults.iter().map(|fault| excerpt(name, source, fault).trim_end().to_owned());
    CliError::usage(shown.collect::<Vec<_>>().join("\n\n"))
}

fn source_error(error: SourceError) -> CliError {
    let shown = CliError::usage(error.to_string());
    match error.help() {
        Some(help) => shown.hint(help),
        None => shown,
    }
}
