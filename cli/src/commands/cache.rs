//! `touchmark cache`.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use clap::{Args, Subcommand};
use time::{OffsetDateTime, macros::format_description};
use touchmark_builder::solver::{
    cache_archive::CacheArchiveError,
    cache_store::{CacheMount, CacheStore, Existing},
    error::SolveError,
};

use crate::{
    config::Config,
    error::CliError,
    inside,
    ui::{
        printer::Printer,
        table::columns,
        text::{harmless, size},
    },
};

/// Show, export and import what outlives a build.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// List the directories of `RUN --mount=type=cache`
    Du,
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
    inside::join(&inside::worker_config(&config)?)?;
    let store = CacheStore::new(config.data_dir.join("cache-mounts"));
    let busy = |id: &str| {
        printer.talk(&format!("waiting for the cache '{}', which a build holds", harmless(id)));
    };
    match &args.command {
        CacheCommand::Du => {
            let list = store.list().map_err(|error| failed(&error.into()))?;
            printer.data(&show(&list))?;
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

fn show(list: &[CacheMount]) -> String {
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["ID", "SIZE", "LAST USED", "OWNER", "SEED"])];
    for cache in list {
        rows.push(row([
            &harmless(&cache.name.id),
            &size(cache.bytes),
            &cache.used.map_or_else(|| "-".into(), date),
            &format!("{}:{}", cache.name.uid, cache.name.gid),
            if cache.name.seed.is_some() { "image" } else { "empty" },
        ]));
    }
    columns(&rows)
}

fn date(time: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    OffsetDateTime::from(time).format(&format).unwrap_or_default()
}
