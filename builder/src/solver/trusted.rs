//! A step that can use the network trusts the build's own authority for as long as it runs.

use std::path::PathBuf;

use super::{Solver, chain::Active, error::SolveError, pack::Top, view::View};
use crate::{
    egress::{AUTHORITY_NAME, StepNetwork},
    executor::{ExtraMount, MountSource},
    snapshot::{Mount, mount::upper_dir},
    trust::StepTrust,
};

/// Where the files for clients are, for those mounts that hide it.
const RUN: &str = "/run/touchmark";

/// The trust of one step.
pub(super) struct Trusted {
    trust: StepTrust,
    /// The directory with it, while the step runs.
    lower: View,
    /// What the step writes.
    upper: Option<PathBuf>,
}

impl Trusted {
    /// Makes it for a step with the variables `env` that will write to `active`.
    pub(super) async fn prepare(
        solver: &Solver,
        network: &StepNetwork,
        active: &Active,
        env: &[(String, String)],
    ) -> Result<Self, SolveError> {
        let chains = &solver.host.chains;
        let lower = chains.view(&[]).await?;
        let below = Top::of(&active.mounts).map(Top::into_below).unwrap_or_default();
        let image = match below.as_slice() {
            [] => chains.view(&[]).await?,
            mounts => chains.mount(mounts)?,
        };
        let (certificate, env) = (network.authority()?, env.to_vec());
        let prepare = move || {
            let authority = (certificate, AUTHORITY_NAME);
            let trust = StepTrust::prepare(authority, image.path(), &env, lower.path())?;
            Ok::<_, SolveError>((trust, lower))
        };
        let (trust, lower) = tokio::task::spawn_blocking(prepare).await??;
        Ok(Self { trust, lower, upper: upper_dir(&active.mounts) })
    }

    /// The step's root file system with it.
    pub(super) fn mounts(&self, mounts: &[Mount]) -> Vec<Mount> {
        let mut mounts = mounts.to_vec();
        if let Some(last) = mounts.pop() {
            mounts.push(last.with_lower_dir(self.lower.path()));
        }
        mounts
    }

    /// Adds the variables to the step's own, and the files that they name where `mounts` hide them, or where the root
    /// file system has nothing to put a directory under.
    pub(super) fn equip(
        &self,
        env: &mut Vec<(String, String)>,
        mounts: &mut Vec<ExtraMount>,
        root: &[Mount],
    ) {
        self.trust.add_variables(env);
        let hides = |mount: &ExtraMount| std::path::Path::new(RUN).starts_with(&mount.target);
        let over = root.last().is_some_and(|last| last.option("lowerdir").is_some());
        if over && !mounts.iter().any(hides) {
            return;
        }
        mounts.extend(self.trust.files().map(|(target, content)| ExtraMount {
            target,
            source: MountSource::File { content: content.to_vec(), uid: 0, gid: 0, mode: 0o644 },
            read_only: true,
        }));
    }

    /// Takes every trace of it out of what the step wrote.
    pub(super) async fn scrub(self) -> Result<(), SolveError> {
        let Self { trust, upper, .. } = self;
        let Some(upper) = upper else { return Ok(()) };
        tokio::task::spawn_blocking(move || trust.scrub(&upper)).await??;
        Ok(())
    }
}
