//! `touchmark cache`.

mod du;
mod filter;
mod prune;

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::SystemTime,
};

use clap::{Args, Subcommand};
use touchmark_builder::{
    content::{hold::seconds, index::Index},
    solver::{
        cache_archive::CacheArchiveError,
        cache_store::{CacheMount, CacheStore, Existing},
        error::SolveError,
    },
    space::{
        Removed, Space, SpaceError,
        choose::{Filter, choose},
        item::Item,
    },
    worker::Worker,
};

use self::{du::DuArgs, prune::PruneArgs};
use crate::{
    config::Config,
    error::CliError,
    inside, runtime,
    ui::{
        printer::Printer,
        text::{harmless, size},
    },
    workspace::Workspace,
};

/// Show, remove, export and import what outlives a build.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// List what takes up space: layers, blobs, downloads, the directories of `RUN --mount=type=cache`
    Du(DuArgs),
    /// Remove what no running build uses, or part of it
    Prune(PruneArgs),
    /// Write the directories of `RUN --mount=type=cache` to a file: a tar, compressed with Zstandard
    Export {
        /// Where to
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Export cache mounts
        #[arg(long, required = true)]
        mounts: bool,
        /// Only the caches with this id; may be given several times [default: all]
        #[arg(long, value_name = "ID")]
        id: Vec<String>,
    },
    /// Take over the directories in a file that `cache export` wrote, here or elsewhere
    Import {
        /// Where from
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Import cache mounts
        #[arg(long, required = true)]
        mounts: bool,
        /// Keep the files of a cache that is there already, but for those that are imported too
        /// [default: its contents are replaced]
        #[arg(long)]
        merge: bool,
    },
}

/// Runs `touchmark cache`.
pub(crate) fn run(args: &CacheArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    // Inside, every owner's files can be read.
    let worker = inside::join(&inside::worker_config(&config)?)?;
    let store = CacheStore::new(config.data_dir.join("cache-mounts"));
    let busy = |id: &str| {
        printer.talk(&format!("waiting for the cache '{}', which a build holds", harmless(id)));
    };
    match &args.command {
        CacheCommand::Du(asked) => {
            let items = runtime::block_on(list(&config, &worker, &asked.filter_list()))??;
            printer.data(&du::show(&items, asked))?;
        }
        CacheCommand::Prune(asked) => {
            if !asked.is_confirmed(printer)? {
                printer.talk("nothing was removed");
                return Ok(ExitCode::SUCCESS);
            }
            let removed = runtime::block_on(remove(&config, &worker, asked))??;
            printer.data(&asked.show(&removed))?;
        }
        CacheCommand::Export { file, id, .. } => {
            let list = export(&store, file, id, &busy)?;
            let bytes = list.iter().map(|cache| cache.bytes).sum();
            printer.talk(&format!("{} caches with {} written", list.len(), size(bytes)));
        }
        CacheCommand::Import { file, merge, .. } => {
            let existing = if *merge { Existing::Merge } else { Existing::Replace };
            let opened = File::open(file).map_err(|error| {
                CliError::usage(format!("{} cannot be read: {error}", file.display()))
            })?;
            let done = store.import(BufReader::new(opened), existing, &busy);
            let done = done.map_err(|error| failed(&error))?;
            let names: Vec<String> =
                done.iter().map(|name| format!("'{}'", harmless(&name.id))).collect();
            printer.talk(&format!("{} caches taken over: {}", names.len(), names.join(", ")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes beside the file first: it is there as a whole or not at all.
fn export(
    store: &CacheStore,
    file: &Path,
    ids: &[String],
    busy: &dyn Fn(&str),
) -> Result<Vec<CacheMount>, CliError> {
    let fault = |error: std::io::Error| {
        CliError::environment(format!("{} cannot be written: {error}", file.display()))
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let fresh = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(fault)?;
    let (list, out) =
        store.export(ids, BufWriter::new(fresh), busy).map_err(|error| failed(&error))?;
    let mut fresh = out.into_inner().map_err(|error| fault(error.into_error()))?;
    fresh.flush().map_err(fault)?;
    fresh.persist(file).map_err(|error| fault(error.error))?;
    Ok(list)
}

fn failed(error: &CacheArchiveError) -> CliError {
    match error {
        CacheArchiveError::Store(SolveError::Store { .. }) => {
            CliError::environment(error.to_string())
        }
        CacheArchiveError::Unknown(_) => CliError::usage(error.to_string()),
        error => CliError::failed(error.to_string()),
    }
}

async fn space(config: &Config, worker: &Worker) -> Result<Space, SpaceError> {
    let index = Arc::new(Index::open(&config.data_dir.join("index")));
    Space::open(&config.data_dir, worker.socket(), index).await
}

/// What there is, as far as the filters hold.
async fn list(config: &Config, worker: &Worker, filters: &[Filter]) -> Result<Vec<Item>, CliError> {
    let space = space(config, worker).await.map_err(unfit)?;
    let items = space.survey().await;
    space.close(false).await.map_err(unfit)?;
    let now = seconds(SystemTime::now());
    let mut items = items.map_err(unfit)?;
    items.retain(|item| filters.iter().all(|filter| filter.holds(item, now)));
    Ok(items)
}

async fn remove(config: &Config, worker: &Worker, asked: &PruneArgs) -> Result<Removed, CliError> {
    // What killed commands left goes with this one's end.
    drop(Workspace::open(&config.data_dir)?);
    let space = space(config, worker).await.map_err(unfit)?;
    let work = async {
        let items = space.survey().await?;
        let wish = asked.wish(seconds(SystemTime::now()));
        let chosen = choose(&items, &wish).into_iter().map(|at| items[at].clone()).collect();
        let removed = space.remove(chosen).await?;
        if asked.is_everything() {
            space.forget_all().await?;
        }
        Ok(removed)
    };
    let removed = work.await;
    space.close(true).await.map_err(unfit)?;
    removed.map_err(unfit)
}

fn unfit(error: SpaceError) -> CliError {
    CliError::environment(error.to_string())
}
