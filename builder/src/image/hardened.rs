//! An image through the hardening rules, and the report that is signed. The outcome is remembered under
//! the digest of everything it follows from, so that an unchanged image is not unpacked again.

use std::{io, sync::Arc};

use serde::{Deserialize, Serialize};
use touchmark_attest::predicate::hardening::{self, HardeningReport};

use super::{Image, outcomes::Outcomes};
use crate::{
    content::{
        blob_sink::BlobSink, index::Table, records::Records, store::ContentStore,
        verified_blob::VerifiedBlob,
    },
    harden::{
        self, Action, Finding, HardenError, HardenOptions, LayerStore, Level, Look, user::is_root,
    },
    layer::Layer,
    oci::{descriptor::Descriptor, digest::Digest},
    policy::glob::Glob,
    solver::chain::Chains,
};

/// A hardened image and what was done to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HardenedImage {
    /// The image; its new layers are in the content store.
    pub image: Image,
    /// What hardening changed.
    pub report: HardeningReport,
    /// What is in its layers, where they were looked at just now.
    #[serde(skip)]
    pub looks: Arc<Vec<Look>>,
}

/// Changes when the rules or the way they are carried out change.
const RULES_VERSION: u32 = 2;

/// An image that is to be hardened.
#[derive(Debug)]
pub struct Hardening {
    image: Image,
    options: HardenOptions,
    key: Digest,
}

impl Hardening {
    /// Of `image`, as `options` say.
    ///
    /// # Errors
    /// [`HardenError::RootUser`].
    pub fn of(image: Image, options: HardenOptions) -> Result<Self, HardenError> {
        let user = &image.config.config.user;
        if options.require_nonroot && options.level != Level::Off && is_root(user) {
            return Err(HardenError::RootUser { user: user.clone() });
        }
        let key = key(&image, &options)?;
        Ok(Self { image, options, key })
    }

    /// What came of it before, as long as its layers can be had.
    #[must_use]
    pub fn known(&self, outcomes: &Outcomes, chains: &Chains) -> Option<HardenedImage> {
        let whole = |image: &Image| image.layers.len() == image.config.rootfs.diff_ids.len();
        outcomes.hardened(&self.key, |found| {
            let mut layers = found.image.layers();
            whole(&found.image) && layers.all(|(diff_id, blob)| chains.can_have(&diff_id, blob))
        })
    }

    /// The layers that are read.
    #[must_use]
    pub fn layers(&self) -> Vec<(Digest, Descriptor)> {
        self.image.owned_layers()
    }

    /// Does it. The layers are in the store.
    ///
    /// # Errors
    /// See [`HardenError`].
    pub async fn done(
        self,
        content: &Arc<ContentStore>,
        outcomes: &Outcomes,
    ) -> Result<HardenedImage, HardenError> {
        let Self { image, options, key } = self;
        let blobs = Blobs::new(content, outcomes);
        let work = tokio::task::spawn_blocking(move || {
            let hardened = harden::harden(&blobs, &image.layers, &image.config, &options)?;
            let report = report(&image, &options, &hardened.findings, &hardened.excluded);
            let image = Image { config: hardened.config, layers: hardened.layers };
            let known = HardenedImage { image, report, looks: Arc::default() };
            Ok::<_, HardenError>((known, Arc::new(hardened.looks)))
        });
        let (known, looks) = work.await.map_err(|error| store(io::Error::other(error)))??;
        outcomes.harden(&key, &known).map_err(store)?;
        Ok(HardenedImage { looks, ..known })
    }
}

fn store(cause: io::Error) -> HardenError {
    HardenError::Store { layer: 0, cause }
}

fn key(image: &Image, options: &HardenOptions) -> Result<Digest, HardenError> {
    // Whether root is refused changes nothing in an image that is not.
    let HardenOptions { level, keep, remove, epoch, inherited_cmd, require_nonroot: _, seen: _ } =
        options;
    let texts = |globs: &[Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let policy = (level.as_str(), texts(keep), texts(remove));
    let inputs = (RULES_VERSION, "harden, gzip members", image, policy, epoch, inherited_cmd);
    let bytes = serde_json::to_vec(&inputs).map_err(|error| store(error.into()))?;
    Ok(Digest::of(&bytes))
}

/// The report in its signed form: layers are named by the digest they had before.
fn report(
    image: &Image,
    options: &HardenOptions,
    findings: &[Finding],
    excluded: &[harden::ExcludedPackage],
) -> HardeningReport {
    let layer = |number: usize| image.config.rootfs.diff_ids.get(number).map(ToString::to_string);
    let findings = findings.iter().map(|finding| hardening::Finding {
        rule: finding.rule.clone(),
        path: Some(finding.path.clone()),
        layer: finding.layer.and_then(layer),
        action: match finding.action {
            Action::Removed => hardening::Action::Removed,
            Action::ModeChanged | Action::CapabilitiesDropped => hardening::Action::Cleared,
            Action::ContentChanged | Action::CommandRewritten => hardening::Action::Rewritten,
            Action::Kept => hardening::Action::Kept,
            Action::Warned => hardening::Action::Warned,
        },
        sha256: finding.sha256.map(|digest| digest.hex()),
        old_mode: finding.old_mode.map(|mode| format!("{mode:04o}")),
        detail: finding.detail.clone(),
    });
    let excluded = excluded.iter().map(|package| hardening::ExcludedPackage {
        ecosystem: package.ecosystem.clone(),
        name: package.name.clone(),
        version: package.version.clone(),
        rule: package.rule.clone(),
    });
    HardeningReport::new(options.level, findings.collect()).excluding(excluded.collect())
}

/// The content store as hardening sees it.
pub(super) struct Blobs {
    content: Arc<ContentStore>,
    records: Records,
}

impl Blobs {
    pub(super) fn new(content: &Arc<ContentStore>, outcomes: &Outcomes) -> Self {
        Self { content: content.clone(), records: outcomes.records().of(Table::Hardened) }
    }
}

impl LayerStore for Blobs {
    type Blob = VerifiedBlob;
    type Sink = BlobSink;

    fn open(&self, descriptor: &Descriptor) -> io::Result<VerifiedBlob> {
        self.content.open_verified(descriptor).map_err(io::Error::other)
    }

    fn create(&self) -> io::Result<BlobSink> {
        self.content.sink().map_err(io::Error::other)
    }

    fn commit(&self, sink: BlobSink, descriptor: &Descriptor) -> io::Result<()> {
        sink.commit(&descriptor.digest).map_err(io::Error::other)
    }

    fn known(&self, key: &Digest) -> Option<Layer> {
        let layer: Layer = self.records.get(key)?;
        self.content.has(&layer.descriptor.digest).then_some(layer)
    }

    fn remember(&self, key: &Digest, layer: &Layer) -> io::Result<()> {
        self.records.put(key, layer)
    }
}
