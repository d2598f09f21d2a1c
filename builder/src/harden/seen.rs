//! What was seen in layers while they were made or fetched.

use std::{
    collections::HashMap,
    fmt,
    io::Read,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::facts::{Facts, Wanted};
use crate::{
    layer::{
        lookout::{Lookout, Sight},
        tree::{LayerIndex, ScanError},
    },
    oci::digest::Digest,
};

/// Layers by digest. Clones are the same.
#[derive(Clone)]
pub struct Seen {
    layers: Arc<Mutex<HashMap<Digest, Facts>>>,
    wanted: Wanted,
}

impl Seen {
    /// Nothing yet. `wanted` names files whose contents are in the outcome's
    /// [`looks`](super::Hardened::looks).
    #[must_use]
    pub fn wanting(wanted: Wanted) -> Self {
        Self { layers: Arc::default(), wanted }
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// What was seen in a layer, which is then forgotten here: mostly nobody asks twice.
    pub(super) fn take(&self, diff_id: &Digest) -> Option<Facts> {
        self.layers().remove(diff_id)
    }

    fn layers(&self) -> MutexGuard<'_, HashMap<Digest, Facts>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self::wanting(|_| false)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

impl Lookout for Seen {
    fn look(&self, archive: &mut dyn Read) -> Result<Box<dyn Sight>, ScanError> {
        let facts = Facts::of(archive, self.wanted)?;
        Ok(Box::new(Kept { seen: self.clone(), facts }))
    }

    fn show(&self, diff_id: &Digest, to: &mut dyn FnMut(&LayerIndex)) -> bool {
        self.layers().get(diff_id).map(|facts| to(&facts.index)).is_some()
    }
}

struct Kept {
    seen: Seen,
    facts: Facts,
}

impl Sight for Kept {
    fn keep(self: Box<Self>, diff_id: Digest) {
        self.seen.layers().insert(diff_id, self.facts);
    }
}
