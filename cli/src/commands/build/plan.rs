//! Everything about a build that can be found wrong before anything starts: files, flags, policy,
//! Dockerfile.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use touchmark_builder::{
    dockerfile::Dockerfile,
    export::outputs::Outputs,
    graph::{BuildOptions, NetworkMode},
    oci::{digest::Digest, platform::Platform},
    policy::{Policy, harden::Level},
    provenance::Parameters,
    secret::SecretBytes,
    solver::settings::{Entitlements, StepSettings},
    source::{
        context::Context,
        git::{self, GitState},
        ignore::Ignore,
    },
    ssh::SshAgent,
};

use super::{
    arguments::{BuildArgs, result::HardenArg, steps::NetworkArg},
    outputs, secrets, settings, ssh,
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
    pub(super) policy: Policy,
    pub(super) policy_dir: PathBuf,
    pub(super) epoch: i64,
    pub(super) outputs: Outputs,
    pub(super) secrets: Arc<BTreeMap<String, SecretBytes>>,
    pub(super) agents: Arc<BTreeMap<String, Arc<SshAgent>>>,
    pub(super) settings: StepSettings,
    pub(super) allow: Entitlements,
    pub(super) parameters: Parameters,
}

/// A larger Dockerfile is none, in bytes.
const MAX_TEXT: u64 = 16 * 1024 * 1024;

impl Plan {
    /// Reads and checks.
    pub(super) fn new(args: &BuildArgs, config: &Config) -> Result<Self, CliError> {
        let context_dir = context_dir(&args.context)?;
        let (path, name) = dockerfile_path(args, &context_dir);
        let source = text(&path, &name)?;
        Dockerfile::parse(&source).map_err(|faults| super::faults(&name, &source, &faults))?;
        let PolicyFile { mut policy, text: policy_text, dir: policy_dir } =
            policy(args, &path, &context_dir)?;
        match args.result.harden {
            Some(HardenArg::Off) => policy.harden.level = Level::Off,
            Some(HardenArg::Baseline) => policy.harden.level = Level::Baseline,
            None => {}
        }
        let ignore = Ignore::load(&context_dir, Some(&path)).map_err(super::source_error)?;
        let context = Context::open(&context_dir, ignore).map_err(super::source_error)?;
        let git = config.find_program("git").and_then(|git| git::inspect(&git, &context_dir));
        let epoch = match (config::source_date_epoch()?, &git) {
            (Some(epoch), _) => epoch,
            (None, Some(git)) => git.time,
            (None, None) => 0,
        };
        let platforms = platforms(&args.source.platform)?;
        let options = options(args, &platforms)?;
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
            ..Parameters::default()
        };
        Ok(Self {
            secrets: Arc::new(secrets::read(&args.steps.secret)?),
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

fn context_dir(given: &Path) -> Result<PathBuf, CliError> {
    if given == Path::new("-") {
        return Err(CliError::usage("a context on standard input is not supported yet")
            .hint("give a directory"));
    }
    let shown = given.display();
    let metadata = fs::metadata(given).map_err(|error| {
        CliError::usage(format!("the build context '{shown}' cannot be read: {error}"))
            .hint("the context is the directory whose files COPY can reach, often '.'")
    })?;
    if !metadata.is_dir() {
        return Err(CliError::usage(format!("the build context '{shown}' is not a directory"))
            .hint("a Dockerfile with another name is given by --file"));
    }
    fs::canonicalize(given)
        .map_err(|error| CliError::usage(format!("the build context '{shown}': {error}")))
}

/// The Dockerfile, and the name that messages and provenance give it: below the context where it lies
/// there, else its file name.
fn dockerfile_path(args: &BuildArgs, context: &Path) -> (PathBuf, String) {
    let path = args.source.file.clone().unwrap_or_else(|| context.join("Dockerfile"));
    let absolute = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let name = absolute
        .strip_prefix(context)
        .ok()
        .or_else(|| absolute.file_name().map(Path::new))
        .unwrap_or(&absolute);
    (path, name.display().to_string())
}

fn text(path: &Path, name: &str) -> Result<String, CliError> {
    let fault = |reason: String| {
        CliError::usage(format!("the Dockerfile '{name}' cannot be read: {reason}"))
    };
    let metadata = fs::metadata(path).map_err(|error| {
        let place = path.display();
        fault(error.to_string())
            .hint(format!("looked for it at {place}; another place is given by --file"))
    })?;
    if metadata.len() > MAX_TEXT {
        return Err(fault(format!("it has {} bytes, at most {MAX_TEXT} are read", metadata.len())));
    }
    let bytes = fs::read(path).map_err(|error| fault(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count() + 1;
        fault(format!("line {line} is not UTF-8 text")).hint("is this really a text file?")
    })
}

/// The policy: the one that was named, else the one beside the Dockerfile or in the context.
fn policy(args: &BuildArgs, dockerfile: &Path, context: &Path) -> Result<PolicyFile, CliError> {
    let beside = dockerfile.parent().map(|dir| dir.join(policy_file::NAME));
    let usual = || beside.into_iter().chain([context.join(policy_file::NAME)]);
    let found = args.source.policy.clone().or_else(|| usual().find(|path| path.exists()));
    policy_file::read(found.as_deref())
}

/// `--platform`, several times or separated by commas. `local` is this machine's.
fn platforms(texts: &[String]) -> Result<Vec<Platform>, CliError> {
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

fn options(args: &BuildArgs, platforms: &[Platform]) -> Result<BuildOptions, CliError> {
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
    options.labels = labels(&args.result.label)?;
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
