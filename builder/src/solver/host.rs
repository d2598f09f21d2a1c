//! What a build works with. The cli makes it once; it goes to the build and the solver and no lower.

use std::{path::PathBuf, sync::Arc};

use super::chain::Chains;
use crate::{
    content::{records::Records, store::ContentStore},
    egress::Egress,
    emulation::Emulation,
    executor::Executor,
    fetch::Fetcher,
    registry::client::RegistryClient,
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
}
