//! What was seen in layers while they were made or fetched.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
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
    known: Arc<Known>,
    wanted: Wanted,
}

#[derive(Default)]
struct Known {
    layers: Mutex<Layers>,
    changed: Condvar,
}

#[derive(Default)]
struct Layers {
    facts: HashMap<Digest, Arc<Facts>>,
    /// Those whose blobs are in the store since.
    arrived: HashSet<Digest>,
    /// Nobody is to wait any more.
    closed: bool,
}

impl Seen {
    /// Nothing yet. `wanted` names files whose contents are in the outcome's
    /// [`looks`](super::Hardened::looks).
    #[must_use]
    pub fn wanting(wanted: Wanted) -> Self {
        Self { known: Arc::default(), wanted }
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// What was seen in a layer, which is then forgotten here: mostly nobody asks twice.
    pub(super) fn take(&self, diff_id: &Digest) -> Option<Arc<Facts>> {
        self.layers().facts.remove(diff_id)
    }

    /// What was seen in these layers, when all of them have arrived; none where that is not to be waited for.
    pub(super) fn wait(&self, layers: &[Digest]) -> Option<Vec<Arc<Facts>>> {
        let mut known = self.layers();
        while !known.closed && !layers.iter().all(|layer| known.arrived.contains(layer)) {
            known = self.known.changed.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
        if known.closed {
            return None;
        }
        layers.iter().map(|layer| known.facts.get(layer).cloned()).collect()
    }

    /// Nobody waits for layers any more.
    pub fn close(&self) {
        self.layers().closed = true;
        self.known.changed.notify_all();
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.known.layers.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Whoever is shown it may take its time: nobody else is to wait for that.
        let facts = self.layers().facts.get(diff_id).cloned();
        facts.map(|facts| to(&facts.index)).is_some()
    }

    fn arrived(&self, layers: &[Digest]) {
        self.layers().arrived.extend(layers);
        self.known.changed.notify_all();
    }
}

struct Kept {
    seen: Seen,
    facts: Facts,
}

impl Sight for Kept {
    fn keep(self: Box<Self>, diff_id: Digest) {
        self.seen.layers().facts.insert(diff_id, Arc::new(self.facts));
    }
}
