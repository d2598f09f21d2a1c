//! Named contexts as file systems: a directory, a commit, or an archive becomes a layer on nothing.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Solver, VertexResult,
    chain::{Active, Commit},
    error::SolveError,
    key::key,
    remote_files::{Files, Found, Wanted, everything},
    step_result::StepResult,
};
use crate::{
    fetch::Gate,
    graph::{NamedOp, Origin},
    oci::digest::Digest,
    remote::Remote,
    snapshot::OWNER_SHIFT,
    source::{
        context::{Context, SourceRoot},
        copy::{CopySpec, copy},
        error::SourceError,
        stat_cache::StatCache,
        survey::Survey,
        tree_digest::context_digest,
    },
};

/// The files that `--build-context` gives a name.
#[derive(Debug, Clone)]
pub enum NamedFiles {
    /// A directory with its ignore file.
    Directory(Arc<Context>),
    /// A repository, or a file or archive over HTTP.
    Remote(Remote),
}

pub(super) async fn solve(
    solver: &Solver,
    op: &NamedOp,
    origin: &Origin,
    exported: bool,
) -> Result<VertexResult, SolveError> {
    match solver.options.contexts.get(&op.name) {
        Some(NamedFiles::Directory(context)) => {
            let survey = look(context).await?;
            match directory(solver, op, origin, (context, &survey), exported).await {
                Err(SolveError::Source(SourceError::Changed { .. })) => {
                    context.forget(&survey);
                    let survey = look(context).await?;
                    directory(solver, op, origin, (context, &survey), exported).await
                }
                outcome => outcome,
            }
        }
        Some(NamedFiles::Remote(address)) => remote(solver, origin, address, exported).await,
        None => Err(SolveError::NoContext(op.name.clone())),
    }
}

async fn look(context: &Arc<Context>) -> Result<Arc<Survey>, SolveError> {
    let context = context.clone();
    Ok(tokio::task::spawn_blocking(move || context.survey()).await??)
}

async fn directory(
    solver: &Solver,
    op: &NamedOp,
    origin: &Origin,
    (context, survey): (&Arc<Context>, &Arc<Survey>),
    exported: bool,
) -> Result<VertexResult, SolveError> {
    let epoch = solver.options.epoch;
    let (context, survey) = (context.clone(), survey.clone());
    let stats = Stats::of(solver, &context);
    let before = stats.digest(context.clone(), survey.clone()).await?;
    solver.name(&op.name, before);
    solver.ingredients(&before);
    let key = key("named", &[], epoch, &before)?;
    if let Some(hit) = solver.cached(&key, &[]).await? {
        return Ok(hit);
    }
    solver.begin(origin);
    let active = solver.host.chains.prepare(&[]).await?;
    let copied = fill(solver, &active, move |target| {
        let spec = CopySpec {
            selection: everything(),
            dest: "/".into(),
            shift: OWNER_SHIFT,
            ..CopySpec::default()
        };
        copy(&context.at(&survey)?, &spec, target)?;
        Ok(())
    })
    .await;
    finish(solver, active, copied, (&key, epoch, exported), StepResult::default()).await
}

async fn remote(
    solver: &Solver,
    origin: &Origin,
    address: &Remote,
    exported: bool,
) -> Result<VertexResult, SolveError> {
    let epoch = solver.options.epoch;
    let wanted = Wanted { gate: Gate::CommandLine, checksum: None, keep_git_dir: None };
    let found = Found::look(solver, address, &wanted, origin).await?;
    solver.ingredients(&found.key());
    let key = key("named remote", &[], epoch, &found.key())?;
    if let Some(hit) = solver.cached(&key, &[]).await? {
        return Ok(hit);
    }
    solver.begin(origin);
    let files = found.files(solver, &wanted.gate).await?;
    let active = solver.host.chains.prepare(&[]).await?;
    let copied = fill(solver, &active, move |target| {
        let Files { dir, selection, .. } = &files;
        let spec = CopySpec {
            selection: selection.clone(),
            dest: "/".into(),
            // An archive is its files.
            unpack: matches!(selection.sources.first(), Some(source) if source != "/"),
            shift: OWNER_SHIFT,
            ..CopySpec::default()
        };
        copy(&SourceRoot::context(dir, None)?, &spec, target)?;
        Ok(())
    })
    .await;
    let result = StepResult { requests: vec![found.record(origin)], ..StepResult::default() };
    finish(solver, active, copied, (&key, epoch, exported), result).await
}

async fn fill(
    solver: &Solver,
    active: &Active,
    work: impl FnOnce(&std::path::Path) -> Result<(), SolveError> + Send + 'static,
) -> Result<(), SolveError> {
    let target = solver.host.chains.mount(&active.mounts)?;
    tokio::task::spawn_blocking(move || work(target.path())).await?
}

async fn finish(
    solver: &Solver,
    active: Active,
    filled: Result<(), SolveError>,
    (key, epoch, export): (&Digest, i64, bool),
    result: StepResult,
) -> Result<VertexResult, SolveError> {
    if let Err(error) = filled {
        solver.host.chains.discard(active).await;
        return Err(error);
    }
    let want = Commit { epoch, export, copied: true };
    solver.conclude(active, &[], &VertexResult::scratch(), key, want, result).await
}

/// What is known about the files of one directory, from earlier builds too.
struct Stats {
    file: PathBuf,
    cache: Arc<Mutex<StatCache>>,
}

impl Stats {
    fn of(solver: &Solver, context: &Context) -> Self {
        let name = Digest::of(context.dir().as_os_str().as_encoded_bytes()).hex();
        let file = solver.host.stat_cache.with_file_name(name);
        let cache = Arc::new(Mutex::new(StatCache::load(&file)));
        Self { file, cache }
    }

    async fn digest(
        &self,
        context: Arc<Context>,
        survey: Arc<Survey>,
    ) -> Result<Digest, SolveError> {
        let (cache, file) = (self.cache.clone(), self.file.clone());
        tokio::task::spawn_blocking(move || {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            let found = context_digest(&context.at(&survey)?, Some(&mut cache))?;
            cache.save(&file)?;
            Ok(found.digest)
        })
        .await?
    }
}
