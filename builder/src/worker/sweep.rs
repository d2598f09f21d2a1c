//! Removes what a build left that was killed: its steps with their processes and files, its active
//! snapshots, its leases. What a living build made is not touched.

use std::collections::HashMap;

use containerd_client::services::v1::{
    DeleteRequest, ListRequest,
    snapshots::{Kind, ListSnapshotsRequest, RemoveSnapshotRequest},
};
use tokio::task::spawn_blocking;

use super::{
    Connection, ConnectionError, ProcessIdentity,
    connection::{BUILDER_LABEL, request},
    steps,
};

/// The snapshotter that everything here uses.
pub(crate) const SNAPSHOTTER: &str = "overlayfs";

/// What [`sweep`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Steps, each with its processes and its directory under `/run`.
    pub steps: usize,
    /// Active snapshots.
    pub snapshots: usize,
    /// Leases.
    pub leases: usize,
}

/// Removes what builds left that are not alive any more. Call it inside the worker, at each build's start;
/// several may run at the same time.
///
/// # Errors
/// When containerd cannot list; a single thing that cannot be removed is left for the next time.
pub async fn sweep(connection: &Connection) -> Result<Swept, ConnectionError> {
    Ok(Swept {
        // First: what they hold cannot be removed while they live.
        steps: end_steps().await,
        snapshots: snapshots(connection).await?,
        leases: leases(connection).await?,
    })
}

/// The part of [`sweep`] that ends processes.
pub(crate) async fn end_steps() -> usize {
    spawn_blocking(steps::sweep).await.unwrap_or_default()
}

/// Whether the labels name a builder, and it is gone.
fn is_orphan(labels: &HashMap<String, String>) -> bool {
    let builder = labels.get(BUILDER_LABEL);
    let identity = builder.and_then(|text| text.parse::<ProcessIdentity>().ok());
    identity.is_some_and(|builder| !builder.is_alive())
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
}
