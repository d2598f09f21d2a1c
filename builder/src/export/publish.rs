//! An image with everything said about it goes to a registry. Order is the point: of each platform the
//! blobs, the manifest by digest, every statement and its entry in the list of referrers; then the index
//! with its statements, and only then the tags. Who pulls by tag finds all of it or the old image.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    ExportError,
    artifact::{Artifact, EMPTY_JSON},
    release::Release,
};
use crate::{
    image::Sealed,
    oci::{descriptor::Descriptor, media_type, reference::Reference},
    registry::{client::RegistryClient, push::BlobSource},
    solver::{event::Observer, host::Host, telling::Watched, transfer::Direction},
};

/// Uploads at the same time.
const PARALLEL: usize = 4;

/// Uploads everything but the tags: blobs, manifests by digest, statements.
///
/// # Errors
/// The first upload that fails; no tag points at any of it.
pub(super) async fn upload(
    release: &Release,
    tags: &[Reference],
    host: &Host,
    observer: &dyn Observer,
) -> Result<(), ExportError> {
    let registry = &host.registry;
    let mut repositories: BTreeMap<String, &Reference> = BTreeMap::new();
    for tag in tags {
        repositories.entry(tag.name()).or_insert(tag);
    }
    let (top, document) = (release.descriptor(), release.document());
    for name in repositories.values() {
        for one in release.images() {
            let image = &one.image;
            let target = name.at(image.descriptor.digest);
            let progress = Watched { observer, direction: Direction::Push, image: &target };
            blobs(image, progress, host).await?;
            registry.push_manifest(&target, &image.descriptor.media_type, &image.manifest).await?;
            statements(&one.artifacts, progress, &image.descriptor, registry).await?;
        }
        if let Some(index) = release.index() {
            let target = name.at(top.digest);
            registry.push_manifest(&target, &top.media_type, document).await?;
            let progress = Watched { observer, direction: Direction::Push, image: &target };
            statements(&index.artifacts, progress, top, registry).await?;
        }
    }
    Ok(())
}

/// Moves the tags to what was uploaded.
///
/// # Errors
/// The first tag that the registry does not move.
pub(super) async fn tag(
    release: &Release,
    tags: &[Reference],
    registry: &RegistryClient,
) -> Result<(), ExportError> {
    let (top, document) = (release.descriptor(), release.document());
    for tag in tags {
        let named = tag.tagged(tag.tag().unwrap_or("latest"));
        registry.push_manifest(&named, &top.media_type, document).await?;
    }
    Ok(())
}

async fn blobs(image: &Sealed, progress: Watched<'_>, host: &Host) -> Result<(), ExportError> {
    let registry = &host.registry;
    let pushes = image.layers.iter().map(|layer| async move {
        let path = host.content.path(&layer.digest);
        let source = BlobSource::File(&path);
        registry.push_blob(progress.image, layer, source, None, &progress).await
    });
    let pushes: Vec<_> = pushes.collect();
    stream::iter(pushes).buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await?;
    small(registry, progress, media_type::CONFIG, &image.config).await
}

async fn statements(
    artifacts: &[Artifact],
    progress: Watched<'_>,
    subject: &Descriptor,
    registry: &RegistryClient,
) -> Result<(), ExportError> {
    if artifacts.is_empty() {
        return Ok(());
    }
    let target = progress.image;
    small(registry, progress, media_type::EMPTY, EMPTY_JSON).await?;
    for artifact in artifacts {
        small(registry, progress, super::artifact::BUNDLE_TYPE, &artifact.bundle).await?;
        let place = target.at(artifact.entry.digest);
        registry.push_manifest(&place, media_type::MANIFEST, &artifact.manifest).await?;
    }
    let entries: Vec<Descriptor> = artifacts.iter().map(|one| one.entry.clone()).collect();
    registry.add_referrers(target, subject.digest, &entries).await?;
    Ok(())
}

async fn small(
    registry: &RegistryClient,
    progress: Watched<'_>,
    media_type: &str,
    bytes: &[u8],
) -> Result<(), ExportError> {
    let blob = Descriptor::of(media_type, bytes);
    let source = BlobSource::Bytes(bytes);
    registry.push_blob(progress.image, &blob, source, None, &progress).await?;
    Ok(())
}
