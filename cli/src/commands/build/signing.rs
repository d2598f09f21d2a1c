//! Which key signs, if any.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;
use touchmark_attest::sign::Signer;
use touchmark_builder::solver::event::Observer;

use super::{arguments::BuildArgs, plan::Plan};
use crate::{
    error::CliError,
    signing_key::{self, BuildKey, is_service},
    sleeping_key::{PublicKeys, SleepingKey, Waker},
    ui::printer::Printer,
};

/// What was decided about signing.
#[derive(Debug, Default)]
pub(super) struct Signing {
    /// The build's key file, whether or not something is signed with it.
    key: Option<PathBuf>,
    /// The image is signed with it.
    image: bool,
    /// Shared caches are signed with it.
    caches: bool,
}

impl Signing {
    /// From the flags, else from the policy. What leaves the machine is signed unless the user says
    /// otherwise, and a shared cache always is: nobody would read another one.
    pub(super) fn choose(
        args: &BuildArgs,
        plan: &Plan,
        caches_written: bool,
    ) -> Result<Self, CliError> {
        let from_policy = plan.policy.sign.key.as_ref().map(|key| match key.contains(':') {
            true => key.clone(),
            false => plan.policy_dir.join(key).display().to_string(),
        });
        if args.evidence.no_sign {
            let file = from_policy.filter(|key| !is_service(key)).map(PathBuf::from);
            return match caches_written {
                true => Err(CliError::usage(
                    "--cache-to writes only signed caches, and --no-sign signs nothing",
                )
                .hint("leave out one of the two")),
                false => Ok(Self { key: file, ..Self::default() }),
            };
        }
        if plan.policy.sign.keyless.is_some() && args.evidence.sign_key.is_none() {
            return Err(CliError::usage(
                "the policy wants keyless signing, which is not there yet",
            )
            .hint("give a key file in [sign] or by --sign-key"));
        }
        let leaves = plan.outputs.leaves();
        let given = args.evidence.sign_key.clone();
        let image = leaves || given.is_some();
        match given.or(from_policy) {
            Some(key) if is_service(&key) && (image || caches_written) => {
                Err(CliError::usage(format!("the key '{key}' is not a file"))
                    .hint("tokens and key services are not supported yet; give a key file"))
            }
            Some(key) => Ok(Self { key: Some(key.into()), image, caches: caches_written }),
            None if leaves => Err(CliError::usage("there is no key to sign the image with")
                .hint("make one with 'touchmark key generate' and give it by --sign-key cosign.key")
                .hint("--no-sign makes an image that nobody can verify")),
            None if caches_written => Err(CliError::usage(
                "there is no key to sign the shared cache with, and nobody would read it unsigned",
            )
            .hint("make one with 'touchmark key generate' and give it by --sign-key cosign.key")),
            None => Ok(Self::default()),
        }
    }

    /// The build's key file.
    pub(super) fn path(&self) -> Option<&Path> {
        self.key.as_deref()
    }

    /// Reads the key where something is signed with it, which may ask for its password.
    pub(super) fn load(&self, data: &Path, printer: &Printer) -> Result<Loaded, CliError> {
        let path = self.key.as_ref().filter(|_| self.image || self.caches);
        let Some(path) = path else { return Ok(Loaded::default()) };
        let (signer, asleep): (Arc<dyn Signer>, _) =
            match signing_key::load_for_build(path, &PublicKeys::new(data), printer)? {
                BuildKey::Awake(key) => (Arc::new(key), None),
                BuildKey::Asleep(key) => {
                    let key = Arc::new(key);
                    (key.clone(), Some((path.clone(), key)))
                }
            };
        let caches = self.caches.then(|| signer.clone());
        Ok(Loaded { signer: self.image.then_some(signer), caches, asleep })
    }
}

/// Who signs.
#[derive(Default)]
pub(super) struct Loaded {
    /// Nothing is attached without one.
    pub(super) signer: Option<Arc<dyn Signer>>,
    /// Who signs shared caches.
    pub(super) caches: Option<Arc<dyn Signer>>,
    /// The same, with its file, where it was not opened yet.
    asleep: Option<(PathBuf, Arc<SleepingKey>)>,
}

impl Loaded {
    /// An observer that opens the key once a step runs, where that is still to be done.
    pub(super) fn watch(
        &self,
        observer: Arc<dyn Observer>,
        cancel: &CancellationToken,
    ) -> Arc<dyn Observer> {
        match &self.asleep {
            Some((_, key)) => Arc::new(Waker::new(observer, key.clone(), cancel.clone())),
            None => observer,
        }
    }

    /// Why the key could not be opened, if that was tried.
    pub(super) fn failure(&self) -> Option<CliError> {
        let (path, key) = self.asleep.as_ref()?;
        Some(signing_key::unusable(path, key.failure()?))
    }
}
