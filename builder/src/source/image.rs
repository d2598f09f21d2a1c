//! Base images: what FROM names, resolved to a manifest, a configuration and layers that are fetched
//! only when something needs them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    content::store::ContentStore,
    dockerfile::Span,
    graph::{BaseConfigs, BaseImage},
    oci::{
        config::{ImageConfig, MAX_CONFIG_BYTES},
        descriptor::Descriptor,
        digest::Digest,
        manifest::Manifest,
        media_type,
        platform::Platform,
        reference::Reference,
    },
    registry::{client::RegistryClient, error::RegistryError},
};

/// A base image that was looked up.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// As the Dockerfile names it.
    pub reference: Reference,
    /// For which platform.
    pub platform: Platform,
    /// Digest of what the reference names: the index where there is one. This is what a user would pin.
    pub digest: Digest,
    /// Digest of the platform's manifest.
    pub manifest: Digest,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, lowest first: digest of the uncompressed tar, and the blob.
    pub layers: Vec<(Digest, Descriptor)>,
}

impl ResolvedImage {
    /// An image from its documents: `digests` are those of what the reference names and of the manifest.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(
        BaseImage { reference, platform, .. }: &BaseImage,
        (digest, manifest_digest): (Digest, Digest),
        manifest: Manifest,
        config: &[u8],
    ) -> Result<Self, String> {
        let config: ImageConfig = serde_json::from_slice(config)
            .map_err(|error| format!("its configuration is not readable: {error}"))?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(format!(
                "its manifest lists {} layers and its configuration {}",
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            ));
        }
        for layer in &manifest.layers {
            if media_type::oci_layer(&layer.media_type).is_none() {
                return Err(format!("a layer has the type '{}'", layer.media_type));
            }
        }
        Ok(Self {
            reference: reference.clone(),
            platform: platform.clone(),
            digest,
            manifest: manifest_digest,
            layers: config.rootfs.diff_ids.iter().copied().zip(manifest.layers).collect(),
            config,
        })
    }
}

/// Why a base image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageSourceError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A document of the image is not what it should be.
    #[error("the image {reference} cannot be used as a base: {reason}")]
    Malformed {
        /// The image.
        reference: Reference,
        /// What is wrong.
        reason: String,
    },
    /// A failure at an instruction of the Dockerfile.
    #[error("{cause}")]
    At {
        /// Where the image is named.
        span: Span,
        /// What happened.
        cause: Box<ImageSourceError>,
    },
    /// An OCI layout does not have it, or is damaged.
    #[error("{0}")]
    Layout(String),
    /// The local store failed.
    #[error("the content store cannot be used: {0}")]
    Store(String),
}

/// Base images by reference and platform, both as displayed.
#[derive(Debug, Clone, Default)]
pub struct ResolvedImages(BTreeMap<(String, String), ResolvedImage>);

impl ResolvedImages {
    /// The image that was resolved for this reference and platform.
    #[must_use]
    pub fn get(&self, reference: &Reference, platform: &Platform) -> Option<&ResolvedImage> {
        self.0.get(&(reference.to_string(), platform.to_string()))
    }

    /// Those of them that are wanted.
    #[must_use]
    pub fn only(&self, wanted: &[BaseImage]) -> Self {
        let key = |image: &BaseImage| (image.reference.to_string(), image.platform.to_string());
        let known = wanted.iter().map(key).filter_map(|key| self.0.get_key_value(&key));
        Self(known.map(|(key, image)| (key.clone(), image.clone())).collect())
    }

    /// What a reference was found to name, for whatever platform.
    fn digest(&self, reference: &Reference) -> Option<Digest> {
        self.0.values().find(|image| image.reference == *reference).map(|image| image.digest)
    }

    /// Adds one.
    pub fn insert(&mut self, image: ResolvedImage) {
        self.0.insert((image.reference.to_string(), image.platform.to_string()), image);
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// All of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &ResolvedImage> {
        self.0.values()
    }

    /// Their configurations, for lowering.
    #[must_use]
    pub fn configs(&self) -> BaseConfigs {
        self.0.iter().map(|(key, image)| (key.clone(), image.config.clone())).collect()
    }
}

/// Looks up every base image, several at once. Tags are asked of the registry each time, because they may
/// have moved, but once for all platforms, so that all of them come from one index; what a tag was found
/// to name already is in `known`. Configurations are read from the store where they are already there.
///
/// # Errors
/// The first image that cannot be had.
pub async fn resolve_images(
    wanted: &[BaseImage],
    known: &ResolvedImages,
    registry: &RegistryClient,
    store: &ContentStore,
) -> Result<ResolvedImages, ImageSourceError> {
    let at = |span: Span| {
        move |cause: ImageSourceError| ImageSourceError::At { span, cause: Box::new(cause) }
    };
    let mut tops: BTreeMap<String, (&Reference, Span)> = BTreeMap::new();
    for image in wanted {
        tops.entry(image.reference.to_string()).or_insert((&image.reference, image.span));
    }
    let tops = stream::iter(tops)
        .map(|(name, (reference, span))| async move {
            let digest = match known.digest(reference) {
                Some(digest) => digest,
                None => {
                    registry
                        .resolve(reference)
                        .await
                        .map_err(|e| at(span)(e.into()))?
                        .descriptor
                        .digest
                }
            };
            Ok::<_, ImageSourceError>((name, digest))
        })
        .buffered(8)
        .try_collect::<BTreeMap<_, _>>()
        .await?;
    let found = stream::iter(wanted)
        .map(|image| {
            let top = tops[&image.reference.to_string()];
            async move { resolve(image, top, registry, store).await.map_err(at(image.span)) }
        })
        .buffered(8)
        .try_collect::<Vec<_>>()
        .await?;
    let key = |image: &ResolvedImage| (image.reference.to_string(), image.platform.to_string());
    Ok(ResolvedImages(found.into_iter().map(|image| (key(&image), image)).collect()))
}

/// `top` is what the image's reference names.
async fn resolve(
    image: &BaseImage,
    top: Digest,
    registry: &RegistryClient,
    store: &ContentStore,
) -> Result<ResolvedImage, ImageSourceError> {
    let BaseImage { reference, platform, .. } = image;
    let malformed =
        |reason: String| ImageSourceError::Malformed { reference: reference.clone(), reason };
    let chosen = registry.resolve_platform(&reference.at(top), platform).await;
    let chosen = chosen.map_err(|error| match error {
        // The user's own name for it says more than the digest.
        RegistryError::NoPlatform { fault, .. } => {
            RegistryError::NoPlatform { image: reference.to_string(), fault }
        }
        error => error,
    })?;
    let manifest = chosen
        .manifest()
        .cloned()
        .ok_or_else(|| malformed("it is an index where a manifest should be".into()))?;
    let config = config_bytes(reference, &manifest, registry, store).await?;
    ResolvedImage::read(image, (top, chosen.descriptor.digest), manifest, &config)
        .map_err(malformed)
}
async fn config_bytes(
    reference: &Reference,
    manifest: &Manifest,
    registry: &RegistryClient,
    store: &ContentStore,
) -> Result<Vec<u8>, ImageSourceError> {
    let digest = manifest.config.digest;
    if let Ok(bytes) = store.read(&digest, MAX_CONFIG_BYTES) {
        return Ok(bytes);
    }
    let bytes = registry.read_blob(reference, &manifest.config, MAX_CONFIG_BYTES).await?;
    store.put(&bytes).map_err(|error| ImageSourceError::Store(error.to_string()))?;
    Ok(bytes)
}
