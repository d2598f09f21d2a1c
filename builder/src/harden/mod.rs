//! Hardening: what the policy forbids leaves every layer, not only the merged tree, and the package
//! databases say so. `rules` is the data; `facts` → `survey` → `select` → `plan` → `rewrite` is the
//! way of the layers, `command` and `start` that of the configuration; `report` is what comes out.
//!
//! A whiteout would hide a shell and still ship it. So a layer that holds something forbidden is
//! written anew, and every other layer keeps its bytes and its descriptor.

mod ahead;
#[cfg(test)]
mod bench;
mod command;
mod facts;
mod glob;
mod library;
mod look;
mod packages;
mod plan;
mod program;
mod report;
mod rewrite;
pub mod rules;
mod scan;
mod seen;
mod select;
mod start;
mod store;
mod survey;
pub(crate) mod user;

pub use ahead::ahead;
pub use command::Field;
pub use facts::Wanted;
pub use look::Look;
pub use report::{Action, ExcludedPackage, Finding, Hardened};
pub use rewrite::RewriteError;
pub use seen::Seen;
pub use start::StartFault;
pub use store::LayerStore;
pub use touchmark_attest::predicate::hardening::Level;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    sync::Arc,
};

use facts::Facts;
use glob::Globs;
use look::look;
use plan::{Change, Plan, Planner};
use scan::{open, scan};
use select::{Selection, Selector};
use start::Starter;
use survey::Survey;

use crate::{
    layer::{Compression, Layer, LayerWriter, tree::ScanError},
    oci::{config::ImageConfig, descriptor::Descriptor, digest::Digest},
    policy::glob::Glob,
};

/// What to harden, and what not.
#[derive(Debug, Clone, Default)]
pub struct HardenOptions {
    /// How much.
    pub level: Level,
    /// Globs of paths that no rule touches; each use is a finding.
    pub keep: Vec<Glob>,
    /// Globs of further paths to remove.
    pub remove: Vec<Glob>,
    /// The latest time of a file with new content; seconds since 1970.
    pub epoch: i64,
    /// CMD comes from the base image. Where it starts a shell that goes, and nothing else, the image gets
    /// no CMD instead of none at all being built: nobody asked for this one.
    pub inherited_cmd: bool,
    /// An image whose process would begin as root is refused.
    pub require_nonroot: bool,
    /// What was seen in layers already; the others are read.
    pub seen: Seen,
}

/// Why an image was not hardened.
#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    /// A level that is not there yet.
    #[error(
        "the harden level 'strict' is not available in this version\nhelp: use level = \
         \"baseline\" and list further paths in [harden] remove"
    )]
    Strict,
    /// The process would begin as root, and the policy does not want that.
    #[error(
        "the image's process would begin as root (USER is '{user}'), and the policy has user = \
         \"require-nonroot\"\nhelp: end the stage with a USER such as 65532:65532, or set user = \
         \"allow-root\" in [harden]"
    )]
    RootUser {
        /// The configuration's `User`.
        user: String,
    },
    /// The configuration does not fit the layers.
    #[error("the image has {layers} layers, but its configuration names {diff_ids}")]
    Mismatch {
        /// Layers of the manifest.
        layers: usize,
        /// `diff_ids` of the configuration.
        diff_ids: usize,
    },
    /// A layer of a type that cannot be read.
    #[error("layer {layer} has the media type '{media_type}', which is not a layer")]
    MediaType {
        /// Its number, the lowest is 0.
        layer: usize,
        /// What the manifest says.
        media_type: String,
    },
    /// A blob cannot be opened, or a new one not be stored.
    #[error("layer {layer} cannot be read or stored: {cause}")]
    Store {
        /// Its number, the lowest is 0.
        layer: usize,
        /// What the store said.
        cause: io::Error,
    },
    /// A layer cannot be read.
    #[error("layer {layer}: {cause}")]
    Scan {
        /// Its number, the lowest is 0.
        layer: usize,
        /// What is wrong with it.
        cause: ScanError,
    },
    /// A layer cannot be rewritten.
    #[error("layer {layer}: {cause}")]
    Rewrite {
        /// Its number, the lowest is 0.
        layer: usize,
        /// What is wrong with it.
        cause: RewriteError,
    },
    /// The hardened image would not start (H18, H23).
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Start(Vec<StartFault>),
}

/// Hardens an image. `layers` are the manifest's, the lowest first; new blobs are put into `store`.
/// The result follows from the arguments alone.
///
/// # Errors
/// See [`HardenError`]; [`HardenError::Start`] comes before anything is stored.
pub fn harden<S: LayerStore>(
    store: &S,
    layers: &[Descriptor],
    config: &ImageConfig,
    options: &HardenOptions,
) -> Result<Hardened, HardenError> {
    let mut config = config.clone();
    match options.level {
        Level::Strict => return Err(HardenError::Strict),
        Level::Off => return Ok(untouched(layers, config)),
        Level::Baseline => {}
    }
    let facts = scan(store, layers, &config.rootfs.diff_ids, &options.seen)?;
    let survey = Survey::of(&facts);
    let (mut plan, excluded) = planned(&facts, &survey, options);
    start(&facts, &survey, &mut plan, &mut config, options.inherited_cmd)?;
    drop(survey);
    let layers = write(store, layers, &mut config.rootfs.diff_ids, &plan, options.epoch)?;
    let looks = facts.into_iter().zip(&plan.changes).zip(&config.rootfs.diff_ids);
    let looks = looks.filter_map(|((facts, changes), diff_id)| {
        look(facts, changes, *diff_id, (options.epoch, options.seen.wanted()))
    });
    let looks = looks.collect();
    Ok(Hardened { layers, config, findings: plan.findings, excluded, looks })
}

/// What is to be done, and which packages go for it.
fn planned(
    facts: &[Arc<Facts>],
    survey: &Survey,
    options: &HardenOptions,
) -> (Plan, Vec<ExcludedPackage>) {
    let keep = Globs::new(&options.keep, &survey.tree);
    let remove = Globs::new(&options.remove, &survey.tree);
    let selection = Selector::new(facts, survey, &keep, &remove).select();
    let plan = Planner::new(facts, survey, &selection, &keep).plan();
    (plan, excluded(&selection))
}

fn untouched(layers: &[Descriptor], config: ImageConfig) -> Hardened {
    Hardened {
        layers: layers.to_vec(),
        config,
        findings: Vec::new(),
        excluded: Vec::new(),
        looks: Vec::new(),
    }
}

fn start(
    facts: &[Arc<Facts>],
    survey: &Survey,
    plan: &mut Plan,
    config: &mut ImageConfig,
    inherited_cmd: bool,
) -> Result<(), HardenError> {
    let mut starter = Starter::new(&survey.tree, &plan.tree, facts);
    starter.check(&mut config.config);
    if inherited_cmd {
        starter.forgo_shell(&mut config.config);
    }
    let (findings, faults) = (starter.findings, starter.faults);
    if !faults.is_empty() {
        return Err(HardenError::Start(faults));
    }
    plan.findings.extend(findings);
    Ok(())
}

fn excluded(selection: &Selection) -> Vec<ExcludedPackage> {
    let of = |(package, rule): &(packages::Package, &'static str)| ExcludedPackage {
        ecosystem: package.ecosystem.into(),
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        rule: (*rule).into(),
    };
    let packages: BTreeSet<ExcludedPackage> = selection.packages.iter().map(of).collect();
    packages.into_iter().collect()
}

/// Rewrites the layers that have changes and puts their digests into `diff_ids`.
fn write<S: LayerStore>(
    store: &S,
    layers: &[Descriptor],
    diff_ids: &mut [Digest],
    plan: &Plan,
    epoch: i64,
) -> Result<Vec<Descriptor>, HardenError> {
    let trailing = |layer: usize| {
        plan.findings.iter().any(|finding| finding.layer == Some(layer) && finding.path == "/")
    };
    let mut written = Vec::new();
    for (layer, (descriptor, changes)) in layers.iter().zip(&plan.changes).enumerate() {
        if changes.is_empty() && !trailing(layer) {
            written.push(descriptor.clone());
            continue;
        }
        let media_type = descriptor.media_type.clone();
        let compression = Compression::of_media_type(&media_type)
            .ok_or(HardenError::MediaType { layer, media_type })?;
        let diff_id = diff_ids[layer];
        let key = rewrite::key(diff_id, changes, epoch, compression);
        let new = match store.known(&key) {
            Some(known) => known,
            None => {
                let archive = open(store, layer, descriptor, diff_id)?;
                let new = write_one(store, (layer, archive), changes, (epoch, compression))?;
                let failed = |cause| HardenError::Store { layer, cause };
                store.remember(&key, &new).map_err(failed)?;
                new
            }
        };
        diff_ids[layer] = new.diff_id;
        written.push(new.descriptor);
    }
    Ok(written)
}

fn write_one<S: LayerStore>(
    store: &S,
    (layer, archive): (usize, impl Read),
    changes: &BTreeMap<usize, Change>,
    (epoch, compression): (i64, Compression),
) -> Result<Layer, HardenError> {
    let failed = |cause| HardenError::Store { layer, cause };
    let sink = store.create().map_err(failed)?;
    let writer = LayerWriter::new(sink, compression).map_err(failed)?;
    let writer = rewrite::rewrite(archive, changes, epoch, writer)
        .map_err(|cause| HardenError::Rewrite { layer, cause })?;
    let (new, sink) = writer.finish().map_err(failed)?;
    store.commit(sink, &new.descriptor).map_err(failed)?;
    Ok(new)
}

#[cfg(test)]
mod tests;
