//! What a mount lends to a step for as long as it runs: a secret, an SSH agent. Nothing of either is kept.

use super::{Solver, error::SolveError, mounts::StepMounts};
use crate::{
    executor::MountSource,
    graph::{Mount, MountKind, RunOp},
    secret::Secret,
};

/// The variable that names an agent's socket.
const SOCKET: &str = "SSH_AUTH_SOCK";

impl StepMounts {
    /// A file, unless the secret is only an environment variable; none where an optional one was not given.
    pub(super) fn secret(
        &mut self,
        solver: &Solver,
        mount: &Mount,
    ) -> Result<Option<MountSource>, SolveError> {
        let MountKind::Secret { id, env, required, mode, uid, gid } = &mount.kind else {
            return Ok(None);
        };
        if solver.options.network.logins().any(|login| login.secret == *id) {
            return Err(SolveError::SecretOfMirror(id.clone()));
        }
        let Some(secret) = solver.options.secrets.get(id) else {
            return match required {
                true => Err(SolveError::NoSecret(id.clone())),
                false => Ok(None),
            };
        };
        if let Some(name) = env {
            let text = std::str::from_utf8(secret.expose_secret());
            let text = text.map_err(|_| SolveError::SecretNotText(id.clone()))?;
            self.env.push((name.clone(), Secret::new(text)));
        }
        Ok((!mount.target.is_empty()).then(|| MountSource::File {
            content: secret.expose_secret().to_vec(),
            uid: *uid,
            gid: *gid,
            mode: *mode,
        }))
    }
}

/// The socket of an agent; none where an optional one was not given.
pub(super) fn agent(solver: &Solver, mount: &Mount) -> Result<Option<MountSource>, SolveError> {
    let MountKind::Ssh { id, required, mode, uid, gid } = &mount.kind else { return Ok(None) };
    match solver.options.agents.get(id) {
        Some(agent) => {
            let (agent, uid, gid, mode) = (agent.clone(), *uid, *gid, *mode);
            Ok(Some(MountSource::Agent { agent, uid, gid, mode }))
        }
        None if *required => Err(SolveError::NoAgent(id.clone())),
        None => Ok(None),
    }
}

/// The mounts of a step, each at its place: an agent's socket without one gets its number among them.
pub(super) fn placed(op: &RunOp) -> Vec<Mount> {
    let mut number = 0;
    let place = |mount: &Mount| {
        let mut mount = mount.clone();
        if matches!(mount.kind, MountKind::Ssh { .. }) {
            if mount.target.is_empty() {
                mount.target = format!("/run/buildkit/ssh_agent.{number}");
            }
            number += 1;
        }
        mount
    };
    op.mounts.iter().map(place).collect()
}

/// The variable for the first agent's socket. As in BuildKit it is set also where no agent was given, and
/// not where the image sets it.
pub(super) fn variable(op: &RunOp, placed: &[Mount]) -> Option<(String, String)> {
    let first = placed.iter().find(|mount| matches!(mount.kind, MountKind::Ssh { .. }))?;
    let set = op.env.iter().any(|(name, _)| name == SOCKET);
    (!set).then(|| (SOCKET.to_owned(), first.target.clone()))
}
