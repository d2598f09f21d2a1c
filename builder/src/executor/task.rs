//! One container and its task: create, start, wait, delete. Removed on every way out.

use std::{collections::HashMap, future::Future, path::Path, time::Duration};

use containerd_client::services::v1::{
    Container, CreateContainerRequest, CreateTaskRequest, DeleteContainerRequest,
    DeleteTaskRequest, KillRequest, StartRequest, WaitRequest, container::Runtime,
};
use containerd_client::types;
use oci_spec::runtime::Spec;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{OpenOptions, Receiver},
    runtime::Handle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{ExecError, OutputSink, Stream};
use crate::{
    snapshot::OWNER_SHIFT,
    worker::{
        Connection, ConnectionError,
        connection::request,
        sweep::{SNAPSHOTTER, remove_container},
    },
};

/// The shim that 1.6 to 2.x share.
const RUNTIME: &str = "io.containerd.runc.v2";

/// Between the polite signal and the one that cannot be refused.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait for the last output after all writers are gone.
const DRAIN: Duration = Duration::from_secs(5);

const SIGTERM: u32 = 15;
const SIGKILL: u32 = 9;

/// Protocol buffers' "any": a type's name and its encoded bytes. A macro, because the client library makes
/// such values but does not name their type.
macro_rules! any {
    ($type_url:expr, $value:expr) => {{
        let mut any = containerd_client::to_any(&StartRequest::default());
        any.type_url = String::from($type_url);
        any.value = $value;
        any
    }};
}

const RUNC_OPTIONS: &str = "containerd.runc.v1.Options";
const SPEC: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

/// What a task is made of.
pub(super) struct TaskRequest<'a> {
    pub(super) id: String,
    pub(super) program: &'a str,
    pub(super) spec: &'a Spec,
    pub(super) rootfs: Vec<types::Mount>,
    pub(super) labels: HashMap<String, String>,
    pub(super) stdout: &'a Path,
    pub(super) stderr: &'a Path,
}

/// A container that is in containerd's database. When dropped before [`Task::delete`], because of an error
/// or because nobody waits any more, it is killed and removed in the background.
pub(super) struct Task {
    connection: Connection,
    id: String,
    stdout: Receiver,
    stderr: Receiver,
    removed: bool,
}

impl Task {
    /// Makes the container and its task, which then waits to be started.
    pub(super) async fn create(
        connection: &Connection,
        wanted: TaskRequest<'_>,
    ) -> Result<Self, ExecError> {
        let open = |path: &Path| {
            let opened = OpenOptions::new().open_receiver(path);
            opened.map_err(ExecError::file("open the pipe", path))
        };
        // The shim opens the other ends, and waits until somebody reads.
        let (stdout, stderr) = (open(wanted.stdout)?, open(wanted.stderr)?);
        let mut task = Self {
            connection: connection.clone(),
            id: wanted.id.clone(),
            stdout,
            stderr,
            removed: false,
        };
        create_container(connection, &wanted).await?;
        let create = CreateTaskRequest {
            container_id: wanted.id,
            rootfs: wanted.rootfs,
            stdout: wanted.stdout.to_string_lossy().into_owned(),
            stderr: wanted.stderr.to_string_lossy().into_owned(),
            options: Some(any!(RUNC_OPTIONS, runc_options())),
            ..CreateTaskRequest::default()
        };
        if let Err(status) = connection.tasks().create(request(create)).await {
            task.remove().await;
            return Err(ExecError::from_runtime(status.message(), wanted.program));
        }
        Ok(task)
    }

    /// Starts it, passes its output on, and returns its exit status once all output was passed on.
    pub(super) async fn run(
        &mut self,
        program: &str,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<u32, ExecError> {
        let life = live(&self.connection, &self.id, program, cancel);
        let pump = pump(&mut self.stdout, &mut self.stderr, output);
        tokio::pin!(life, pump);
        let mut drained = false;
        let status = loop {
            tokio::select! {
                status = &mut life => break status,
                () = &mut pump, if !drained => drained = true,
            }
        };
        if !drained {
            let _ = timeout(DRAIN, pump).await;
        }
        status
    }

    /// Removes the task, which has ended, and its container.
    pub(super) async fn delete(mut self) -> Result<(), ExecError> {
        let delete = DeleteTaskRequest { container_id: self.id.clone() };
        if self.connection.tasks().delete(request(delete)).await.is_err() {
            self.remove().await;
            return Ok(());
        }
        self.removed = true;
        let delete = DeleteContainerRequest { id: self.id.clone() };
        let deleted = self.connection.containers().delete(request(delete)).await;
        deleted.map_err(ConnectionError::call("delete a container"))?;
        Ok(())
    }

    /// Kills and removes it, whatever state it is in.
    pub(super) async fn remove(&mut self) {
        self.removed = remove_container(&self.connection, self.id.clone()).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let Ok(handle) = Handle::try_current() else { return };
        if !self.removed {
            let (connection, id) = (self.connection.clone(), self.id.clone());
            handle.spawn(async move { remove_container(&connection, id).await });
        }
    }
}

async fn create_container(
    connection: &Connection,
    wanted: &TaskRequest<'_>,
) -> Result<(), ExecError> {
    let spec = serde_json::to_vec(wanted.spec)
        .map_err(|error| ExecError::Request(format!("the OCI configuration: {error}")))?;
    let container = Container {
        id: wanted.id.clone(),
        labels: wanted.labels.clone(),
        runtime: Some(Runtime {
            name: RUNTIME.to_owned(),
            options: Some(any!(RUNC_OPTIONS, runc_options())),
        }),
        spec: Some(any!(SPEC, spec)),
        snapshotter: SNAPSHOTTER.to_owned(),
        ..Container::default()
    };
    let create = CreateContainerRequest { container: Some(container) };
    let created = connection.containers().create(request(create)).await;
    created.map_err(ConnectionError::call("create a container"))?;
    Ok(())
}

/// The encoded `containerd.runc.v1.Options` with `io_uid` (field 4) and `io_gid` (field 5): the pipes behind
/// a step's standard output belong to its root, so that it may open `/dev/stdout`.
fn runc_options() -> Vec<u8> {
    // One byte of a variable-length integer.
    const ID: u8 = if OWNER_SHIFT < 0x80 { OWNER_SHIFT as u8 } else { 0 };
    vec![0x20, ID, 0x28, ID]
}

async fn live(
    connection: &Connection,
    id: &str,
    program: &str,
    cancel: &CancellationToken,
) -> Result<u32, ExecError> {
    let mut tasks = connection.tasks();
    let wait = WaitRequest { container_id: id.to_owned(), exec_id: String::new() };
    let mut waiting_tasks = connection.tasks();
    let waiting = waiting_tasks.wait(request(wait));
    tokio::pin!(waiting);
    let start = StartRequest { container_id: id.to_owned(), exec_id: String::new() };
    if let Err(status) = tasks.start(request(start)).await {
        return Err(ExecError::from_runtime(status.message(), program));
    }
    let ended = tokio::select! {
        ended = &mut waiting => ended,
        () = cancel.cancelled() => {
            interrupt(connection, id, waiting).await;
            return Err(ExecError::Cancelled);
        }
    };
    let ended = ended.map_err(ConnectionError::call("wait for a task"))?;
    Ok(ended.into_inner().exit_status)
}

/// Asks politely, then kills; comes back when the task has ended, or after a few seconds all the same.
async fn interrupt<T>(
    connection: &Connection,
    id: &str,
    mut ended: impl Future<Output = T> + Unpin,
) {
    for signal in [SIGTERM, SIGKILL] {
        let kill =
            KillRequest { container_id: id.to_owned(), exec_id: String::new(), signal, all: false };
        let _ = connection.tasks().kill(request(kill)).await;
        if timeout(GRACE, &mut ended).await.is_ok() {
            return;
        }
    }
}

/// Passes both pipes on until all writers have closed them.
async fn pump(stdout: &mut Receiver, stderr: &mut Receiver, output: &dyn OutputSink) {
    let mut first = vec![0; 32 << 10];
    let mut second = vec![0; 32 << 10];
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        tokio::select! {
            read = stdout.read(&mut first), if out_open => {
                out_open = pass(Stream::Stdout, read, &first, output);
            }
            read = stderr.read(&mut second), if err_open => {
                err_open = pass(Stream::Stderr, read, &second, output);
            }
        }
    }
}

/// Whether there may be more.
fn pass(
    stream: Stream,
    read: std::io::Result<usize>,
    buffer: &[u8],
    output: &dyn OutputSink,
) -> bool {
    let bytes = read.ok().and_then(|count| buffer.get(..count)).unwrap_or_default();
    if !bytes.is_empty() {
        output.bytes(stream, bytes);
    }
    !bytes.is_empty()
}
