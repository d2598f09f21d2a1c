//! For each platform: the base images, and the graph of what there is to do.

use std::sync::Arc;

use super::{BuildError, BuildRequest, layouts, pinned};
use crate::{
    dockerfile::Dockerfile,
    graph::{self, BaseImage, BuildGraph, BuildOptions},
    oci::platform::Platform,
    solver::host::Host,
    source::image::{ResolvedImages, resolve_images},
};

/// What there is to do for one platform.
pub(super) struct PlatformPlan {
    /// The platform as it was asked for.
    pub(super) platform: Platform,
    /// The operations, and the configuration of the image.
    pub(super) graph: BuildGraph,
    /// The images that they need.
    pub(super) images: ResolvedImages,
}

/// Plans every platform. The second value is the images of all of them.
pub(super) async fn plan(
    dockerfile: &Dockerfile,
    request: &BuildRequest,
    host: &Arc<Host>,
) -> Result<(Vec<PlatformPlan>, ResolvedImages), BuildError> {
    let (wanted, images) = base_images(dockerfile, request, host).await?;
    let mut plans = Vec::with_capacity(wanted.len());
    for (platform, wanted) in request.platforms.iter().zip(wanted) {
        let options = options(request, platform);
        let graph = graph::lower(dockerfile, &options, &images.configs())
            .map_err(BuildError::Dockerfile)?;
        let images = images.only(&wanted);
        plans.push(PlatformPlan { platform: platform.clone(), graph, images });
    }
    Ok((plans, images))
}

/// The options for one of the platforms.
pub(super) fn options(request: &BuildRequest, platform: &Platform) -> BuildOptions {
    BuildOptions {
        platform: platform.clone(),
        several_platforms: request.platforms.len() > 1,
        ..request.options.clone()
    }
}

/// Every image that the target needs on each platform, and all of them looked up. The ONBUILD triggers of
/// one base can name more, so it goes on until nothing new comes up.
async fn base_images(
    dockerfile: &Dockerfile,
    request: &BuildRequest,
    host: &Arc<Host>,
) -> Result<(Vec<Vec<BaseImage>>, ResolvedImages), BuildError> {
    let mut images = ResolvedImages::default();
    loop {
        let configs = images.configs();
        let of = |platform| {
            graph::base_images_with(dockerfile, &options(request, platform), &configs)
                .map_err(BuildError::Dockerfile)
        };
        let wanted = request.platforms.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let mut missing: Vec<BaseImage> = Vec::new();
        for image in wanted.iter().flatten() {
            let same = |one: &BaseImage| {
                one.reference == image.reference && one.platform == image.platform
            };
            let known = images.get(&image.reference, &image.platform).is_some();
            if !known && !missing.iter().any(same) {
                missing.push(image.clone());
            }
        }
        if missing.is_empty() {
            return Ok((wanted, images));
        }
        images.extend(layouts::resolve(&missing, &request.layouts, host).await?);
        missing.retain(|image| images.get(&image.reference, &image.platform).is_none());
        pinned::present(&missing, &host.registry, request)?;
        images.extend(resolve_images(&missing, &images, &host.registry, &host.content).await?);
        pinned::held(&missing, &images, &request.solve.terms)?;
        request.base_trust.check(&missing, &images, &host.registry).await?;
    }
}
