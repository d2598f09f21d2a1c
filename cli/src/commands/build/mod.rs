//! `touchmark build`.

pub(crate) mod arguments;
mod built_image;
mod call;
mod context;
mod failure;
mod host;
mod interrupt;
mod lock;
mod metadata;
mod outputs;
mod plan;
mod report;
mod room;
mod secrets;
mod settings;
mod shared_cache;
mod signing;
mod ssh;
mod tracing;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use tokio_util::sync::CancellationToken;
use touchmark_attest::sign::Signer;
use touchmark_builder::{
    base_trust::BaseTrust,
    build::{BesideFiles, Build, BuildRequest, build},
    dockerfile::{Diagnostic, excerpt},
    harden::HardenOptions,
    policy::harden::UserRule,
    secret::SecretBytes,
    shared_cache::SharedCache,
    solver::{SolveOptions, settings::FreshStages},
    source::error::SourceError,
};

use self::{
    arguments::{BuildArgs, evidence::Detail},
    context::{Asked, Gathered},
    plan::Plan,
    room::Room,
    shared_cache::Caches,
    signing::Signing,
    tracing::Tracing,
};
pub(super) use self::{interrupt::was_interrupted, report::save, secrets::read as read_secrets};
use crate::{
    config::{self, Config},
    error::CliError,
    inside, runtime, signing_key,
    ui::{
        printer::{Printer, Talk},
        progress::{Display, DockerfileText, Style},
        surroundings::Surroundings,
    },
    workspace::Workspace,
};

/// Runs `touchmark build`.
pub(crate) fn run(args: &BuildArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    run_watched(args, printer, &|_| {})
}

/// The same for a command that builds: `seen` gets what was built.
pub(crate) fn run_watched(
    args: &BuildArgs,
    printer: &Printer,
    seen: &dyn Fn(&Build),
) -> Result<ExitCode, CliError> {
    let surroundings = config::surroundings();
    let style = args.progress.chosen(&surroundings)?;
    let printer = printer.talking(match style {
        Style::RawJson => Talk::Json,
        Style::Quiet => Talk::Silent,
        Style::Tty | Style::Plain => Talk::Text,
    });
    // An error, too, is told in the way that was asked for.
    build_image(args, (style, &surroundings), &printer, seen).or_else(|error| {
        let data = Config::from_environment().ok().map(|config| config.data_dir);
        let error = error.with_room(data.as_deref());
        printer.error(&error);
        Ok(error.exit_code())
    })
}

fn build_image(
    args: &BuildArgs,
    (style, surroundings): (Style, &Surroundings),
    printer: &Printer,
    seen: &dyn Fn(&Build),
) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    let room = Room::new(&config, printer)?;
    if !config::entered() {
        args.legacy.warnings().iter().for_each(|warning| printer.warning(warning));
    }
    let asked = Asked::new(args)?;
    let question = args.call.question();
    if let Some(question) = question.filter(|_| !asked.is_remote()) {
        return call::answer(args, &asked, Gathered::default(), question, &config, printer);
    }
    let worker_config = inside::worker_config(&config)?;
    let secrets = Arc::new(secrets::read(&args.steps.secret)?);
    // What is read or fetched first is so once: inside, where its files can have their owners.
    let early = match asked.is_remote() {
        true => Some(inside::join(&worker_config)?),
        false => None,
    };
    let (workspace, gathered) = match early {
        Some(_) => fetched(args, &asked, &secrets, &config, printer)?,
        None => (None, Gathered::default()),
    };
    if let Some(question) = question {
        return call::answer(args, &asked, gathered, question, &config, printer);
    }
    // A worker that runs can be entered at once: what is to be found wrong is found inside. Without one, that
    // is done first, so that none is started for a build that cannot be.
    if early.is_none() {
        inside::enter_running(&worker_config)?;
    }
    let plan = Plan::new(args, &asked, gathered, secrets, &config)?;
    let caches = Caches::read(&args.shared_cache)?;
    let signing = Signing::choose(args, &plan, caches.are_written())?;
    let base_trust = base_trust(&plan)?;
    let worker = match early {
        Some(worker) => worker,
        None => inside::join(&worker_config)?,
    };
    let workspace = workspace.map_or_else(|| Workspace::open(&config.data_dir), Ok)?;
    let key = signing.load(&config.data_dir, printer)?;
    let caches = caches.with_trust(&plan, &signing, &key, printer)?;
    report::forget(args)?;
    runtime::block_on(async {
        let cancel = CancellationToken::new();
        interrupt::watch(&cancel);
        let asked = worker_config.clone();
        let versions = tokio::task::spawn_blocking(move || report::versions(&asked));
        let (name, source) = (plan.dockerfile_name.clone(), plan.source.clone());
        let display = Display::open(style, surroundings, DockerfileText { name, source });
        let tracing = Tracing::begin(args, printer);
        let observer = key.watch(tracing.beside(display.observer()), &cancel);
        let host =
            host::open(&plan, args.steps.jobs, &config, &workspace, &worker, &observer).await?;
        let host = Arc::new(host);
        room.before(&host, &worker).await;
        let mut request = request(args, &plan, key.signer.clone(), base_trust);
        request.shared = caches;
        request.versions = versions.await.unwrap_or_default();
        let built = build(&request, &host, &observer, &cancel).await;
        // What was not swept now is swept by the next build.
        let (closed, _) = tokio::join!(host.chains.close(), host.sweep.done());
        let image = built.as_ref().ok().map(|built| built_image::of(built, &plan));
        built.iter().for_each(seen);
        display.close(image.as_ref(), printer);
        let interrupted = cancel.is_cancelled() && interrupt::was_interrupted();
        let trace = tracing.end(built.is_ok(), interrupted, args, printer).await;
        let told = match built {
            Err(_) if interrupted => Err(CliError::interrupted()),
            Err(error) => Err(key
                .failure()
                .unwrap_or_else(|| failure::explain(&error, &plan.dockerfile_name, &plan.source))),
            Ok(built) => closed
                .map_err(|error| CliError::environment(error.to_string()))
                .and_then(|()| report::write(args, &plan, &built, trace?.as_ref(), printer)),
        };
        room.after(&host, &worker).await;
        told.map(|()| ExitCode::SUCCESS)
    })?
}

/// Brings the context here, until it is interrupted.
fn fetched(
    args: &BuildArgs,
    asked: &Asked,
    secrets: &Arc<BTreeMap<String, SecretBytes>>,
    config: &Config,
    printer: &Printer,
) -> Result<(Option<Workspace>, Gathered), CliError> {
    let workspace = Workspace::open(&config.data_dir)?;
    let gathered = runtime::block_on(async {
        let cancel = CancellationToken::new();
        interrupt::watch(&cancel);
        let keep = context::keep_git_dir(&args.source.build_arg)?;
        let work = context::gather(
            asked,
            secrets,
            (keep, args.source.offline),
            &workspace,
            config,
            printer,
        );
        cancel.run_until_cancelled(work).await.unwrap_or_else(|| Err(CliError::interrupted()))
    })??;
    Ok((Some(workspace), gathered))
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
        platforms: plan.platforms.clone(),
        context: plan.context.clone(),
        git: plan.git.clone(),
        fetched: plan.fetched.clone(),
        layouts: plan.named.layouts.clone(),
        base_trust,
        solve: SolveOptions {
            epoch: plan.epoch,
            compress: plan.outputs.wants_image(),
            no_cache: args.steps.no_cache,
            network: Arc::new(plan.policy.network.clone()),
            terms: plan.locking.terms.clone(),
            secrets: plan.secrets.clone(),
            agents: plan.agents.clone(),
            settings: plan.settings.clone(),
            allow: plan.allow,
            fresh: FreshStages(args.steps.no_cache_filter.clone().into()),
            contexts: plan.named.files.clone(),
            project: plan.project.clone(),
        },
        harden: harden_options(plan),
        parameters: plan.parameters.clone(),
        sbom: args.evidence.sbom().unwrap_or(true),
        provenance: args.evidence.provenance() != Some(Detail::None),
        beside_files: BesideFiles {
            sbom: args.evidence.sbom() == Some(true),
            provenance: args.evidence.provenance().is_some_and(|detail| detail != Detail::None),
        },
        signer,
        shared: SharedCache::default(),
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

fn harden_options(plan: &Plan) -> HardenOptions {
    let policy = &plan.policy.harden;
    HardenOptions {
        level: policy.level,
        keep: policy.keep.clone(),
        remove: policy.remove.clone(),
        epoch: plan.epoch,
        require_nonroot: policy.user == UserRule::RequireNonroot,
        seen: plan.seen.clone(),
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
