//! `touchmark worker`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use touchmark_builder::worker::{Worker, status::WorkerStatus, stop::Stopped};

use crate::{
    config::Config,
    error::CliError,
    inside, runtime,
    ui::{printer::Printer, table::columns, text::size},
};

/// Start, stop or show the rootless worker.
///
/// A build starts the worker by itself and leaves it running for the next one.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(subcommand)]
    command: WorkerCommand,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum WorkerCommand {
    /// Start it, if it is not running
    Start,
    /// End it with everything that runs in it; images and caches stay
    Stop,
    /// Show versions, paths and disk use
    Status,
}

/// Runs `touchmark worker`.
pub(crate) fn run(args: &WorkerArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    let config = Config::from_environment()?;
    let worker_config = inside::worker_config(&config)?;
    match args.command {
        WorkerCommand::Start => {
            let worker = Worker::ensure(&worker_config).map_err(inside::environment)?;
            printer.talk(&format!("the worker runs, process {}", worker.pid()));
        }
        WorkerCommand::Stop => match Worker::stop(&worker_config).map_err(inside::environment)? {
            Stopped::Ended(count) => {
                printer.talk(&format!("the worker is stopped, {count} processes ended"));
            }
            Stopped::NotRunning => printer.talk("the worker was not running"),
        },
        WorkerCommand::Status => {
            // Inside, every owner's files can be counted.
            if Worker::find(&worker_config).map_err(inside::environment)?.is_some() {
                inside::join(&worker_config)?;
            }
            let status = runtime::block_on(Worker::status(&worker_config))?;
            printer.data(&show(&status.map_err(inside::environment)?))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(status: &WorkerStatus) -> String {
    let mut rows = vec![row(
        "worker",
        match &status.worker {
            Some(worker) => format!("running, process {}", worker.pid()),
            None => "not running".into(),
        },
    )];
    for part in &status.parts {
        let found = match (&part.path, &part.version) {
            (Some(path), Some(version)) => format!("{version} ({})", path.display()),
            (Some(path), None) => path.display().to_string(),
            (None, _) => "not installed".into(),
        };
        rows.push(row(part.name, found));
    }
    rows.push(row("socket", status.socket.display().to_string()));
    rows.push(row("data", status.data_dir.display().to_string()));
    rows.push(row("log", status.log.display().to_string()));
    rows.push(row("snapshotter", status.snapshotter.to_owned()));
    if let Some(count) = status.snapshots {
        rows.push(row("snapshots", count.to_string()));
    }
    rows.push(row("disk use", size(status.disk_bytes)));
    columns(&rows)
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}
