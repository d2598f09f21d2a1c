//! Removes what a build left that was killed: its containers with their processes, its active snapshots,
//! its leases, its files under `/run`. What a living build made is not touched.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use containerd_client::services::v1::{
    Container, DeleteContainerRequest, DeleteRequest, DeleteTaskRequest, KillRequest,
    ListContainersRequest, ListRequest, WaitRequest,
    snapshots::{Kind, ListSnapshotsRequest, RemoveSnapshotRequest},
};
use futures::future::join_all;
use rustix::mount::UnmountFlags;
use tokio::task::spawn_blocking;
use tonic::Code;

use super::{
    Connection, ConnectionError, ProcessIdentity,
    connection::{BUILDER_LABEL, request},
    shims,
    start::STEPS_DIR,
};

/// The snapshotter that everything here uses.
pub(crate) const SNAPSHOTTER: &str = "overlayfs";

/// How long a killed container may take to end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// What [`sweep`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Containers, each with its task.
    pub containers: usize,
    /// Shims without a container on record.
    pub shims: usize,
    /// Active snapshots.
    pub snapshots: usize,
    /// Leases.
    pub leases: usize,
    /// Directories of steps under `/run`.
    pub directories: usize,
}

/// Removes what builds left that are not alive any more. Call it inside the worker, at each build's start;
/// several may run at the same time.
///
/// # Errors
/// When containerd cannot list; a single thing that cannot be removed is left for the next time.
pub async fn sweep(connection: &Connection) -> Result<Swept, ConnectionError> {
    let containers = remove_containers(connection).await?;
    let known = containers_on_record(connection).await?;
    let known = known.into_iter().map(|container| container.id).collect();
    // Waits for the end of processes, at most a fifth of a second for each.
    let shims = spawn_blocking(move || shims::sweep(&known)).await.unwrap_or_default();
    Ok(Swept {
        containers,
        shims,
        snapshots: snapshots(connection).await?,
        leases: leases(connection).await?,
        directories: directories(Path::new(STEPS_DIR)),
    })
}

/// Whether the labels name a builder, and it is gone.
fn is_orphan(labels: &HashMap<String, String>) -> bool {
    let builder = labels.get(BUILDER_LABEL);
    let identity = builder.and_then(|text| text.parse::<ProcessIdentity>().ok());
    identity.is_some_and(|builder| !builder.is_alive())
}

async fn containers_on_record(connection: &Connection) -> Result<Vec<Container>, ConnectionError> {
    let list = request(ListContainersRequest { filters: Vec::new() });
    let answer = connection.containers().list(list).await;
    let answer = answer.map_err(ConnectionError::call("list containers"))?;
    Ok(answer.into_inner().containers)
}

/// The part of [`sweep`] that ends processes.
pub(crate) async fn remove_containers(connection: &Connection) -> Result<usize, ConnectionError> {
    let all = containers_on_record(connection).await?.into_iter();
    let orphans = all.filter(|container| is_orphan(&container.labels));
    let removals = orphans.map(|container| remove_container(connection, container.id));
    Ok(join_all(removals).await.into_iter().filter(|removed| *removed).count())
}

/// Kills the container's processes, waits for their end, removes its task and then itself. Whatever is
/// not there any more counts as removed; with its task left, the container stays for the next time.
pub(crate) async fn remove_container(connection: &Connection, id: String) -> bool {
    let mut tasks = connection.tasks();
    // The first process of a pid namespace takes all others with it; "all" would ask a cgroup.
    let (container_id, exec_id) = (id.clone(), String::new());
    let kill = KillRequest { container_id, exec_id, signal: 9, all: false };
    if tasks.kill(request(kill)).await.is_ok() {
        let wait = WaitRequest { container_id: id.clone(), exec_id: String::new() };
        let _ = tokio::time::timeout(END_LIMIT, tasks.wait(request(wait))).await;
    }
    let gone = |code: Option<Code>| code.is_none_or(|code| code == Code::NotFound);
    let task = tasks.delete(request(DeleteTaskRequest { container_id: id.clone() })).await;
    if !gone(task.err().map(|status| status.code())) {
        return false;
    }
    let container = connection.containers().delete(request(DeleteContainerRequest { id })).await;
    gone(container.err().map(|status| status.code()))
}

async fn snapshots(connection: &Connection) -> Result<usize, ConnectionError> {
    let list = ListSnapshotsRequest { snapshotter: SNAPSHOTTER.to_owned(), filters: Vec::new() };
    let call = || ConnectionError::call("list snapshots");
    let answer = connection.snapshots().list(request(list)).await.map_err(call())?;
    let mut stream = answer.into_inner();
    let mut orphans = Vec::new();
    while let Some(part) = stream.message().await.map_err(call())? {
        let unfinished = part.info.into_iter().filter(|info| info.kind != Kind::Committed as i32);
        orphans.extend(unfinished.filter(|info| is_orphan(&info.labels)).map(|info| info.name));
    }
    let mut removed = 0;
    for key in orphans {
        let remove = RemoveSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key };
        removed += usize::from(connection.snapshots().remove(request(remove)).await.is_ok());
    }
    Ok(removed)
}

async fn leases(connection: &Connection) -> Result<usize, ConnectionError> {
    let list = request(ListRequest { filters: Vec::new() });
    let answer = connection.leases().list(list).await;
    let answer = answer.map_err(ConnectionError::call("list leases"))?;
    let mut removed = 0;
    for lease in answer.into_inner().leases.into_iter().filter(|lease| is_orphan(&lease.labels)) {
        let delete = DeleteRequest { id: lease.id, sync: false };
        removed += usize::from(connection.leases().delete(request(delete)).await.is_ok());
    }
    Ok(removed)
}

/// Step directories are named `<pid>:<start>:<boot>-<step>`. Their mounts were detached with their
/// container; the tree is removed without following any that is left.
fn directories(root: &Path) -> usize {
    let entries = fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    let orphans = entries.filter(|entry| {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-')).map(|(owner, _)| owner);
        let identity = owner.and_then(|owner| owner.parse::<ProcessIdentity>().ok());
        identity.is_some_and(|builder| !builder.is_alive())
    });
    orphans.filter(|entry| remove_step_dir(&entry.path())).count()
}

/// Removes a step's directory, after detaching what is still mounted in it. With a mount left it is not
/// removed: that would delete the mounted files. A mount in another mount namespace goes with its
/// directory.
pub(crate) fn remove_step_dir(directory: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| Path::new(point).starts_with(directory))
        .collect();
    points.reverse();
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    let detached = points.iter().all(|point| rustix::mount::unmount(*point, flags).is_ok());
    detached && fs::remove_dir_all(directory).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(builder: &str) -> HashMap<String, String> {
        HashMap::from([(BUILDER_LABEL.to_owned(), builder.to_owned())])
    }

    #[test]
    fn only_a_named_and_dead_builder_leaves_orphans() {
        let me = ProcessIdentity::current().unwrap().to_string();
        assert!(!is_orphan(&labels(&me)));
        assert!(is_orphan(&labels("1:1:00000000")));
        assert!(!is_orphan(&labels("not an identity")));
        assert!(!is_orphan(&HashMap::new()));
    }

    #[test]
    fn directories_of_the_dead_go_those_of_the_living_stay() {
        let root = tempfile::tempdir().unwrap();
        let me = ProcessIdentity::current().unwrap();
        for name in [format!("{me}-step"), "1:1:00000000-step".to_owned(), "other".to_owned()] {
            fs::create_dir_all(root.path().join(name).join("inner")).unwrap();
        }
        assert_eq!(directories(root.path()), 1);
        assert!(root.path().join(format!("{me}-step")).exists());
        assert!(root.path().join("other").exists());
    }
}
