//! A place that is read: a registry or an OCI layout. What comes out of it has the digest that it was
//! asked for by; nothing else is believed.

use std::{path::Path, sync::Arc};

use super::{ARTIFACT_TYPE, CacheError, CachePlace, CacheSource};
use crate::{
    export::{
        layout::OciLayout,
        layout_address::{LayoutAddress, LayoutForm},
    },
    oci::{
        descriptor::Descriptor, digest::Digest, manifest::Manifest, media_type,
        reference::Reference,
    },
    registry::{client::RegistryClient, document::Resolved},
};

/// An open place.
#[derive(Debug)]
pub(super) enum Opened {
    /// A repository.
    Registry(Arc<RegistryClient>, Reference),
    /// A directory.
    Layout(OciLayout),
}

/// Caches that refer to one image and are looked at.
const MAX_CACHES: usize = 8;

impl Opened {
    /// Opens the place; says [`CacheError::Missing`] where nothing is.
    pub(super) fn open(
        place: &CachePlace,
        registry: &Arc<RegistryClient>,
    ) -> Result<Self, CacheError> {
        match place {
            CachePlace::Registry(reference) => {
                Ok(Self::Registry(registry.clone(), reference.clone()))
            }
            CachePlace::Local(path) => Self::layout(path),
        }
    }

    fn layout(path: &Path) -> Result<Self, CacheError> {
        if !path.exists() {
            return Err(CacheError::Missing);
        }
        let form = LayoutForm::Directory;
        let address = LayoutAddress { form, path: path.to_owned(), image: None };
        Ok(Self::Layout(OciLayout::open(&address)?))
    }

    /// The manifests that may be the cache, the most likely first.
    pub(super) async fn caches(&self, source: &CacheSource) -> Result<Vec<Descriptor>, CacheError> {
        match self {
            Self::Registry(client, reference) => {
                let found = client.resolve(reference).await?;
                if kind(&found).is_some_and(|kind| kind == ARTIFACT_TYPE) {
                    return Ok(vec![found.descriptor]);
                }
                let entries = client.referrers(reference, found.descriptor.digest).await?;
                let caches = entries.into_iter().rev().filter(is_cache).take(MAX_CACHES);
                let caches: Vec<Descriptor> = caches.collect();
                match caches.is_empty() {
                    true => Err(CacheError::Other(what(&found))),
                    false => Ok(caches),
                }
            }
            Self::Layout(layout) => {
                let entries = layout.entries().iter().rev();
                let wanted = |entry: &&Descriptor| {
                    source.digest.is_none_or(|digest| digest == entry.digest) && is_cache(entry)
                };
                let caches: Vec<Descriptor> =
                    entries.filter(wanted).take(MAX_CACHES).cloned().collect();
                match (caches.is_empty(), source.digest) {
                    (false, _) => Ok(caches),
                    (true, Some(digest)) => {
                        Err(CacheError::Other(format!("an OCI layout without the cache {digest}")))
                    }
                    (true, None) => Err(CacheError::Other("an OCI layout without a cache".into())),
                }
            }
        }
    }

    /// The manifest that an entry names.
    pub(super) async fn manifest(&self, entry: &Descriptor) -> Result<Manifest, CacheError> {
        let found = match self {
            Self::Registry(client, reference) => {
                client.resolve(&reference.at(entry.digest)).await?
            }
            Self::Layout(layout) => layout.document(entry)?,
        };
        let manifest = found.manifest().cloned();
        manifest.ok_or_else(|| CacheError::Other("an index of images".into()))
    }

    /// What refers to a manifest.
    pub(super) async fn referrers(&self, subject: Digest) -> Result<Vec<Descriptor>, CacheError> {
        match self {
            Self::Registry(client, reference) => Ok(client.referrers(reference, subject).await?),
            Self::Layout(layout) => Ok(layout.referrers(subject)?),
        }
    }

    /// A blob of at most `max` bytes.
    pub(super) async fn blob(&self, blob: &Descriptor, max: u64) -> Result<Vec<u8>, CacheError> {
        match self {
            Self::Registry(client, reference) => Ok(client.read_blob(reference, blob, max).await?),
            Self::Layout(layout) => Ok(layout.read(blob, max)?),
        }
    }
}

fn is_cache(entry: &Descriptor) -> bool {
    entry.artifact_type.as_deref() == Some(ARTIFACT_TYPE)
}

/// What a manifest is, by its artifact type or else by its configuration.
fn kind(found: &Resolved) -> Option<&str> {
    let manifest = found.manifest()?;
    Some(manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type))
}

/// What is there instead, in words.
fn what(found: &Resolved) -> String {
    match kind(found) {
        Some(kind) if kind.starts_with("application/vnd.buildkit.cacheconfig") => {
            "a cache that BuildKit wrote, which nobody signed".into()
        }
        Some(media_type::CONFIG | media_type::DOCKER_CONFIG) | None => {
            "an image that no cache refers to".into()
        }
        Some(_) => "an artifact of another kind".into(),
    }
}
