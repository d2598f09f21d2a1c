//! The machine's services for one build, made from the environment and the policy.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use touchmark_builder::{
    content::{
        hold::Hold,
        index::{Index, Table},
        records::Records,
        store::ContentStore,
    },
    downloads::{DownloadStore, ImageDocuments},
    egress::{Egress, WayOut},
    emulation::Emulation,
    executor::Executor,
    layer::limit_threads,
    oci::digest::Digest,
    policy::harden::Level,
    snapshot::{Snapshots, recovery::recover},
    solver::{
        chain::Chains,
        event::{Event, Observer},
        host::{Host, Sweep},
    },
    worker::{Connection, Death, ProcessIdentity, Worker},
};

use super::{context::fetcher, plan::Plan};
use crate::{
    config::Config, error::CliError, inside::worker_config, registries, workspace::Workspace,
};

/// Connects to the worker, begins to sweep what killed builds left, and opens the stores.
pub(super) async fn open(
    plan: &Plan,
    jobs: Option<usize>,
    config: &Config,
    workspace: &Workspace,
    worker: &Worker,
    observer: &Arc<dyn Observer>,
) -> Result<Host, CliError> {
    let data = &config.data_dir;
    let fault = |error: &dyn std::fmt::Display| CliError::environment(error.to_string());
    let connection = Connection::open(worker.socket()).await.map_err(|error| fault(&error))?;
    let sweep = Sweep::begin(connection.clone());
    let builder = ProcessIdentity::current().map_err(|error| fault(&error))?;
    let death = Death::of(worker).map_err(|error| fault(&error))?;
    let executor = Executor::new(worker_config(config)?, builder.clone()).until(death);
    let snapshots = Snapshots::open(connection, builder).await;
    let index = Arc::new(Index::open(&data.join("index")));
    let cache = Records::new(index.clone(), Table::Results);
    let hold = Arc::new(Hold::open(&data.join("in-use")).map_err(|error| fault(&error))?);
    let snapshots = snapshots.map_err(|error| fault(&error))?;
    let snapshots = snapshots.holding(hold.clone(), cache.of(Table::Stacks));
    let snapshots = Arc::new(trusted(snapshots, config, &sweep, observer).await?);
    let content = ContentStore::open(data.join("content")).map_err(|error| fault(&error))?;
    let content = Arc::new(content.holding(hold.clone()));
    let terms = plan.locking.terms.clone();
    let documents = ImageDocuments::new(content.clone(), index.clone(), terms.clone());
    let registry = registries::client(&plan.policy.registries, config)?.keeping(documents);
    let registry = Arc::new(registry);
    let scratch = data.join("scratch");
    make(&scratch)?;
    let downloads = DownloadStore::new(content.clone(), index.clone());
    let chains = Chains::new(
        index,
        &scratch,
        content.clone(),
        snapshots,
        registry.clone(),
        observer.clone(),
    );
    let forms = plan.outputs.forms();
    let chains = match forms.first() {
        Some(form) => chains.compressing(form.compression),
        None => chains,
    };
    let way = WayOut { proxies: config.proxies.clone(), logins: plan.logins.clone() };
    let fetcher = fetcher(&plan.policy.network, content.clone(), workspace, config, way.clone());
    let chains = match plan.policy.harden.level {
        Level::Baseline if plan.outputs.wants_image() => {
            chains.seen_by(Arc::new(plan.seen.clone()))
        }
        _ => chains,
    };
    limit_threads(jobs.unwrap_or(0));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Host {
        registry,
        chains: Arc::new(chains),
        cache,
        emulation: Arc::new(Emulation::new(&scratch, config.search_path.clone())),
        egress: Arc::new(Egress::new(
            Arc::new(plan.policy.network.clone()),
            Some(downloads.clone()),
            terms.clone(),
            way,
        )),
        fetcher: Arc::new(fetcher.keeping(downloads, terms)),
        content,
        hold,
        executor: Arc::new(executor),
        stat_cache: stat_cache(&data.join("stat-cache"), plan.context.dir())?,
        cache_mounts: data.join("cache-mounts"),
        jobs: jobs.unwrap_or(cores),
        sweep,
    })
}

/// The snapshots, without those that were not on the disk when the machine went down.
async fn trusted(
    snapshots: Snapshots,
    config: &Config,
    sweep: &Sweep,
    observer: &Arc<dyn Observer>,
) -> Result<Snapshots, CliError> {
    let worker = worker_config(config)?;
    if worker.containerd.is_some() {
        // Where another's containerd keeps its snapshots is not ours to know.
        return Ok(snapshots);
    }
    let unsettled = Arc::new(worker.unsettled());
    let fault = |error: &dyn std::fmt::Display| CliError::environment(error.to_string());
    if unsettled.has_lost().map_err(|error| fault(&error))? {
        sweep.done().await.map_err(|error| fault(&error))?;
        let removed = recover(&snapshots, &unsettled).await.map_err(|error| fault(&error))?;
        observer.event(Event::Warning(&format!(
            "the machine went down before {removed} layers were on the disk: they are made anew where needed"
        )));
    }
    let ended = unsettled.clone();
    // Beside the build. What cannot be brought to the disk stays marked.
    drop(tokio::task::spawn_blocking(move || ended.settle()));
    Ok(snapshots.noting(unsettled))
}

fn make(directory: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(directory).map_err(|error| {
        CliError::environment(format!("{} cannot be made: {error}", directory.display()))
    })
}

/// The stat cache of one context directory.
fn stat_cache(directory: &Path, context: &Path) -> Result<PathBuf, CliError> {
    make(directory)?;
    Ok(directory.join(Digest::of(context.as_os_str().as_encoded_bytes()).hex()))
}
