//! What `touchmark worker status` shows.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use containerd_client::services::v1::snapshots::ListSnapshotsRequest;

use super::{
    Connection, ConnectionError, Worker, WorkerConfig, WorkerError,
    connection::request,
    containerd_config::SOCKET,
    parts::{Part, parts},
    process::{self, read_small},
    sweep::SNAPSHOTTER,
};

/// One process of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerProcess {
    /// Its id.
    pub pid: u32,
    /// Its name, at most 15 bytes, as the kernel keeps it.
    pub name: String,
}

/// The worker as it is now.
#[derive(Debug, Clone)]
pub struct WorkerStatus {
    /// The worker, when it runs.
    pub worker: Option<Worker>,
    /// Processes in its user namespace and rootlesskit itself, by id.
    pub processes: Vec<WorkerProcess>,
    /// containerd, runc, rootlesskit, and crun where it is installed.
    pub parts: Vec<Part>,
    /// What the running containerd says of itself, for example "1.6.20".
    pub containerd_version: Option<String>,
    /// containerd's socket; inside the worker's mount namespace unless the user named it.
    pub socket: PathBuf,
    /// Snapshots and database.
    pub data_dir: PathBuf,
    /// Sockets, lock and log.
    pub instance_dir: PathBuf,
    /// The log of rootlesskit and containerd.
    pub log: PathBuf,
    /// The snapshotter in use.
    pub snapshotter: &'static str,
    /// Bytes of disk blocks that the data directory holds. Exact only inside the worker: outside, other
    /// owners' directories cannot be read and count as nothing.
    pub disk_bytes: u64,
    /// How many snapshots containerd holds; `None` when it is not running.
    pub snapshots: Option<u64>,
}

impl Worker {
    /// Looks at the worker without starting it. Works inside and outside of its namespaces; disk use is
    /// exact only inside.
    ///
    /// # Errors
    /// When the containerd that the user named cannot be used, or a running one does not answer.
    pub async fn status(config: &WorkerConfig) -> Result<WorkerStatus, WorkerError> {
        let worker = Self::find(config)?;
        let mut containerd_version = None;
        let mut snapshots = None;
        if let Some(worker) = &worker {
            let connection = Connection::open(&worker.socket_from_outside()).await?;
            containerd_version = Some(version(&connection).await?);
            snapshots = Some(count_snapshots(&connection).await?);
        }
        Ok(WorkerStatus {
            processes: worker.as_ref().map(processes).unwrap_or_default(),
            worker,
            parts: parts(config),
            containerd_version,
            socket: config.containerd.clone().unwrap_or_else(|| SOCKET.into()),
            data_dir: config.data_dir.clone(),
            instance_dir: config.instance_dir(),
            log: config.log_file(),
            snapshotter: SNAPSHOTTER,
            disk_bytes: disk_use(&config.data_dir),
            snapshots,
        })
    }
}

async fn version(connection: &Connection) -> Result<String, ConnectionError> {
    let answer = connection.version().version(request(())).await;
    let answer = answer.map_err(ConnectionError::call("tell its version"))?;
    Ok(answer.into_inner().version)
}

async fn count_snapshots(connection: &Connection) -> Result<u64, ConnectionError> {
    let list = ListSnapshotsRequest { snapshotter: SNAPSHOTTER.to_owned(), filters: Vec::new() };
    let call = || ConnectionError::call("list snapshots");
    let answer = connection.snapshots().list(request(list)).await.map_err(call())?;
    let mut stream = answer.into_inner();
    let mut count = 0;
    while let Some(part) = stream.message().await.map_err(call())? {
        count += part.info.len() as u64;
    }
    Ok(count)
}

fn processes(worker: &Worker) -> Vec<WorkerProcess> {
    let mut pids = super::stop::members(worker.pid());
    pids.extend(super::stop::rootlesskit(worker.pid()));
    pids.sort_unstable();
    pids.dedup();
    let named = |pid| {
        let name = read_small(Path::new(&format!("/proc/{pid}/comm"))).ok()?;
        Some(WorkerProcess { pid, name: name.trim().to_owned() })
    };
    pids.into_iter().filter_map(named).collect()
}

/// Blocks in use under `root`, a file with several names counted once, symlinks not followed.
fn disk_use(root: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut total = 0_u64;
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            total = total.saturating_add(metadata.blocks().saturating_mul(512));
        }
    }
    total
}

/// The parent of a process, or `None` when it is gone.
pub(super) fn parent(pid: u32) -> Option<u32> {
    process::stat(pid).ok().map(|stat| stat.parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_use_counts_blocks_and_hard_links_once() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), vec![1; 100_000]).unwrap();
        let once = disk_use(root.path());
        assert!((100_000..200_000).contains(&once), "{once}");
        fs::hard_link(root.path().join("a"), root.path().join("b")).unwrap();
        assert_eq!(disk_use(root.path()), once);
        assert_eq!(disk_use(&root.path().join("none")), 0);
    }
}
