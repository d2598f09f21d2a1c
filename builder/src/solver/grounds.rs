//! Bases that no step of the build mounts. What their archives say is enough to lay a COPY on them, so they are not
//! unpacked: a base that is only copied onto is downloaded, read once, and goes into the image.

use std::{
    collections::HashMap,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::{Either, select};
use tokio::sync::OnceCell;

use super::{
    Solver,
    active::snapshot_name,
    chain::{Chains, View},
    error::SolveError,
    key::chain_id,
};
use crate::{
    oci::digest::Digest,
    snapshot::OWNER_SHIFT,
    source::layout::{Below, Ground, Laid},
};

/// None where it has to be mounted after all.
type Known = Arc<OnceCell<Option<Arc<Ground>>>>;

/// The bases that nobody mounts, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Grounds(Mutex<HashMap<Vec<Digest>, Known>>);

impl Grounds {
    /// Notes that no step mounts `base`.
    pub(super) fn add(&self, base: &[Digest]) {
        self.all().entry(base.to_vec()).or_default();
    }

    /// What the archives of `base` say. None where somebody mounts it, where it is unpacked already, and where nobody
    /// looks at archives.
    ///
    /// # Errors
    /// A layer cannot be downloaded or read; who asks next tries again.
    pub(super) async fn of(
        &self,
        base: &[Digest],
        chains: &Chains,
    ) -> Result<Option<Arc<Ground>>, SolveError> {
        let known = self.all().get(base).cloned();
        let Some(known) = known else { return Ok(None) };
        known.get_or_try_init(|| ground(base, chains)).await.cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Vec<Digest>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ground(chain: &[Digest], chains: &Chains) -> Result<Option<Arc<Ground>>, SolveError> {
    let (Some(lookout), Some(id)) = (&chains.lookout, chain_id(chain)) else { return Ok(None) };
    if chains.snapshots.exists(&snapshot_name(&id)).await? {
        return Ok(None);
    }
    chains.bases.look(chain, &chains.blobs).await?;
    let mut ground = Ground::new(OWNER_SHIFT);
    let is_seen = chain.iter().all(|layer| lookout.show(layer, &mut |index| ground.push(index)));
    Ok(is_seen.then(|| Arc::new(ground)))
}

impl Solver {
    /// Does `work`, and meanwhile gets what `base` is like, where no earlier build can have left anything that makes it
    /// needless: a base that this machine never had.
    pub(super) async fn meanwhile<T>(
        &self,
        base: &[Digest],
        work: impl Future<Output = Result<T, SolveError>>,
    ) -> Result<T, SolveError> {
        let chains = &self.host.chains;
        if self.mounted || !self.shared.is_empty() || !chains.is_new(base) {
            return work.await;
        }
        // Why there is none, who lays the COPY will find out again.
        match select(pin!(work), pin!(self.grounds.of(base, chains))).await {
            Either::Left((done, rest)) => {
                if done.is_ok() {
                    let _ = rest.await;
                }
                done
            }
            Either::Right((_, work)) => work.await,
        }
    }
}

impl Chains {
    /// Is this a base of which nothing was ever here?
    fn is_new(&self, chain: &[Digest]) -> bool {
        let is_new =
            |layer: &Digest| self.bases.origin(layer).is_some() && !self.blobs.knows(layer);
        !chain.is_empty() && chain.iter().all(is_new)
    }
}

/// What a COPY is laid on.
pub(super) enum Under {
    Mounted(View),
    Ground(Arc<Ground>),
}

impl Under {
    /// Where the names of owners are found; an empty path where they are not.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Mounted(view) => view.path(),
            Self::Ground(_) => Path::new(""),
        }
    }

    /// With these layers on it.
    pub(super) fn below(&self, laid: Vec<Arc<Laid>>) -> Result<Below, SolveError> {
        match self {
            Self::Mounted(view) => {
                Below::open(view.path(), laid).map_err(SolveError::store(view.path()))
            }
            Self::Ground(ground) => Ok(Below::over(ground.clone(), laid)),
        }
    }
}
