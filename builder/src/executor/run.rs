//! A request from end to end.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use containerd_client::types;
use oci_spec::runtime::Spec;
use tokio_util::sync::CancellationToken;

use super::{
    ExecError, ExecRequest, OutputSink, mounts,
    spec::spec,
    step_dir::StepDir,
    stubs::Stubs,
    task::{Task, TaskRequest},
};
use crate::worker::{
    Connection, ProcessIdentity, Worker, connection::BUILDER_LABEL, sweep::remove_containers,
};

/// The length of mount options from which on the root file system is mounted here instead of by the shim:
/// the kernel takes a page, and not every shim shortens paths.
const LONG_OPTIONS: usize = 3000;

/// What a step's first process exited with: 0 for success, 128 + n when signal n ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitCode(pub u32);

impl ExitCode {
    /// Whether it is 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.0 == 0
    }
}

/// Runs steps on a worker; any number at the same time.
#[derive(Debug, Clone)]
pub struct Executor {
    worker: Worker,
    connection: Connection,
    builder: ProcessIdentity,
}

impl Executor {
    /// An executor for the calling process, which is inside the worker (`worker::enter`).
    #[must_use]
    pub fn new(worker: Worker, connection: Connection, builder: ProcessIdentity) -> Self {
        Self { worker, connection, builder }
    }

    /// Ends the steps of builds that are not alive any more. Who takes over what such a build held does this
    /// first: the kernel frees its locks before anyone ends its steps.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub async fn end_orphans(&self) -> Result<(), ExecError> {
        remove_containers(&self.connection).await?;
        Ok(())
    }

    /// Runs a step and waits for its end. Output is passed on as it comes, all of it before this returns.
    /// Afterwards, however it ended, no process, mount or file of the step is left; the changes are in the
    /// upper directory of `request.rootfs`, without the empty mount points that the OCI runtime made.
    ///
    /// Cancelling sends SIGTERM, after a second SIGKILL.
    ///
    /// # Errors
    /// [`ExecError`] when the step could not be run, or was cancelled. A step that ran and failed is an
    /// [`ExitCode`] other than 0.
    pub async fn run(
        &self,
        request: &ExecRequest,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, ExecError> {
        let mut dir = StepDir::make(&self.builder, &request.id)?;
        let mut extra = mounts::name_files(request, &dir)?;
        extra.extend(mounts::extra(request, &mut dir, &self.worker)?);
        // `/dev`, `/proc` and `/sys` stay in the layer of a bare image, as they do with BuildKit; there also
        // `/dev` goes where something else is mounted in it, or the size of `/dev/shm` is asked for.
        let own: Vec<_> = extra.iter().map(|mount| mount.destination().clone()).collect();
        let shm = request.shm_size.map(|_| Path::new("/dev/shm"));
        let targets: Vec<_> = own.iter().map(PathBuf::as_path).chain(shm).collect();
        let stubs = Stubs::before(&request.rootfs, &targets, &dir.subdirectory("view")?)?;
        let spec = spec(request, extra)?;
        let result = self.run_in(&dir, &spec, request, output, cancel).await;
        stubs.remove();
        result
    }

    async fn run_in(
        &self,
        dir: &StepDir,
        spec: &Spec,
        request: &ExecRequest,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, ExecError> {
        if cancel.is_cancelled() {
            return Err(ExecError::Cancelled);
        }
        let (rootfs, point) = self.rootfs(dir, request)?;
        let (stdout, stderr) = (dir.pipe("stdout")?, dir.pipe("stderr")?);
        let program = request.args.first().map(String::as_str).unwrap_or_default();
        let wanted = TaskRequest {
            id: self.container_id(&request.id),
            program,
            spec,
            rootfs,
            labels: self.labels(request),
            stdout: &stdout,
            stderr: &stderr,
        };
        let result = self.run_task(wanted, program, output, cancel).await;
        if let Some(point) = point {
            let unmounted = mounts::unmount_in_worker(&self.worker, &point);
            unmounted.map_err(ExecError::file("unmount", point))?;
        }
        result
    }

    async fn run_task(
        &self,
        wanted: TaskRequest<'_>,
        program: &str,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, ExecError> {
        let mut task = Task::create(&self.connection, wanted).await?;
        match task.run(program, output, cancel).await {
            Ok(status) => {
                task.delete().await?;
                Ok(ExitCode(status))
            }
            Err(error) => {
                task.remove().await;
                Err(error)
            }
        }
    }

    /// What the shim mounts, and the mount point to be undone afterwards, if any.
    fn rootfs(
        &self,
        dir: &StepDir,
        request: &ExecRequest,
    ) -> Result<(Vec<types::Mount>, Option<PathBuf>), ExecError> {
        let length = |mount: &crate::snapshot::Mount| -> usize {
            mount.options.iter().map(|option| option.len() + 1).sum()
        };
        if request.rootfs.iter().all(|mount| length(mount) < LONG_OPTIONS) {
            return Ok((request.rootfs.iter().map(types::Mount::from).collect(), None));
        }
        let point = dir.subdirectory("rootfs")?;
        mounts::mount_in_worker(&self.worker, &request.rootfs, &point)?;
        let bind = crate::snapshot::Mount::bind(&point, false);
        Ok((vec![types::Mount::from(&bind)], Some(point)))
    }

    /// Unique in the worker, within containerd's 76 bytes.
    fn container_id(&self, step: &str) -> String {
        let builder = self.builder.to_string();
        let short: Vec<_> = builder.split(':').take(2).collect();
        format!("{}-{step}", short.join("-"))
    }

    fn labels(&self, request: &ExecRequest) -> HashMap<String, String> {
        let own = [(BUILDER_LABEL.to_owned(), self.builder.to_string())];
        let given = request.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
        given.chain(own).collect()
    }
}
