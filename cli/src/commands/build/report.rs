//! What a finished build tells: digests for people, for scripts and for files.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;
use touchmark_attest::predicate::hardening::{Action, HardeningReport};
use touchmark_builder::{
    build::Build,
    oci::digest::Digest,
    worker::{WorkerConfig, status::parts},
};

use super::{
    arguments::{BuildArgs, progress::ProgressStyle},
    plan::Plan,
};
use crate::{error::CliError, ui::printer::Printer};

/// Writes `--iidfile` and `--metadata-file`, and says what was made.
pub(super) fn write(
    args: &BuildArgs,
    plan: &Plan,
    built: &Build,
    printer: &Printer,
) -> Result<(), CliError> {
    let release = &built.release;
    let digest = release.descriptor().digest;
    // An index has no configuration: its own digest names it.
    let config = release.image().map(|one| Digest::of(&one.image.config));
    if let Some(path) = &args.result.iidfile {
        save(path, config.unwrap_or(digest).to_string().as_bytes())?;
    }
    if let Some(path) = &args.result.metadata_file {
        let names: Vec<String> = plan.outputs.tags.iter().map(ToString::to_string).collect();
        // BuildKit's keys.
        let mut metadata = json!({
            "containerimage.descriptor": release.descriptor(),
            "containerimage.digest": digest,
        });
        if let Some(config) = config {
            metadata["containerimage.config.digest"] = config.to_string().into();
        }
        if !names.is_empty() {
            metadata["image.name"] = names.join(",").into();
        }
        save(path, format!("{metadata:#}\n").as_bytes())?;
    }
    if args.progress.quiet {
        return printer.data(&digest.to_string());
    }
    if args.progress.style == ProgressStyle::Quiet {
        return Ok(());
    }
    for one in release.images() {
        match release.index() {
            None => printer.talk(&hardening("", &one.hardening)),
            Some(_) => printer.talk(&hardening(&format!(" {}", one.platform), &one.hardening)),
        }
    }
    match release.index() {
        None => printer.talk(&format!("=> image {digest}")),
        Some(_) => {
            printer.talk(&format!("=> index {digest}"));
            for one in release.images() {
                let image = one.image.descriptor.digest;
                printer.talk(&format!("=> image {image} for {}", one.platform));
            }
        }
    }
    if plan.outputs.push {
        let statements = release.artifacts().count();
        for tag in &plan.outputs.tags {
            printer.talk(&format!("=> pushed {tag} with {statements} statements"));
        }
    } else if plan.outputs.layouts.is_empty() {
        printer.warning(
            "the image stays in touchmark's own cache\n\
             help: add --push, or --output type=oci,dest=PATH",
        );
    }
    for layout in &plan.outputs.layouts {
        printer.talk(&format!("=> wrote {}", layout.path.display()));
    }
    Ok(())
}

/// What hardening did, in one line.
fn hardening(platform: &str, report: &HardeningReport) -> String {
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
fn save(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let fault = |error: std::io::Error| {
        CliError::failed(format!("{} cannot be written: {error}", path.display()))
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir).map_err(fault)?;
    fs::write(file.path(), bytes).map_err(fault)?;
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
