//! What was built, for the end of the display.

use touchmark_attest::predicate::hardening::Action;
use touchmark_builder::{
    build::Build,
    export::{
        outputs::{FilesTarget, ImageTarget, Outputs, Sink},
        release::Release,
    },
    oci::digest::Digest,
};

use super::{plan::Plan, report};
use crate::ui::progress::summary::{BuiltImage, Hardening};

/// What was built and where it went.
pub(super) fn of(built: &Build, plan: &Plan) -> BuiltImage {
    let release = report::last(built, &plan.outputs).map(|product| &product.release);
    let images = || release.into_iter().flat_map(Release::images);
    let findings = || images().flat_map(|one| one.hardening.findings());
    let count = |wanted: Action| findings().filter(|found| found.action == wanted).count();
    let layers = || images().flat_map(|one| &one.image.layers);
    let outputs = &plan.outputs;
    BuiltImage {
        digest: release.map(|release| release.descriptor().digest.to_string()),
        config: release
            .and_then(Release::image)
            .map(|one| Digest::of(&one.image.config).to_string()),
        size: layers().map(|layer| layer.size).sum(),
        layers: layers().count(),
        names: outputs.all_names().map(ToString::to_string).collect(),
        pushed: outputs
            .images
            .iter()
            .any(|output| matches!(output.target, ImageTarget::Registry { .. })),
        files: images_in_files(outputs).chain(files(outputs)).collect(),
        statements: release.map_or(0, |release| release.artifacts().count()),
        hardening: Hardening {
            removed: count(Action::Removed),
            cleared: count(Action::Cleared),
            packages: images().map(|one| one.hardening.excluded().len()).sum(),
            kept: count(Action::Kept),
        },
    }
}

/// Files and directories that hold an image.
fn images_in_files(outputs: &Outputs) -> impl Iterator<Item = String> {
    outputs.images.iter().filter_map(|output| match &output.target {
        ImageTarget::Layout(path)
        | ImageTarget::Archive(Sink::File(path))
        | ImageTarget::DockerArchive(Sink::File(path)) => Some(path.display().to_string()),
        _ => None,
    })
}

/// Files and directories that hold the files of a stage.
fn files(outputs: &Outputs) -> impl Iterator<Item = String> {
    outputs.files.iter().filter_map(|output| match &output.target {
        FilesTarget::Directory(path) | FilesTarget::Tar(Sink::File(path)) => {
            Some(path.display().to_string())
        }
        FilesTarget::Tar(Sink::Stdout) => None,
    })
}
