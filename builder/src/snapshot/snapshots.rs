//! containerd's snapshots service for one build process.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, Info, Kind, ListSnapshotsRequest, MountsRequest, PrepareSnapshotRequest,
    RemoveSnapshotRequest, StatSnapshotRequest, UsageRequest, ViewSnapshotRequest,
};

use super::{Mount, OWNER_SHIFT, lease, mount::upper_dir};
use crate::{
    content::{hold::Hold, records::Records},
    oci::digest::Digest,
    worker::{
        Connection, ConnectionError, ProcessIdentity, Unsettled, WorkerError,
        connection::{BUILDER_LABEL, leased, request},
        sweep::SNAPSHOTTER,
    },
};

/// The label that keeps a committed snapshot until it is removed on purpose.
const KEEP_LABEL: &str = "containerd.io/gc.root";

/// Why a snapshot could not be made or found.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// containerd refused or went away.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The calling process could not find out who it is.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Who wrote what the disk may not have yet cannot be read or noted.
    #[error("cannot note in '{}' what is not on the disk yet, or read it there: {source}", path.display())]
    Marks {
        /// The directory of the notes.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The new root directory could not be given its owner.
    #[error("cannot set owner and mode of the snapshot directory '{}': {source}", path.display())]
    RootDirectory {
        /// The upper directory.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl SnapshotError {
    pub(super) fn marks(place: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Marks { path: place.to_owned(), source }
    }

    /// Whether containerd said that the thing is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_not_found())
    }
}

/// Whether a snapshot is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Writable; named by a key.
    Active,
    /// Read-only on top of a parent; named by a key.
    View,
    /// Finished, can be a parent; named for good.
    Committed,
}

/// One snapshot of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name, or its key while it is active.
    pub name: String,
    /// The snapshot it lies on; empty for none.
    pub parent: String,
    /// Whether it is finished.
    pub kind: SnapshotKind,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Labels.
    pub labels: HashMap<String, String>,
}

/// The snapshots of one worker, seen by one build process. Clones share the connection and the lease.
#[derive(Debug, Clone)]
pub struct Snapshots {
    connection: Connection,
    builder: ProcessIdentity,
    lease: String,
    hold: Option<(Arc<Hold>, Records)>,
    unsettled: Option<Arc<Unsettled>>,
}

impl Snapshots {
    /// Takes the build process's lease. Call [`Snapshots::close`] when the build has ended.
    ///
    /// # Errors
    /// When containerd refuses.
    pub async fn open(
        connection: Connection,
        builder: ProcessIdentity,
    ) -> Result<Self, SnapshotError> {
        let lease = lease::take(&connection, &builder).await?;
        Ok(Self { connection, builder, lease, hold: None, unsettled: None })
    }

    /// The same snapshots; what is asked for is held by `hold` from then on, and noted as used in `stacks`.
    #[must_use]
    pub fn holding(self, hold: Arc<Hold>, stacks: Records) -> Self {
        Self { hold: Some((hold, stacks)), ..self }
    }

    /// The same snapshots; what is written into them from then on need not be on the disk, which is noted in
    /// `unsettled` before.
    #[must_use]
    pub fn noting(self, unsettled: Arc<Unsettled>) -> Self {
        Self { unsettled: Some(unsettled), ..self }
    }

    async fn note(&self) -> Result<(), SnapshotError> {
        let Some(unsettled) = self.unsettled.clone().filter(|known| !known.is_marked()) else {
            return Ok(());
        };
        let place = unsettled.place().to_owned();
        let marked = tokio::task::spawn_blocking(move || unsettled.mark()).await;
        let marked = marked.map_err(std::io::Error::other).and_then(|marked| marked);
        marked.map_err(SnapshotError::marks(&place))
    }

    fn claim(&self, name: &str) {
        let Some((hold, stacks)) = &self.hold else { return };
        if hold.claim(&Digest::of(name.as_bytes()))
            && let Some(id) = chain_of(name)
        {
            stacks.touch(&id);
        }
    }

    /// Connects to a socket, for the calling process.
    ///
    /// # Errors
    /// When nobody listens, `/proc` is not readable or containerd refuses.
    pub async fn connect(socket: &Path) -> Result<Self, SnapshotError> {
        let connection = Connection::open(socket).await?;
        Self::open(connection, ProcessIdentity::current()?).await
    }

    /// A writable snapshot on top of the committed `parent`, or an empty one. Its root directory has the
    /// parent's owner and mode; an empty one belongs to the step's root, mode 0755.
    ///
    /// # Errors
    /// When the key is taken or the parent is not there.
    pub async fn prepare(
        &self,
        key: &str,
        parent: Option<&str>,
    ) -> Result<Vec<Mount>, SnapshotError> {
        parent.iter().for_each(|parent| self.claim(parent));
        let prepare = PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: key.to_owned(),
            parent: parent.unwrap_or_default().to_owned(),
            labels: self.labels(),
        };
        let mut service = self.connection.snapshots();
        let answer = service.prepare(leased(prepare, &self.lease));
        let (noted, answer) = tokio::join!(self.note(), answer);
        let answer = answer.map_err(ConnectionError::call(format!("prepare snapshot '{key}'")))?;
        noted?;
        let mounts = answer.into_inner().mounts.into_iter().map(Mount::from);
        let mounts: Vec<Mount> = match self.unsettled {
            Some(_) => mounts.map(Mount::volatile).collect(),
            None => mounts.collect(),
        };
        own_root(&mounts)?;
        Ok(mounts)
    }

    /// A read-only look at the committed `parent`; `key` is to be removed afterwards.
    ///
    /// # Errors
    /// When the key is taken or the parent is not there.
    pub async fn view(&self, key: &str, parent: &str) -> Result<Vec<Mount>, SnapshotError> {
        let view = ViewSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: self.labels(),
        };
        let answer = self.connection.snapshots().view(leased(view, &self.lease)).await;
        let answer = answer.map_err(ConnectionError::call(format!("view snapshot '{parent}'")))?;
        Ok(answer.into_inner().mounts.into_iter().map(Mount::from).collect())
    }

    /// The mounts of an active snapshot or view that was made before.
    ///
    /// # Errors
    /// When there is none.
    pub async fn mounts(&self, key: &str) -> Result<Vec<Mount>, SnapshotError> {
        let mounts = MountsRequest { snapshotter: SNAPSHOTTER.to_owned(), key: key.to_owned() };
        let answer = self.connection.snapshots().mounts(request(mounts)).await;
        let answer = answer.map_err(ConnectionError::call(format!("mount snapshot '{key}'")))?;
        Ok(answer.into_inner().mounts.into_iter().map(Mount::from).collect())
    }

    /// Finishes the active snapshot `key` as `name`, for good and in one step: another process sees either
    /// none or the whole. When `name` is there already, made by another build from the same input, `key` is
    /// removed and that one stands.
    ///
    /// # Errors
    /// When `key` is not there.
    pub async fn commit(&self, name: &str, key: &str) -> Result<(), SnapshotError> {
        self.claim(name);
        if let Some((hold, _)) = &self.hold {
            hold.wrote();
        }
        let now = lease::timestamp(SystemTime::now());
        let commit = CommitSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            labels: HashMap::from([(KEEP_LABEL.to_owned(), now)]),
        };
        let done = self.connection.snapshots().commit(leased(commit, &self.lease)).await;
        match done.map_err(ConnectionError::call(format!("commit snapshot '{name}'"))) {
            Err(error) if error.is_already_there() => self.remove(key).await,
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Removes an active or committed snapshot; one that is not there counts as removed.
    ///
    /// # Errors
    /// When another snapshot lies on it.
    pub async fn remove(&self, key: &str) -> Result<(), SnapshotError> {
        let remove =
            RemoveSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key: key.to_owned() };
        let done = self.connection.snapshots().remove(request(remove)).await;
        match done.map_err(ConnectionError::call(format!("remove snapshot '{key}'"))) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether a committed snapshot of that name is there.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn exists(&self, name: &str) -> Result<bool, SnapshotError> {
        self.claim(name);
        let stat =
            StatSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key: name.to_owned() };
        let answer = self.connection.snapshots().stat(request(stat)).await;
        match answer.map_err(ConnectionError::call(format!("look at snapshot '{name}'"))) {
            Ok(answer) => {
                let info = answer.into_inner().info;
                Ok(info.is_some_and(|info| info.kind == Kind::Committed as i32))
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// All snapshots, finished or not.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn list(&self) -> Result<Vec<SnapshotInfo>, SnapshotError> {
        let call = || ConnectionError::call("list snapshots");
        let list =
            ListSnapshotsRequest { snapshotter: SNAPSHOTTER.to_owned(), filters: Vec::new() };
        let answer = self.connection.snapshots().list(request(list)).await.map_err(call())?;
        let mut stream = answer.into_inner();
        let mut all = Vec::new();
        while let Some(part) = stream.message().await.map_err(call())? {
            all.extend(part.info.into_iter().map(SnapshotInfo::from));
        }
        Ok(all)
    }

    /// Bytes of disk blocks that the snapshot's own directory holds.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn usage(&self, name: &str) -> Result<u64, SnapshotError> {
        let usage = UsageRequest { snapshotter: SNAPSHOTTER.to_owned(), key: name.to_owned() };
        let answer = self.connection.snapshots().usage(request(usage)).await;
        let answer = answer.map_err(ConnectionError::call(format!("measure snapshot '{name}'")))?;
        Ok(u64::try_from(answer.into_inner().size).unwrap_or_default())
    }

    /// Gives the lease back: what was not committed is now the collector's.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn close(&self) -> Result<(), SnapshotError> {
        Ok(lease::release(&self.connection, &self.lease, false).await?)
    }

    /// As [`Snapshots::close`], but waits until the blocks of removed snapshots are free.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn close_and_collect(&self) -> Result<(), SnapshotError> {
        Ok(lease::release(&self.connection, &self.lease, true).await?)
    }

    /// The connection to containerd, to share it with an executor.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(BUILDER_LABEL.to_owned(), self.builder.to_string())])
    }
}

/// The chain of layers that a snapshot of this name holds.
#[must_use]
pub fn chain_of(name: &str) -> Option<Digest> {
    format!("sha256:{}", name.strip_prefix("layer-")?).parse().ok()
}

impl From<Info> for SnapshotInfo {
    fn from(info: Info) -> Self {
        let kind = match Kind::try_from(info.kind) {
            Ok(Kind::Committed) => SnapshotKind::Committed,
            Ok(Kind::View) => SnapshotKind::View,
            _ => SnapshotKind::Active,
        };
        Self {
            name: info.name,
            parent: info.parent,
            kind,
            created: info.created_at.map(|time| time.seconds).unwrap_or_default(),
            labels: info.labels,
        }
    }
}

/// An overlay's root has the owner and mode of its upper directory, which the snapshotter makes with mode
/// 0755 and, without a parent, for the worker's 0: in a step that is nobody's.
fn own_root(mounts: &[Mount]) -> Result<(), SnapshotError> {
    let Some(upper) = upper_dir(mounts) else { return Ok(()) };
    let lower = mounts.last().and_then(|mount| mount.lower_dirs().into_iter().next());
    let apply = || -> std::io::Result<()> {
        let (uid, gid, mode) = match &lower {
            Some(lower) => {
                let metadata = fs::metadata(lower)?;
                (metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o7777)
            }
            None => (OWNER_SHIFT, OWNER_SHIFT, 0o755),
        };
        std::os::unix::fs::chown(&upper, Some(uid), Some(gid))?;
        fs::set_permissions(&upper, fs::Permissions::from_mode(mode))
    };
    apply().map_err(|source| SnapshotError::RootDirectory { path: upper.clone(), source })
}
