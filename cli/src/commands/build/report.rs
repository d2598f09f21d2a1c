//! What a finished build tells: digests for people, for scripts and for files.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use touchmark_attest::predicate::hardening::{Action, HardeningReport, Level};
use touchmark_builder::{
    build::Build,
    export::{
        outputs::{FilesTarget, ImageOutput, ImageTarget, Outputs, Sink},
        product::Product,
        release::Release,
    },
    oci::digest::Digest,
    trace::span::Trace,
    worker::{WorkerConfig, parts::parts},
};

use super::{arguments::BuildArgs, metadata, plan::Plan};
use crate::{error::CliError, ui::printer::Printer};

/// Writes `--iidfile` and `--metadata-file`, and says what was made.
pub(super) fn write(
    args: &BuildArgs,
    plan: &Plan,
    built: &Build,
    trace: Option<&Trace>,
    printer: &Printer,
) -> Result<(), CliError> {
    let product = last(built, &plan.outputs);
    let id = product.map(image_id);
    if let (Some(path), Some(id)) = (&args.result.iidfile, id) {
        save(path, id.to_string().as_bytes())?;
    }
    if let Some(path) = &args.result.metadata_file {
        save(path, metadata::document(product, &plan.outputs, trace)?.as_bytes())?;
    }
    plan.locking.write(built, printer)?;
    if args.progress.quiet {
        // Standard output belongs to the archive that was written there.
        return match (plan.outputs.uses_stdout(), id) {
            (false, Some(id)) => printer.data(&id.to_string()),
            _ => Ok(()),
        };
    }
    if let Some(product) = built.products.first() {
        hardened(&product.release, printer);
    }
    for product in &built.products {
        digests(&product.release, printer);
    }
    for output in &plan.outputs.images {
        let product = built.products.iter().find(|product| product.form == output.form);
        image(output, product, &plan.outputs, printer);
    }
    for output in &plan.outputs.files {
        match &output.target {
            FilesTarget::Directory(path) | FilesTarget::Tar(Sink::File(path)) => {
                printer.talk(&format!("=> wrote {}", path.display()));
            }
            FilesTarget::Tar(Sink::Stdout) => {}
        }
    }
    if !args.result.annotation.is_empty() && built.products.is_empty() {
        printer.warning("no image was made, so there is nothing that --annotation could annotate");
    }
    if plan.outputs.images.is_empty() && plan.outputs.files.is_empty() && !plan.outputs.cache_only {
        printer.warning(
            "no output is asked for: the image stays in touchmark's own cache\n\
             help: push it with --push, load it into Docker with --load, or write it with \
             --output type=oci,dest=FILE",
        );
    }
    Ok(())
}

/// Removes what an earlier build said: who reads it after a failed one would take the wrong image.
pub(super) fn forget(args: &BuildArgs) -> Result<(), CliError> {
    let Some(path) = &args.result.iidfile else { return Ok(()) };
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::failed(format!("{} cannot be written: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Says where an image is.
fn image(output: &ImageOutput, product: Option<&Product>, outputs: &Outputs, printer: &Printer) {
    let names = outputs.names_of(output);
    match &output.target {
        ImageTarget::Registry { .. } => {
            let statements = product.map_or(0, |product| product.release.artifacts().count());
            for name in names {
                printer.talk(&format!("=> pushed {name} with {statements} statements"));
            }
        }
        ImageTarget::Layout(path)
        | ImageTarget::Archive(Sink::File(path))
        | ImageTarget::DockerArchive(Sink::File(path)) => {
            printer.talk(&format!("=> wrote {}", path.display()));
        }
        ImageTarget::Kept
        | ImageTarget::Archive(Sink::Stdout)
        | ImageTarget::DockerArchive(Sink::Stdout)
        | ImageTarget::Docker(_)
        | ImageTarget::Containerd { .. } => {}
    }
}

/// The image of the last output, as docker reports it; the only one in most builds.
pub(super) fn last<'a>(built: &'a Build, outputs: &Outputs) -> Option<&'a Product> {
    let form = outputs.images.last().map(|output| &output.form);
    let product = built.products.iter().find(|product| Some(&product.form) == form);
    product.or_else(|| built.products.last())
}

/// What docker calls the image's ID: the digest of its configuration.
fn image_id(product: &Product) -> Digest {
    metadata::config_digest(product).unwrap_or(product.release.descriptor().digest)
}

/// What hardening did on each platform.
fn hardened(release: &Release, printer: &Printer) {
    for one in release.images() {
        match release.index() {
            None => printer.talk(&hardening("", &one.hardening)),
            Some(_) => printer.talk(&hardening(&format!(" {}", one.platform), &one.hardening)),
        }
    }
}

/// What names the images.
fn digests(release: &Release, printer: &Printer) {
    let digest = release.descriptor().digest;
    if release.index().is_none() {
        return printer.talk(&format!("=> image {digest}"));
    }
    printer.talk(&format!("=> index {digest}"));
    for one in release.images() {
        let image = one.image.descriptor.digest;
        printer.talk(&format!("=> image {image} for {}", one.platform));
    }
}

/// What hardening did, in one line.
fn hardening(platform: &str, report: &HardeningReport) -> String {
    if report.level() == Level::Off {
        return format!("=> not hardened{platform}: the level is off");
    }
    let count = |wanted: Action| {
        report.findings().iter().filter(|finding| finding.action == wanted).count()
    };
    format!(
        "=> hardened{platform}: {} files removed, {} modes cleared, {} packages gone, {} exceptions kept",
        count(Action::Removed),
        count(Action::Cleared),
        report.excluded().len(),
        count(Action::Kept),
    )
}

/// Written beside and renamed: a reader sees the old file or the new one.
pub(in crate::commands) fn save(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let fault = |error: std::io::Error| {
        CliError::failed(format!("{} cannot be written: {error}", path.display()))
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir).map_err(fault)?;
    fs::write(file.path(), bytes).map_err(fault)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).map_err(fault)?;
    file.persist(path).map_err(|error| fault(error.error))?;
    Ok(())
}

/// Versions of the builder's parts, for provenance. Asks programs, so it blocks.
pub(super) fn versions(worker: &WorkerConfig) -> BTreeMap<String, String> {
    let own = ("touchmark".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let parts = parts(worker).into_iter();
    parts.filter_map(|part| Some((part.name.to_owned(), part.version?))).chain([own]).collect()
}

/// A random name for this run.
pub(super) fn invocation() -> String {
    let mut bytes = [0; 16];
    // Without randomness the run goes unnamed; the name proves nothing.
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("urn:touchmark:build:{}", hex::encode(bytes)),
        Err(_) => String::new(),
    }
}
