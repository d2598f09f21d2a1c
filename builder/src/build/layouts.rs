//! Base images out of OCI layouts that the command line gives a name.

use std::{collections::BTreeMap, sync::Arc};

use super::BuildError;
use crate::{
    export::{
        layout::{OciLayout, REF_NAME},
        layout_address::{ImageSelector, LayoutAddress, LayoutForm},
        layout_error::LayoutError,
    },
    graph::BaseImage,
    oci::config::MAX_CONFIG_BYTES,
    remote::{LayoutRef, Selector},
    solver::host::Host,
    source::image::{ImageSourceError, ResolvedImage, ResolvedImages},
};

/// The images of layouts, by the references that stand for them in the graph, as displayed.
pub type Layouts = BTreeMap<String, LayoutRef>;

/// Looks up those of `wanted` that are in layouts, and brings them into the store.
pub(super) async fn resolve(
    wanted: &[BaseImage],
    layouts: &Layouts,
    host: &Arc<Host>,
) -> Result<ResolvedImages, BuildError> {
    let mut images = ResolvedImages::default();
    for image in wanted {
        let Some(layout) = layouts.get(&image.reference.to_string()).cloned() else { continue };
        let (host, image) = (host.clone(), image.clone());
        let found = tokio::task::spawn_blocking(move || import(&image, &layout, &host)).await??;
        images.insert(found);
    }
    Ok(images)
}

fn import(image: &BaseImage, layout: &LayoutRef, host: &Host) -> Result<ResolvedImage, BuildError> {
    let at =
        |cause: ImageSourceError| ImageSourceError::At { span: image.span, cause: Box::new(cause) };
    let layout_fault = |error: LayoutError| at(ImageSourceError::Layout(error.to_string()));
    let store_fault = |error: String| at(ImageSourceError::Store(error));
    let address =
        LayoutAddress { form: LayoutForm::Directory, path: layout.path.clone(), image: None };
    let opened = OciLayout::open(&address).map_err(layout_fault)?;
    let unnamed = opened.entries().iter().all(|entry| !entry.annotations.contains_key(REF_NAME));
    let selector = match &layout.selector {
        Selector::Digest(digest) => Some(ImageSelector::Digest(*digest)),
        Selector::Tag(_) if unnamed => None,
        Selector::Tag(tag) => Some(ImageSelector::Name(tag.clone())),
    };
    let selector = selector.as_ref();
    let top = opened.resolve(selector).map_err(layout_fault)?;
    let chosen = opened.resolve_platform(selector, &image.platform).map_err(layout_fault)?;
    let malformed = |reason: String| {
        at(ImageSourceError::Malformed { reference: image.reference.clone(), reason })
    };
    let manifest = chosen.manifest().cloned();
    let manifest =
        manifest.ok_or_else(|| malformed("it is an index where a manifest should be".into()))?;
    let config = opened.read(&manifest.config, MAX_CONFIG_BYTES).map_err(layout_fault)?;
    host.content.put(&config).map_err(|error| store_fault(error.to_string()))?;
    let digests = (top.descriptor.digest, chosen.descriptor.digest);
    let found = ResolvedImage::read(image, digests, manifest, &config).map_err(malformed)?;
    for (diff_id, blob) in &found.layers {
        opened.copy_to(&host.content, blob).map_err(layout_fault)?;
        host.chains.remember(diff_id, blob).map_err(Arc::new)?;
    }
    Ok(found)
}
