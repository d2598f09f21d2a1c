//! Layers out of a shared cache, fetched when something needs them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};

use super::{CacheError, CachePlace};
use crate::{
    content::store::ContentStore,
    export::{
        layout::OciLayout,
        layout_address::{LayoutAddress, LayoutForm},
    },
    oci::{descriptor::Descriptor, reference::Reference},
    registry::client::RegistryClient,
    solver::{
        event::Observer,
        shared::{LayerSource, SourceFault},
        telling::Watched,
        transfer::Direction,
    },
};

/// A cache that was found good.
#[derive(Debug)]
pub(super) struct CacheLayers {
    name: String,
    place: CachePlace,
    registry: Arc<RegistryClient>,
    observer: Arc<dyn Observer>,
}

impl CacheLayers {
    pub(super) fn new(
        place: &CachePlace,
        registry: &Arc<RegistryClient>,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        let (registry, observer) = (registry.clone(), observer.clone());
        Self { name: place.to_string(), place: place.clone(), registry, observer }
    }
}

impl LayerSource for CacheLayers {
    fn name(&self) -> &str {
        &self.name
    }

    fn repository(&self) -> Option<&Reference> {
        match &self.place {
            CachePlace::Registry(reference) => Some(reference),
            CachePlace::Local(_) => None,
        }
    }

    fn bring<'a>(
        &'a self,
        blobs: &'a [Descriptor],
        content: &'a ContentStore,
    ) -> BoxFuture<'a, Result<(), SourceFault>> {
        async move {
            match &self.place {
                CachePlace::Registry(image) => {
                    let (observer, direction) = (self.observer.as_ref(), Direction::Pull);
                    let progress = Watched { observer, direction, image };
                    self.registry.pull_blobs(image, blobs, content, &progress).await?;
                }
                CachePlace::Local(path) => {
                    copy(path.clone(), blobs.to_vec(), content.clone()).await?
                }
            }
            Ok(())
        }
        .boxed()
    }
}

/// Copies blobs out of a layout.
async fn copy(
    path: PathBuf,
    blobs: Vec<Descriptor>,
    content: ContentStore,
) -> Result<(), CacheError> {
    let work = move || {
        let layout = open(&path)?;
        blobs.iter().try_for_each(|blob| layout.copy_to(&content, blob))
    };
    Ok(tokio::task::spawn_blocking(work).await??)
}

fn open(path: &Path) -> Result<OciLayout, crate::export::layout_error::LayoutError> {
    let form = LayoutForm::Directory;
    OciLayout::open(&LayoutAddress { form, path: path.to_owned(), image: None })
}
