//! Everything about a build that can be found wrong before anything starts: files, flags, policy,
//! Dockerfile.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use touchmark_builder::{
    dockerfile::Dockerfile,
    downloads::Breaches,
    egress::Logins,
    export::outputs::Outputs,
    graph::{BuildOptions, NetworkMode},
    harden::Seen,
    oci::{digest::Digest, platform::Platform},
    policy::{NetworkPolicy, Policy, harden::Level},
    provenance::{FetchedInput, Parameters},
    sbom,
    secret::SecretBytes,
    solver::settings::{Entitlements, StepSettings},
    source::{context::Context, git::GitState},
    ssh::SshAgent,
};

use super::{
    arguments::{BuildArgs, evidence::Detail, result::HardenArg, steps::NetworkArg},
    context::{self, Asked, Found, Gathered, NamedContexts},
    lock::Locking,
    outputs, settings, ssh,
};
use crate::{
    config::{self, Config},
    error::CliError,
    policy_file::{self, PolicyFile},
};

/// What was asked for, read and checked.
pub(super) struct Plan {
    /// The Dockerfile's name as messages show it.
    pub(super) dockerfile_name: String,
    /// Its text.
    pub(super) source: String,
    pub(super) options: BuildOptions,
    /// The platforms to build for, each once, in the order given.
    pub(super) platforms: Vec<Platform>,
    pub(super) context: Arc<Context>,
    pub(super) git: Option<GitState>,
    /// What was fetched to get the context and the Dockerfile.
    pub(super) fetched: Vec<FetchedInput>,
    pub(super) named: NamedContexts,
    pub(super) policy: Policy,
    pub(super) policy_dir: PathBuf,
    pub(super) epoch: i64,
    pub(super) outputs: Outputs,
    pub(super) secrets: Arc<BTreeMap<String, SecretBytes>>,
    /// What logs in with mirrors.
    pub(super) logins: Logins,
    pub(super) agents: Arc<BTreeMap<String, Arc<SshAgent>>>,
    pub(super) settings: StepSettings,
    pub(super) allow: Entitlements,
    pub(super) parameters: Parameters,
    /// What tells this Dockerfile from others.
    pub(super) project: String,
    /// What the build is held to.
    pub(super) locking: Locking,
    /// What is seen in layers on their way.
    pub(super) seen: Seen,
}

impl Plan {
    /// Reads and checks.
    pub(super) fn new(
        args: &BuildArgs,
        asked: &Asked,
        gathered: Gathered,
        secrets: Arc<BTreeMap<String, SecretBytes>>,
        config: &Config,
    ) -> Result<Self, CliError> {
        let Found { context, name, source, git, fetched, policies } =
            context::found(asked, gathered, config)?;
        let locking = Locking::read(&args.source, &policies, asked.is_remote())?;
        held(&fetched, git.as_ref(), &locking)?;
        Dockerfile::parse(&source).map_err(|faults| super::faults(&name, &source, &faults))?;
        let PolicyFile { mut policy, text: policy_text, dir: policy_dir } = policy(args, policies)?;
        match args.result.harden {
            Some(HardenArg::Off) => policy.harden.level = Level::Off,
            Some(HardenArg::Baseline) => policy.harden.level = Level::Baseline,
            None => {}
        }
        let platforms = platforms(&args.source.platform)?;
        let named = NamedContexts::read(&args.source.build_context)?;
        let options = options(args, &platforms, &named)?;
        let given = options.build_args.get(config::SOURCE_DATE_EPOCH).and_then(Option::as_deref);
        let epoch = match (given.map_or(Ok(None), config::epoch)?, &git) {
            (Some(epoch), _) => epoch,
            (None, Some(git)) => git.time,
            (None, None) => 0,
        };
        let (settings, allow) = (settings::read(&args.steps)?, settings::allowed(&args.steps)?);
        let parameters = Parameters {
            dockerfile: name.clone(),
            dockerfile_digest: Some(Digest::of(source.as_bytes())),
            target: args.source.target.clone(),
            labels: options.labels.clone(),
            harden: policy.harden.level.as_str().into(),
            network: network_name(args.steps.network).into(),
            steps: settings::parameters(&settings, allow),
            policy_digest: policy_text.map(|text| Digest::of(text.as_bytes())),
            epoch,
            without_values: args.evidence.provenance() == Some(Detail::Min),
            ..Parameters::default()
        };
        // Where something was fetched to differs from build to build; where it is from does not.
        let place = match asked.is_remote() {
            true => args.context.as_path(),
            false => context.dir(),
        };
        let project = format!("{}\n{name}", place.display());
        Ok(Self {
            project,
            locking,
            seen: Seen::wanting(sbom::wants),
            logins: logins(&policy.network, &secrets, args)?,
            secrets,
            named,
            fetched,
            agents: Arc::new(ssh::read(&args.steps.ssh)?),
            settings,
            allow,
            outputs: outputs::parse(&args.result, &platforms, config)?,
            dockerfile_name: name,
            source,
            options,
            platforms,
            context: Arc::new(context),
            git,
            policy,
            policy_dir,
            epoch,
            parameters,
        })
    }
}

/// Is what the command line names as it is locked?
fn held(
    fetched: &[FetchedInput],
    git: Option<&GitState>,
    locking: &Locking,
) -> Result<(), CliError> {
    let commit =
        git.and_then(|git| locking.terms.check_commit(&git.locked_uri()?, &git.commit).err());
    let known = fetched.iter().filter(|input| !input.uri.is_empty());
    let breach =
        |input: &FetchedInput| locking.terms.check_file(&input.uri, 200, input.digest).err();
    match known.filter_map(breach).chain(commit).collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        all => Err(CliError::failed(Breaches(all).to_string())),
    }
}

/// The policy: the one that was named, else the one beside the Dockerfile or in the context.
fn policy(args: &BuildArgs, usual: Vec<PathBuf>) -> Result<PolicyFile, CliError> {
    let usual = || usual.into_iter().find(|path| path.exists());
    policy_file::read(args.source.policy.clone().or_else(usual).as_deref())
}

/// `--platform`, several times or separated by commas. `local` is this machine's.
pub(super) fn platforms(texts: &[String]) -> Result<Vec<Platform>, CliError> {
    let host = Platform::host();
    let mut platforms = Vec::new();
    for text in texts.iter().flat_map(|text| text.split(',')).map(str::trim) {
        let platform = match text {
            "local" => Some(host.clone()),
            text => Platform::specified(text, &host),
        };
        let platform = platform.ok_or_else(|| {
            CliError::usage(format!("--platform: '{text}' is not a platform"))
                .hint("write os/architecture, such as linux/amd64 or linux/arm64")
        })?;
        if platform.os != "linux" {
            return Err(CliError::usage(format!(
                "--platform: images for {platform} cannot be built"
            ))
            .hint("touchmark builds for linux: linux/amd64, linux/arm64, …"));
        }
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        platforms.push(host);
    }
    Ok(platforms)
}

pub(super) fn options(
    args: &BuildArgs,
    platforms: &[Platform],
    named: &NamedContexts,
) -> Result<BuildOptions, CliError> {
    let host = Platform::host();
    let platform = platforms.first().cloned().unwrap_or_else(|| host.clone());
    let mut options = BuildOptions { build_platform: host, ..BuildOptions::new(platform) };
    options.platform_given = !args.source.platform.is_empty();
    options.target = args.source.target.clone();
    options.network = match args.steps.network {
        NetworkArg::Mirrors => NetworkMode::Default,
        NetworkArg::None => NetworkMode::None,
        NetworkArg::Host => NetworkMode::Host,
    };
    for text in &args.source.build_arg {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), config::text_variable_or_empty(text)?),
        };
        options.build_args.insert(name.to_owned(), value);
    }
    // As docker does: what the environment sets is a build argument that an ARG can take.
    if let Some(epoch) = config::source_date_epoch()? {
        let known = options.build_args.entry(config::SOURCE_DATE_EPOCH.to_owned());
        known.or_insert(Some(epoch));
    }
    options.labels = labels(&args.result.label)?;
    options.named_contexts.clone_from(&named.graph);
    Ok(options)
}

fn network_name(network: NetworkArg) -> &'static str {
    match network {
        NetworkArg::Mirrors => "mirrors",
        NetworkArg::None => "none",
        NetworkArg::Host => "host",
    }
}

fn labels(texts: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    texts
        .iter()
        .map(|text| match text.split_once('=').unwrap_or((text, "")) {
            ("", _) => Err(CliError::usage(format!("--label: '{text}' has no key"))),
            (key, value) => Ok((key.to_owned(), value.to_owned())),
        })
        .collect()
}

/// What logs in with mirrors. Nobody does where nobody is asked.
fn logins(
    policy: &NetworkPolicy,
    secrets: &BTreeMap<String, SecretBytes>,
    args: &BuildArgs,
) -> Result<Logins, CliError> {
    if args.source.offline {
        return Ok(Logins::default());
    }
    Logins::find(policy, secrets).map_err(|error| CliError::usage(error.to_string()))
}
