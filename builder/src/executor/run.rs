//! A request from end to end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    ExecError, ExecRequest, OutputSink,
    container::Container,
    mounts, probe,
    runtime::Runtime,
    spec::spec,
    step_dir::StepDir,
    stubs::{Stubs, make_standard_points},
};
use crate::{
    snapshot::{Mount, Mounted, mount::upper_dir},
    worker::{Death, ProcessIdentity, WorkerConfig, sweep::end_steps},
};

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
    config: WorkerConfig,
    builder: ProcessIdentity,
    runtime: Arc<OnceCell<Runtime>>,
    death: Option<Death>,
}

/// A step's root file system, mounted for it alone.
#[derive(Debug)]
pub struct StepRoot {
    // Unmounted before its directory is removed: fields are dropped in this order.
    mounted: Mounted,
    dir: StepDir,
    upper: Option<PathBuf>,
}

impl StepRoot {
    /// Where it is mounted, visible to this process only.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mounted.root()
    }
}

impl Executor {
    /// An executor for the calling process, which is inside the worker (`worker::enter`) and has a mount
    /// namespace of its own (`worker::isolate`). It finds the OCI runtime where `config` says.
    #[must_use]
    pub fn new(config: WorkerConfig, builder: ProcessIdentity) -> Self {
        Self { config, builder, runtime: Arc::default(), death: None }
    }

    /// Ends steps when the worker ends.
    #[must_use]
    pub fn until(self, death: Death) -> Self {
        Self { death: Some(death), ..self }
    }

    /// Ends the steps of builds that are not alive any more. Who takes over what such a build held does this
    /// first: the kernel frees its locks before anyone ends its steps.
    pub async fn end_orphans(&self) {
        end_steps().await;
    }

    /// Mounts `rootfs`, from `Snapshots::prepare`, for one step. `id` names the step within this build
    /// process: words of letters and digits, joined by single `-`, `_` or `.`, at most 40 bytes, not used
    /// twice at the same time.
    ///
    /// # Errors
    /// When the directory cannot be made or the kernel refuses the mount.
    pub fn mount(&self, id: &str, rootfs: &[Mount]) -> Result<StepRoot, ExecError> {
        let dir = StepDir::make(&self.builder, id)?;
        let mounted = Mounted::mount(rootfs, &dir.subdirectory("rootfs")?)?;
        Ok(StepRoot { mounted, dir, upper: upper_dir(rootfs) })
    }

    /// Runs a step in its root and waits for its end. Output is passed on as it comes, all of it before this
    /// returns. Afterwards, however it ended, no process, mount or file of the step is left; the changes are
    /// in the upper directory of its root, without the empty mount points that the OCI runtime made.
    ///
    /// Cancelling sends SIGTERM, after a second SIGKILL.
    ///
    /// # Errors
    /// [`ExecError`] when the step could not be run, or was cancelled. A step that ran and failed is an
    /// [`ExitCode`] other than 0.
    pub async fn run(
        &self,
        root: StepRoot,
        request: &ExecRequest,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, ExecError> {
        let StepRoot { mounted, mut dir, upper } = root;
        let runtime = self.runtime.get_or_try_init(|| probe::choose(&self.config, &self.builder));
        let runtime = runtime.await?;
        let mut extra = mounts::name_files(request, &dir)?;
        extra.extend(mounts::extra(request, &mut dir)?);
        // `/dev`, `/proc` and `/sys` stay in the layer of a bare image, as they do with BuildKit; there also
        // `/dev` goes where something else is mounted in it, or the size of `/dev/shm` is asked for.
        let own: Vec<_> = extra.iter().map(|mount| mount.destination().clone()).collect();
        let shm = request.shm_size.map(|_| Path::new("/dev/shm"));
        let targets: Vec<_> = own.iter().map(PathBuf::as_path).chain(shm).collect();
        let stubs = Stubs::before(mounted.root(), upper, &targets)?;
        make_standard_points(mounted.root())?;
        dir.configure(&spec(request, extra, runtime.filter())?)?;
        if cancel.is_cancelled() {
            return Err(ExecError::Cancelled);
        }
        let program = request.args.first().map(String::as_str).unwrap_or_default();
        let ended = match Container::start(runtime, &dir) {
            Ok(container) => self.attend(container, program, output, cancel).await,
            Err(error) => Err(error),
        };
        // What is taken out of a mounted file system's own directory may still be seen through it.
        drop(mounted);
        stubs.remove();
        ended
    }

    /// Runs the container to its end, or to the worker's.
    async fn attend(
        &self,
        container: Container<'_>,
        program: &str,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, ExecError> {
        let stop = cancel.child_token();
        let run = container.run(program, output, &stop);
        tokio::pin!(run);
        let death = async {
            match &self.death {
                Some(death) => death.comes().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut run => return ended,
            () = death => stop.cancel(),
        }
        let _ = run.await;
        Err(ExecError::WorkerDied)
    }
}
