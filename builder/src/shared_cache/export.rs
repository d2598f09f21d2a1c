//! `--cache-to`: after the image is where it belongs, what the build came by is written for others. The
//! image does not wait for it, and does not suffer from it.

use std::{collections::BTreeMap, sync::Arc};

use time::OffsetDateTime;
use touchmark_attest::predicate::{
    Timestamp,
    cache::{CacheMode, SharedCache as Predicate},
    slsa::Builder,
};

use super::{
    CacheError, CachePlace, CacheTarget, SharedCache, TargetPlace, contents::Contents,
    deposit::Deposit,
};
use crate::{
    image::outcomes::Passed,
    oci::{descriptor::Descriptor, digest::Digest, reference::Reference},
    solver::{
        event::{Event, Observer},
        host::Host,
        phase::{Phase, PhaseKind},
        telling::told,
        trail,
    },
};

/// What is said of a cache, and what else there is to know of the build.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The builder's id, as provenance has it.
    pub builder: String,
    /// Versions of its parts.
    pub versions: &'a BTreeMap<String, String>,
    /// When the steps were done.
    pub finished: OffsetDateTime,
    /// SOURCE_DATE_EPOCH in seconds.
    pub epoch: i64,
    /// The platforms that were built for.
    pub platforms: Vec<String>,
    /// The policy file's bytes.
    pub policy: Option<Digest>,
    /// Names the run.
    pub invocation: &'a str,
    /// The layers of the image of each platform, before it was hardened.
    pub layers: Vec<Vec<Digest>>,
    /// What came of the images.
    pub outcomes: Passed,
    /// The image in each repository that it was pushed to.
    pub pushed: Vec<(Reference, Descriptor)>,
}

impl Facts<'_> {
    pub(super) fn predicate(
        &self,
        mode: CacheMode,
        steps: usize,
        layers: usize,
    ) -> Result<Predicate, CacheError> {
        let (id, version) = (self.builder.clone(), self.versions.clone());
        Ok(Predicate {
            builder: Builder { id, version, ..Builder::default() },
            created_on: Timestamp::from_unix(self.finished.unix_timestamp())?,
            epoch: self.epoch,
            mode,
            platforms: self.platforms.clone(),
            policy_digest: self.policy.map(|digest| digest.to_string()),
            invocation_id: self.invocation.to_owned(),
            steps: steps as u64,
            layers: layers as u64,
        })
    }
}

/// Writes every cache that was asked for. One that cannot be written is named in a warning.
///
/// # Errors
/// The first cache that could not be written though the command line says that it must be.
pub async fn export(
    options: &SharedCache,
    passed: &trail::Passed,
    facts: &Facts<'_>,
    host: &Arc<Host>,
    observer: &dyn Observer,
) -> Result<(), CacheError> {
    for target in &options.to {
        let name = target.place.to_string();
        let work = write(target, options, passed, facts, (host, observer));
        let written = told(observer, Phase::of(PhaseKind::WriteCache, &name), work).await;
        match written {
            Err(error) if target.needed => return Err(error),
            Err(error) => observer.event(Event::Warning(&format!(
                "the shared cache {name} was not written: {error}"
            ))),
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn write(
    target: &CacheTarget,
    options: &SharedCache,
    passed: &trail::Passed,
    facts: &Facts<'_>,
    (host, observer): (&Arc<Host>, &dyn Observer),
) -> Result<(), CacheError> {
    let signer = options.signer.as_deref().ok_or(CacheError::NoSigner)?;
    if target.place == TargetPlace::Inline && facts.pushed.is_empty() {
        return Err(CacheError::NotPushed);
    }
    let contents = Contents::of(target, passed, facts, host).await?;
    let image = facts.pushed.first().map(|(reference, _)| reference);
    let deposit = Deposit { contents: &contents, signer, host, observer, image };
    match &target.place {
        TargetPlace::Place(CachePlace::Registry(reference)) => deposit.push(reference, None).await,
        TargetPlace::Place(CachePlace::Local(path)) => deposit.write(path).await,
        TargetPlace::Inline => {
            for (repository, image) in &facts.pushed {
                deposit.push(repository, Some(image)).await?;
            }
            Ok(())
        }
    }
}
