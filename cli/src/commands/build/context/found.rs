//! The Dockerfile, the ignore file and the policy file of a context.

use std::{
    fs,
    path::{Path, PathBuf},
};

use touchmark_builder::{
    dockerfile::encoding,
    provenance::FetchedInput,
    snapshot::OWNER_SHIFT,
    source::{
        context::{Context, SourceRoot},
        git::{self, GitState},
        ignore::Ignore,
    },
};

use super::{
    asked::{Asked, ContextAsk, FileAsk},
    gather::Gathered,
};
use crate::{
    config::{self, Config},
    error::CliError,
    policy_file,
};

/// What a build begins with.
pub(in super::super) struct Found {
    pub(in super::super) context: Context,
    /// The Dockerfile's name as messages and provenance show it.
    pub(in super::super) name: String,
    /// Its text.
    pub(in super::super) source: String,
    pub(in super::super) git: Option<GitState>,
    pub(in super::super) fetched: Vec<FetchedInput>,
    /// Where a policy file is looked for, in this order.
    pub(in super::super) policies: Vec<PathBuf>,
}

/// A larger Dockerfile is none, in bytes.
const MAX_TEXT: u64 = 16 * 1024 * 1024;

/// Finds the files. A context that came from elsewhere is not trusted: links do not lead out of it.
pub(in super::super) fn found(
    asked: &Asked,
    gathered: Gathered,
    config: &Config,
) -> Result<Found, CliError> {
    let dir = match (&gathered.context, &asked.context) {
        (Some(dir), _) => dir.clone(),
        (None, ContextAsk::Directory(given)) => context_dir(given)?,
        (None, _) => return Err(CliError::failed("the build context was not fetched")),
    };
    let foreign = gathered.context.is_some();
    let file = match (gathered.dockerfile, &asked.file) {
        (Some((name, bytes)), _) => Dockerfile { path: None, text: text(bytes, &name)?, name },
        // As docker has it, an absolute path is one of this machine even then.
        (None, FileAsk::Path(path)) if foreign && path.is_relative() => inside(&dir, path)?,
        (None, FileAsk::Path(path)) => local(path, &dir)?,
        (None, _) if foreign => inside(&dir, &usual(&dir))?,
        (None, _) => local(&dir.join(usual(&dir)), &dir)?,
    };
    let ignore = match foreign {
        true => ignore_inside(&dir, &file)?,
        false => Ignore::load(&dir, file.path.as_deref()).map_err(super::super::source_error)?,
    };
    let context = Context::open(&dir, ignore).map_err(super::super::source_error)?;
    let context = if gathered.owners { context.with_owners(OWNER_SHIFT) } else { context };
    let git = match (gathered.git, foreign) {
        (Some(git), _) => Some(git),
        (None, true) => None,
        (None, false) => config.find_program("git").and_then(|git| git::inspect(&git, &dir)),
    };
    Ok(Found {
        policies: policies(&file, &dir, foreign),
        context,
        name: file.name,
        source: file.text,
        git,
        fetched: gathered.fetched,
    })
}

struct Dockerfile {
    /// Where it is; none where it is no file.
    path: Option<PathBuf>,
    name: String,
    text: String,
}

fn context_dir(given: &Path) -> Result<PathBuf, CliError> {
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

/// The name that is looked for; BuildKit takes the small one where the other is not there.
fn usual(dir: &Path) -> PathBuf {
    let small = Path::new("dockerfile");
    let there = |name: &Path| dir.join(name).symlink_metadata().is_ok();
    match !there(Path::new("Dockerfile")) && there(small) {
        true => small.into(),
        false => "Dockerfile".into(),
    }
}

/// A Dockerfile of this machine: its name is the path below the context where it lies there, else its
/// file name.
fn local(path: &Path, context: &Path) -> Result<Dockerfile, CliError> {
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = absolute
        .strip_prefix(context)
        .ok()
        .or_else(|| absolute.file_name().map(Path::new))
        .unwrap_or(&absolute)
        .display()
        .to_string();
    let fault = |reason: String| unreadable(&name, &reason);
    let metadata = fs::metadata(path).map_err(|error| {
        let place = path.display();
        fault(error.to_string())
            .hint(format!("looked for it at {place}; another place is given by --file"))
    })?;
    if metadata.len() > MAX_TEXT {
        return Err(fault(format!("it has {} bytes, at most {MAX_TEXT} are read", metadata.len())));
    }
    let bytes = fs::read(path).map_err(|error| fault(error.to_string()))?;
    Ok(Dockerfile { path: Some(path.to_owned()), text: text(bytes, &name)?, name })
}

/// A Dockerfile of a context that came from elsewhere.
fn inside(dir: &Path, path: &Path) -> Result<Dockerfile, CliError> {
    let name = path.display().to_string();
    let Some(at) = located(dir, &name) else {
        return Err(CliError::usage(format!(
            "there is no Dockerfile '{name}' in the build context"
        ))
        .hint("another name is given by --file"));
    };
    let bytes = config::read_file(&at, MAX_TEXT).map_err(|reason| unreadable(&name, &reason))?;
    Ok(Dockerfile { path: Some(dir.join(path)), text: text(bytes, &name)?, name })
}

/// Where a path leads inside of `dir`; none where nothing is there.
fn located(dir: &Path, path: &str) -> Option<PathBuf> {
    let root = SourceRoot::context(dir, None).ok()?;
    Some(dir.join(root.locate(path).ok()?)).filter(|path| path.is_file())
}

fn ignore_inside(dir: &Path, file: &Dockerfile) -> Result<Option<Ignore>, CliError> {
    let own = file.path.as_ref().map(|_| format!("{}.dockerignore", file.name));
    for name in own.into_iter().chain([".dockerignore".to_owned()]) {
        let Some(at) = located(dir, &name) else { continue };
        let bytes = config::read_file(&at, 1 << 20)
            .map_err(|reason| CliError::usage(format!("{name} cannot be read: {reason}")))?;
        let rules = Ignore::parse(&String::from_utf8_lossy(&bytes), &name);
        return rules.map(Some).map_err(super::super::source_error);
    }
    Ok(None)
}

/// Beside the Dockerfile, then in the context. One that came from standard input or an address stands for
/// a file of the current directory.
fn policies(file: &Dockerfile, dir: &Path, foreign: bool) -> Vec<PathBuf> {
    let beside = match &file.path {
        Some(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        None => PathBuf::new(),
    };
    let beside = beside.join(policy_file::NAME);
    match foreign {
        true if file.path.is_some() => {
            let below = beside.strip_prefix(dir).map(|path| path.display().to_string());
            let names = below.into_iter().chain([policy_file::NAME.to_owned()]);
            names.filter_map(|name| located(dir, &name)).collect()
        }
        true => vec![beside],
        false => vec![beside, dir.join(policy_file::NAME)],
    }
}

fn text(bytes: Vec<u8>, name: &str) -> Result<String, CliError> {
    if bytes.len() as u64 > MAX_TEXT {
        return Err(unreadable(name, &format!("it has more than {MAX_TEXT} bytes")));
    }
    encoding::text(bytes).map_err(|wrong| super::super::faults(name, &wrong.shown, &[wrong.fault]))
}

fn unreadable(name: &str, reason: &str) -> CliError {
    CliError::usage(format!("the Dockerfile '{name}' cannot be read: {reason}"))
}
