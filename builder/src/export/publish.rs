//! An image with everything said about it goes to a registry. Order is the point: blobs, the manifest by
//! digest, every statement and its entry in the list of referrers, and only then the tags. Who pulls by
//! tag finds all of it or the old image.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    ExportError,
    artifact::{Artifact, EMPTY_JSON},
};
use crate::{
    content::store::ContentStore,
    image::Sealed,
    oci::{descriptor::Descriptor, media_type, reference::Reference},
    registry::{client::RegistryClient, progress::Unwatched, push::BlobSource},
};

/// Uploads at the same time.
const PARALLEL: usize = 4;

/// Pushes `image` with its artifacts under every tag.
///
/// # Errors
/// The first upload that fails; then no tag was moved.
pub(super) async fn publish(
    image: &Sealed,
    artifacts: &[Artifact],
    tags: &[Reference],
    registry: &RegistryClient,
    content: &ContentStore,
) -> Result<(), ExportError> {
    let mut repositories: BTreeMap<String, Vec<&Reference>> = BTreeMap::new();
    for tag in tags {
        repositories.entry(tag.name()).or_default().push(tag);
    }
    for tags in repositories.values() {
        let target = tags[0].at(image.descriptor.digest);
        blobs(image, &target, registry, content).await?;
        registry.push_manifest(&target, &image.descriptor.media_type, &image.manifest).await?;
        statements(artifacts, &target, image, registry).await?;
    }
    for tag in tags {
        let named = tag.tagged(tag.tag().unwrap_or("latest"));
        registry.push_manifest(&named, &image.descriptor.media_type, &image.manifest).await?;
    }
    Ok(())
}

async fn blobs(
    image: &Sealed,
    target: &Reference,
    registry: &RegistryClient,
    content: &ContentStore,
) -> Result<(), ExportError> {
    let pushes = image.layers.iter().map(|layer| async move {
        let path = content.path(&layer.digest);
        let source = BlobSource::File(&path);
        registry.push_blob(target, layer, source, None, &Unwatched).await
    });
    let pushes: Vec<_> = pushes.collect();
    stream::iter(pushes).buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await?;
    small(registry, target, media_type::CONFIG, &image.config).await
}

async fn statements(
    artifacts: &[Artifact],
    target: &Reference,
    image: &Sealed,
    registry: &RegistryClient,
) -> Result<(), ExportError> {
    if artifacts.is_empty() {
        return Ok(());
    }
    small(registry, target, media_type::EMPTY, EMPTY_JSON).await?;
    for artifact in artifacts {
        small(registry, target, super::artifact::BUNDLE_TYPE, &artifact.bundle).await?;
        let place = target.at(artifact.entry.digest);
        registry.push_manifest(&place, media_type::MANIFEST, &artifact.manifest).await?;
    }
    let entries: Vec<Descriptor> = artifacts.iter().map(|one| one.entry.clone()).collect();
    registry.add_referrers(target, image.descriptor.digest, &entries).await?;
    Ok(())
}

async fn small(
    registry: &RegistryClient,
    target: &Reference,
    media_type: &str,
    bytes: &[u8],
) -> Result<(), ExportError> {
    let blob = Descriptor::of(media_type, bytes);
    registry.push_blob(target, &blob, BlobSource::Bytes(bytes), None, &Unwatched).await?;
    Ok(())
}
