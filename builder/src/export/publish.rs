//! An image with everything said about it goes to a registry. Order is the point: of each platform the
//! blobs, the manifest by digest, every statement and its entry in the list of referrers; then the index
//! with its statements, and only then the tags. Who pulls by tag finds all of it or the old image.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::{
    ExportError,
    artifact::{Artifact, BUNDLE_TYPE, EMPTY_JSON},
    release::{PlatformImage, Release},
    uploads::Uploads,
};
use crate::{
    oci::{descriptor::Descriptor, media_type, reference::Reference},
    registry::{client::RegistryClient, push::BlobSource, referrers::Glance},
    solver::{event::Observer, telling::Watched, transfer::Direction},
};

/// Uploads everything but the tags: blobs, manifests by digest, statements.
///
/// # Errors
/// The first upload that fails; no tag points at any of it.
pub(super) async fn upload(
    release: &Release,
    tags: &[Reference],
    registry: &RegistryClient,
    observer: &dyn Observer,
    uploads: &Uploads,
) -> Result<(), ExportError> {
    let mut repositories: BTreeMap<String, &Reference> = BTreeMap::new();
    for tag in tags {
        repositories.entry(tag.name()).or_insert(tag);
    }
    let (top, document) = (release.descriptor(), release.document());
    for name in repositories.values() {
        let images = release.images().map(|one| image(one, name, registry, observer, uploads));
        try_join_all(images).await?;
        if let Some(index) = release.index() {
            let target = name.at(top.digest);
            let progress = Watched { observer, direction: Direction::Push, image: &target };
            let (glance, ()) =
                tokio::try_join!(glance(&index.artifacts, &target, top, registry), async {
                    registry.push_manifest(&target, &top.media_type, document).await?;
                    bundles(&index.artifacts, progress, registry).await
                },)?;
            statements(&index.artifacts, &target, top, registry, glance).await?;
        }
    }
    Ok(())
}

/// One platform's image. What nothing refers to yet goes up all at once.
async fn image(
    one: &PlatformImage,
    name: &Reference,
    registry: &RegistryClient,
    observer: &dyn Observer,
    uploads: &Uploads,
) -> Result<(), ExportError> {
    let (image, artifacts) = (&one.image, &one.artifacts);
    let subject = &image.descriptor;
    let target = name.at(subject.digest);
    let progress = Watched { observer, direction: Direction::Push, image: &target };
    let mut layers: Vec<&Descriptor> = Vec::new();
    for layer in &image.layers {
        if !layers.iter().any(|known| known.digest == layer.digest) {
            layers.push(layer);
        }
    }
    let layers = layers.into_iter().map(|layer| uploads.finish(&target, layer));
    let (_, (), (), glance) = tokio::try_join!(
        async { try_join_all(layers).await.map_err(ExportError::from) },
        small(registry, progress, media_type::CONFIG, &image.config),
        bundles(artifacts, progress, registry),
        glance(artifacts, &target, subject, registry),
    )?;
    registry.push_manifest(&target, &subject.media_type, &image.manifest).await?;
    statements(artifacts, &target, subject, registry, glance).await
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

/// A look at who lists what is said, while other things go up.
async fn glance(
    artifacts: &[Artifact],
    target: &Reference,
    subject: &Descriptor,
    registry: &RegistryClient,
) -> Result<Option<Glance>, ExportError> {
    if artifacts.is_empty() {
        return Ok(None);
    }
    Ok(Some(registry.glance_at_referrers(target, subject.digest).await?))
}

/// The blobs of statements.
async fn bundles(
    artifacts: &[Artifact],
    progress: Watched<'_>,
    registry: &RegistryClient,
) -> Result<(), ExportError> {
    if artifacts.is_empty() {
        return Ok(());
    }
    let bundles = artifacts.iter().map(|one| small(registry, progress, BUNDLE_TYPE, &one.bundle));
    let empty = small(registry, progress, media_type::EMPTY, EMPTY_JSON);
    tokio::try_join!(empty, try_join_all(bundles))?;
    Ok(())
}

/// The manifests of statements, once all blobs and the subject are there, and then one entry for each in the
/// list of referrers.
async fn statements(
    artifacts: &[Artifact],
    target: &Reference,
    subject: &Descriptor,
    registry: &RegistryClient,
    glance: Option<Glance>,
) -> Result<(), ExportError> {
    let Some(glance) = glance else { return Ok(()) };
    let pushes = artifacts.iter().map(|artifact| async move {
        let place = target.at(artifact.entry.digest);
        registry.push_manifest(&place, media_type::MANIFEST, &artifact.manifest).await
    });
    try_join_all(pushes).await?;
    let entries: Vec<Descriptor> = artifacts.iter().map(|one| one.entry.clone()).collect();
    registry.add_referrers_after(glance, target, subject.digest, &entries).await?;
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
