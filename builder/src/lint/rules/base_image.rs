//! InvalidBaseImagePlatform, UnpinnedBase: the images that stages build on.

use crate::{
    graph::StageBase,
    lint::{
        finding::{Finding, shown},
        rule::{INVALID_BASE_IMAGE_PLATFORM, UNPINNED_BASE},
        subject::View,
    },
    oci::platform::Platform,
};

pub(super) fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    for (_, stage, surveyed) in view.stages() {
        let StageBase::Image(reference) = &surveyed.base else { continue };
        if let Some(config) = view.base_config(surveyed) {
            let own = Platform {
                os: config.os.clone(),
                architecture: config.architecture.clone(),
                variant: config.variant.clone(),
            };
            if !own.architecture.is_empty() && !same(&surveyed.platform, &own) {
                let name = shown(&reference.to_string());
                findings.push(Finding::new(
                    &INVALID_BASE_IMAGE_PLATFORM,
                    stage.span,
                    stage.base.span,
                    format!("the image {name} is for {own}, not for {}", surveyed.platform),
                    "use an image that is made for that platform, or set --platform",
                ));
            }
        }
        if reference.digest().is_none() {
            findings.push(Finding::new(
                &UNPINNED_BASE,
                stage.span,
                stage.base.span,
                format!("{} may be another image tomorrow", shown(&reference.to_string())),
                "add @sha256:… behind the tag",
            ));
        }
    }
}

/// Variants do not count: BuildKit says nothing about an image for arm/v6 on arm/v7.
fn same(wanted: &Platform, own: &Platform) -> bool {
    wanted.os == own.os && wanted.architecture == own.architecture
}
