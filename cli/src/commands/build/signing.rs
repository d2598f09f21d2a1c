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
    signing_key::{self, BuildKey},
    sleeping_key::{PublicKeys, SleepingKey, Waker},
    ui::printer::Printer,
};

/// What was decided about signing.
#[derive(Debug)]
pub(super) enum Signing {
    /// Nothing leaves this machine, or the user wants it unsigned.
    Not,
    /// With this key file.
    Key(PathBuf),
}

impl Signing {
    /// From the flags, else from the policy. What leaves the machine is signed unless the user says
    /// otherwise.
    pub(super) fn choose(args: &BuildArgs, plan: &Plan) -> Result<Self, CliError> {
        if args.evidence.no_sign {
            return Ok(Self::Not);
        }
        let from_policy = plan.policy.sign.key.as_ref().map(|key| match key.contains(':') {
            true => key.clone(),
            false => plan.policy_dir.join(key).display().to_string(),
        });
        if plan.policy.sign.keyless.is_some() && args.evidence.sign_key.is_none() {
            return Err(CliError::usage(
                "the policy wants keyless signing, which is not there yet",
            )
            .hint("give a key file in [sign] or by --sign-key"));
        }
        let leaves = plan.outputs.leaves();
        match args.evidence.sign_key.clone().or(from_policy.filter(|_| leaves)) {
            Some(key) if key.starts_with("pkcs11:") || key.contains("://") => {
                Err(CliError::usage(format!("the key '{key}' is not a file"))
                    .hint("tokens and key services are not supported yet; give a key file"))
            }
            Some(key) => Ok(Self::Key(key.into())),
            None if leaves => Err(CliError::usage("there is no key to sign the image with")
                .hint("make one with 'touchmark key generate' and give it by --sign-key cosign.key")
                .hint("--no-sign makes an image that nobody can verify")),
            None => Ok(Self::Not),
        }
    }

    /// Reads the key, which may ask for its password.
    pub(super) fn load(&self, data: &Path, printer: &Printer) -> Result<Loaded, CliError> {
        let Self::Key(path) = self else { return Ok(Loaded::default()) };
        Ok(match signing_key::load_for_build(path, &PublicKeys::new(data), printer)? {
            BuildKey::Awake(key) => Loaded { signer: Some(Arc::new(key)), asleep: None },
            BuildKey::Asleep(key) => {
                let key = Arc::new(key);
                Loaded { signer: Some(key.clone()), asleep: Some((path.clone(), key)) }
            }
        })
    }
}

/// Who signs.
#[derive(Default)]
pub(super) struct Loaded {
    /// Nothing is attached without one.
    pub(super) signer: Option<Arc<dyn Signer>>,
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
