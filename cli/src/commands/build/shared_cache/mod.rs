//! `--cache-from` and `--cache-to`, under BuildKit's names: what is read, what is written, who signs it
//! and who is believed.

mod spec;

use std::path::Path;

use touchmark_attest::{key::PublicKey, predicate::cache::CacheMode, trust::Trust};
use touchmark_builder::{
    oci::reference::Reference,
    shared_cache::{CachePlace, CacheSource, CacheTarget, SharedCache, TargetPlace},
};

use self::spec::Spec;
use super::{
    arguments::shared_cache::SharedCacheArgs,
    plan::Plan,
    signing::{Loaded, Signing},
};
use crate::{error::CliError, signing_key, ui::printer::Printer};

/// The caches that the command line names.
#[derive(Debug, Default)]
pub(super) struct Caches {
    from: Vec<CacheSource>,
    to: Vec<CacheTarget>,
}

impl Caches {
    /// Reads the flags.
    pub(super) fn read(args: &SharedCacheArgs) -> Result<Self, CliError> {
        let from = args.cache_from.iter().map(|text| source(text));
        let to = args.cache_to.iter().map(|text| target(text));
        Ok(Self { from: from.collect::<Result<_, _>>()?, to: to.collect::<Result<_, _>>()? })
    }

    /// Is a cache written, which somebody has to sign?
    pub(super) fn are_written(&self) -> bool {
        !self.to.is_empty()
    }

    /// The caches with whoever is believed: the build's own key, and those that the policy names.
    pub(super) fn with_trust(
        self,
        plan: &Plan,
        signing: &Signing,
        key: &Loaded,
        printer: &Printer,
    ) -> Result<SharedCache, CliError> {
        let Self { from, to } = self;
        let mut keys: Vec<PublicKey> = Vec::new();
        if !from.is_empty() {
            let own = key.caches.as_ref().or(key.signer.as_ref());
            let own = own.map(|signer| signer.public_key().clone());
            keys.extend(own.or_else(|| signing.public_beside(printer)));
            for name in &plan.policy.cache.trust {
                keys.push(signing_key::load_public(&plan.policy_dir.join(name))?);
            }
        }
        Ok(SharedCache { from, to, trust: Trust::in_keys(keys), signer: key.caches.clone() })
    }
}

fn source(text: &str) -> Result<CacheSource, CliError> {
    let spec = Spec::read("--cache-from", text)?;
    let place = match spec.kind() {
        "registry" => CachePlace::Registry(reference(&spec)?),
        "local" => CachePlace::Local(spec.needed("src")?.into()),
        // An inline cache is found by the name of its image.
        kind => return Err(spec.unknown(kind, "type=registry and type=local")),
    };
    spec.only(match place {
        CachePlace::Registry(_) => &["ref", "mounts"],
        CachePlace::Local(_) => &["src", "digest", "mounts"],
    })?;
    let digest = spec.value("digest").map(str::parse).transpose();
    let digest = digest.map_err(|_| spec.fault("digest= is no sha256 digest"))?;
    Ok(CacheSource { place, digest, mounts: spec.mounts()? })
}

fn target(text: &str) -> Result<CacheTarget, CliError> {
    let spec = Spec::read("--cache-to", text)?;
    let place = match spec.kind() {
        "registry" => TargetPlace::Place(CachePlace::Registry(reference(&spec)?)),
        "local" => TargetPlace::Place(CachePlace::Local(spec.needed("dest")?.into())),
        "inline" => TargetPlace::Inline,
        kind => return Err(spec.unknown(kind, "type=registry, type=local and type=inline")),
    };
    let own: &[&str] = match place {
        TargetPlace::Place(CachePlace::Registry(_)) => &["ref"],
        TargetPlace::Place(CachePlace::Local(_)) => &["dest"],
        TargetPlace::Inline => &[],
    };
    let common = [
        "mode",
        "mounts",
        "compression",
        "compression-level",
        "force-compression",
        "ignore-error",
        "image-manifest",
        "oci-mediatypes",
    ];
    spec.only(&[own, &common].concat())?;
    let mode = match spec.value("mode") {
        None | Some("min") => CacheMode::Min,
        Some("max") => CacheMode::Max,
        Some(other) => return Err(spec.fault(&format!("mode={other} is neither min nor max"))),
    };
    for key in ["force-compression", "image-manifest", "oci-mediatypes"] {
        // A cache is an OCI image manifest with all its layers in one form, whatever is said here.
        spec.flag(key)?;
    }
    let needed = spec.flag("ignore-error")? == Some(false);
    Ok(CacheTarget {
        place,
        mode,
        compression: spec.compression()?,
        mounts: spec.mounts()?,
        needed,
    })
}

fn reference(spec: &Spec<'_>) -> Result<Reference, CliError> {
    let text = spec.needed("ref")?;
    text.parse().map_err(|error| spec.fault(&format!("ref={text} is no image name: {error}")))
}

impl Signing {
    /// The public half of the key that would sign, where it lies beside it as `touchmark key generate`
    /// leaves it: to read a cache, nobody need give a password.
    fn public_beside(&self, printer: &Printer) -> Option<PublicKey> {
        let path = self.path()?.with_extension("pub");
        match path.exists() {
            true => load(&path, printer),
            false => None,
        }
    }
}

fn load(path: &Path, printer: &Printer) -> Option<PublicKey> {
    let key = signing_key::load_public(path);
    key.map_err(|error| printer.warning(&error.to_string())).ok()
}

#[cfg(test)]
mod tests;
