//! What a build works with. The cli makes it once; it goes to the build and the solver and no lower.

use std::{fmt, path::PathBuf, sync::Arc};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::chain::Chains;
use crate::{
    content::{hold::Hold, records::Records, store::ContentStore},
    egress::Egress,
    emulation::Emulation,
    executor::Executor,
    fetch::Fetcher,
    registry::client::RegistryClient,
    worker::{Connection, ConnectionError, sweep::sweep},
};

/// The machine's services, each shared by all steps.
#[derive(Debug)]
pub struct Host {
    /// Blobs.
    pub content: Arc<ContentStore>,
    /// Registries.
    pub registry: Arc<RegistryClient>,
    /// Stacks of layers.
    pub chains: Arc<Chains>,
    /// Results of earlier steps and other things that are dear to make, by key.
    pub cache: Records,
    /// What this build holds, so that nobody frees it.
    pub hold: Arc<Hold>,
    /// Programs for other processors.
    pub emulation: Arc<Emulation>,
    /// Fetches what ADD and named contexts name.
    pub fetcher: Arc<Fetcher>,
    /// Runs processes.
    pub executor: Arc<Executor>,
    /// The network of RUN steps.
    pub egress: Arc<Egress>,
    /// Digests of context files by their stat data.
    pub stat_cache: PathBuf,
    /// The directories of `RUN --mount=type=cache`.
    pub cache_mounts: PathBuf,
    /// Steps that may run at the same time.
    pub jobs: usize,
    /// What killed builds left, as it is being removed.
    pub sweep: Sweep,
}

/// The removal of what killed builds left. It goes on beside the build: only a step that runs, whose caches a
/// killed build's step might still write to, waits for its end.
#[derive(Clone)]
pub struct Sweep(Shared<BoxFuture<'static, Result<(), Arc<ConnectionError>>>>);

impl Sweep {
    /// Begins. To be called on the runtime that will serve the build.
    #[must_use]
    pub fn begin(connection: Connection) -> Self {
        let work = tokio::spawn(async move { sweep(&connection).await });
        // A task that the runtime ended swept less, and the next build sweeps again.
        let end =
            async move { work.await.map_or(Ok(()), |swept| swept.map(drop).map_err(Arc::new)) };
        Self(end.boxed().shared())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the worker does not answer.
    pub async fn done(&self) -> Result<(), Arc<ConnectionError>> {
        self.0.clone().await
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sweep")
    }
}
