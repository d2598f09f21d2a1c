//! `--cache-from`: all caches are asked at the same time, before the first step. One that is missing,
//! unsigned, somebody else's, damaged or slow is named in a warning, and the build goes on without it.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::join_all};

use super::{
    CacheError, CacheSource, Mounts, SharedCache,
    index::{CacheIndex, MAX_BYTES},
    opened::Opened,
    source::CacheLayers,
    statement::trusted,
};
use crate::{
    image::outcomes::Told,
    oci::descriptor::Descriptor,
    solver::{
        cache_store::{CacheStore, Existing},
        event::{Event, Observer},
        host::Host,
        phase::{Phase, PhaseKind},
        shared::{LayerSource, SharedLayer, SharedSteps},
        telling,
    },
};

/// How long one cache may take to be read.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What other machines made.
#[derive(Debug, Default)]
pub struct Imported {
    /// Results of steps.
    pub steps: Arc<SharedSteps>,
    /// What came of images.
    pub told: Told,
}

/// Reads the caches that the build may use and offers what is in them.
pub async fn import(
    options: &SharedCache,
    host: &Arc<Host>,
    observer: &Arc<dyn Observer>,
) -> Imported {
    let tell = observer.as_ref();
    let reads = options.from.iter().map(|source| async move {
        let name = source.place.to_string();
        let read = tokio::time::timeout(PATIENCE, read(source, options, host));
        let work = async { Ok::<_, std::convert::Infallible>(read.await) };
        let Ok(read) = telling::told(tell, Phase::of(PhaseKind::ReadCache, &name), work).await;
        read.unwrap_or(Err(CacheError::Slow(PATIENCE)))
    });
    let (mut shared, mut told) = (SharedSteps::default(), Told::default());
    for (source, read) in options.from.iter().zip(join_all(reads).await) {
        match read {
            Ok(index) => offer(source, index, (&mut shared, &mut told), host, observer),
            Err(error) => tell.event(Event::Warning(&format!(
                "the shared cache {} is not used: {error}",
                source.place
            ))),
        }
    }
    Imported { steps: Arc::new(shared), told }
}

/// The index of a cache that somebody trusted stands for. Signatures come first: nothing else of a cache
/// is read before.
async fn read(
    source: &CacheSource,
    options: &SharedCache,
    host: &Arc<Host>,
) -> Result<CacheIndex, CacheError> {
    let opened = Opened::open(&source.place, &host.registry)?;
    let mut refused = None;
    for cache in opened.caches(source).await? {
        match trusted(&opened, cache.digest, &options.trust).await {
            Ok(()) => {
                let manifest = opened.manifest(&cache).await?;
                let bytes = opened.blob(&manifest.config, MAX_BYTES).await?;
                let read = move || CacheIndex::read(&bytes, &manifest);
                return Ok(tokio::task::spawn_blocking(read).await??);
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(CacheError::Missing))
}

/// Makes results and layers known; nothing of it is fetched yet.
fn offer(
    source: &CacheSource,
    index: CacheIndex,
    (shared, told): (&mut SharedSteps, &mut Told),
    host: &Arc<Host>,
    observer: &Arc<dyn Observer>,
) {
    let layers = Arc::new(CacheLayers::new(&source.place, &host.registry, observer));
    for layer in index.layers {
        let (blob, compression) = (layer.blob, layer.compression);
        host.chains.offer(layer.diff_id, SharedLayer { blob, compression, source: layers.clone() });
    }
    for step in index.steps {
        shared.add_step(step.key, step.result());
    }
    for tree in index.trees {
        shared.add_tree(tree.key, tree.content);
    }
    for image in index.images {
        if let Some(inventory) = image.inventory {
            told.add_inventory(inventory.key, inventory.blob, layers.clone());
        }
        told.add_image(image.key, image.image);
    }
    if let (Some(archive), true) = (index.mounts, source.mounts != Mounts::None) {
        let (mounts, host, observer) = (source.mounts.clone(), host.clone(), observer.clone());
        shared.add_restore(Box::new(move || {
            let (layers, archive, mounts) = (layers.clone(), archive.clone(), mounts.clone());
            restore(layers, archive, mounts, host.clone(), observer.clone()).boxed()
        }));
    }
}

/// Brings cache mounts that this machine does not have. Without them a step is slower, no more.
async fn restore(
    layers: Arc<CacheLayers>,
    archive: Descriptor,
    mounts: Mounts,
    host: Arc<Host>,
    observer: Arc<dyn Observer>,
) {
    let name = layers.name().to_owned();
    let work = async {
        layers.bring(std::slice::from_ref(&archive), &host.content).await?;
        let blob = host.content.open_verified(&archive)?;
        let store = CacheStore::new(host.cache_mounts.clone());
        let take = move || store.import_some(blob, Existing::Keep, &|id| mounts.want(id), &|_| {});
        tokio::task::spawn_blocking(take).await??;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let phase = Phase::of(PhaseKind::ReadCache, &name);
    if let Err(error) = telling::told(observer.as_ref(), phase, work).await {
        observer.event(Event::Warning(&format!(
            "the cache mounts in the shared cache {name} are not used: {error}"
        )));
    }
}
