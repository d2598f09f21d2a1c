//! What there is to know of all layers of an image: of those that were not seen before, several are read at a time.

use std::{
    num::NonZero,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    HardenError, LayerStore,
    facts::{Facts, Wanted},
    seen::Seen,
};
use crate::{
    layer::{LayerReader, ReadAhead},
    oci::{descriptor::Descriptor, digest::Digest},
};

/// Layers that are read at the same time.
const MAX_THREADS: usize = 4;
/// Blobs smaller than this are read by one thread, in bytes.
const SMALL: u64 = 2 * 1024 * 1024;

/// What there is to know of each layer; of several that cannot be read, the lowest is told.
pub(super) fn scan<S: LayerStore>(
    store: &S,
    layers: &[Descriptor],
    diff_ids: &[Digest],
    seen: &Seen,
) -> Result<Vec<Arc<Facts>>, HardenError> {
    if diff_ids.len() != layers.len() {
        return Err(HardenError::Mismatch { layers: layers.len(), diff_ids: diff_ids.len() });
    }
    // The largest one first, so that it does not come last and alone.
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by_key(|layer| std::cmp::Reverse(layers[*layer].size));
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(layers.len())));
    let work = || {
        while let Some(layer) = order.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let facts = match seen.take(&diff_ids[layer]) {
                Some(facts) => Ok(facts),
                None => scan_one(store, layer, &layers[layer], diff_ids[layer], seen.wanted())
                    .map(Arc::new),
            };
            found.lock().unwrap_or_else(PoisonError::into_inner).push((layer, facts));
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..processors.min(MAX_THREADS).min(layers.len()) {
            // Fewer threads are slower; this one does what nobody else does.
            let _ = thread::Builder::new().name("harden".into()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(layer, _)| *layer);
    found.into_iter().map(|(_, facts)| facts).collect()
}

fn scan_one<S: LayerStore>(
    store: &S,
    layer: usize,
    descriptor: &Descriptor,
    diff_id: Digest,
    wanted: Wanted,
) -> Result<Facts, HardenError> {
    let facts = if descriptor.size < SMALL {
        Facts::of(open(store, layer, descriptor, diff_id)?, wanted)
    } else {
        Facts::of(ahead(store, layer, descriptor, diff_id)?, wanted)
    };
    facts.map_err(|cause| HardenError::Scan { layer, cause })
}

/// The layer's archive; its end is only seen when both digests are right.
pub(super) fn open<S: LayerStore>(
    store: &S,
    layer: usize,
    descriptor: &Descriptor,
    diff_id: Digest,
) -> Result<LayerReader<S::Blob>, HardenError> {
    let failed = |cause| HardenError::Store { layer, cause };
    let blob = store.open(descriptor).map_err(failed)?;
    LayerReader::new(blob, Some(diff_id)).map_err(failed)
}

/// The same, decompressed and verified by a thread of its own.
fn ahead<S: LayerStore>(
    store: &S,
    layer: usize,
    descriptor: &Descriptor,
    diff_id: Digest,
) -> Result<ReadAhead, HardenError> {
    let reader = open(store, layer, descriptor, diff_id)?;
    ReadAhead::start(move || Ok(reader)).map_err(|cause| HardenError::Store { layer, cause })
}
