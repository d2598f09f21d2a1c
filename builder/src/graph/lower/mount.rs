//! The mounts of RUN.

use super::{
    Lowering, path,
    stage::{StageState, Step},
};
use crate::{
    dockerfile::{
        Diagnostic,
        mount::{MountOptions, MountType},
        run::{Run, RunMount},
    },
    graph::operation::{CopyFrom, Mount, MountKind},
};

impl Lowering<'_, '_> {
    /// All mounts; a fault in one gives `None`.
    pub(super) fn mounts(
        &mut self,
        state: &StageState,
        step: &Step<'_>,
        run: &Run,
    ) -> Option<Vec<Mount>> {
        let mounts: Vec<_> =
            run.mounts.iter().map(|mount| self.mount(state, step, mount)).collect();
        mounts.into_iter().collect()
    }

    fn mount(&mut self, state: &StageState, step: &Step<'_>, written: &RunMount) -> Option<Mount> {
        let span = written.written.span;
        let expander = self.expander();
        let expand = |text: &str| Ok(expander.expand(text, &state.env)?.text);
        let options = match MountOptions::parse(&written.written.text, &expand) {
            Ok(options) => options,
            Err(error) => {
                self.faults.push(Diagnostic::new(span, error.to_string()).help(error.help()));
                return None;
            }
        };
        let target = options.target.clone().unwrap_or_default();
        let placed = matches!(options.kind, MountType::Bind | MountType::Cache | MountType::Tmpfs);
        let target = match options.kind {
            MountType::Secret if target.is_empty() && options.env.is_none() => {
                let id = secret_id(&options);
                format!("/run/secrets/{}", id.rsplit('/').next().unwrap_or(&id))
            }
            MountType::Secret | MountType::Ssh if target.is_empty() => String::new(),
            _ => path::clean(state.cwd(), &target),
        };
        if placed && target == "/" {
            let message = match options.target.as_deref() {
                None | Some("") => {
                    "--mount: 'target' is missing, and the working directory is the root"
                }
                Some(_) => "--mount: nothing can be mounted over the root",
            };
            self.faults.push(Diagnostic::new(span, message).help("write target=/some/directory"));
            return None;
        }
        let named = options.from.as_deref().filter(|from| !from.is_empty());
        let from = match (options.kind, named) {
            (MountType::Bind, named) => Some(self.copy_from(named, span, &step.stage)?),
            (MountType::Cache, Some(named)) if named != "scratch" => {
                Some(self.copy_from(Some(named), span, &step.stage)?)
            }
            _ => None,
        };
        let read_only = options.read_only;
        Some(Mount { kind: kind(options, from, &target), target, read_only })
    }
}

fn secret_id(options: &MountOptions) -> String {
    let named = options.source.as_ref().or(options.id.as_ref()).filter(|id| !id.is_empty());
    named.cloned().unwrap_or_else(|| {
        let target = options.target.as_deref().unwrap_or_default();
        target.rsplit('/').next().unwrap_or_default().to_owned()
    })
}

/// What is mounted; `target` is where, absolute.
fn kind(options: MountOptions, from: Option<CopyFrom>, target: &str) -> MountKind {
    let source = path::clean("/", options.source.as_deref().unwrap_or_default());
    let (uid, gid) = (options.uid.unwrap_or(0), options.gid.unwrap_or(0));
    match options.kind {
        MountType::Bind => MountKind::Bind { from: from.unwrap_or(CopyFrom::Context), source },
        MountType::Cache => {
            // Without an id the cache is named after its target as it is written.
            let written = options.target.as_deref().unwrap_or_default();
            let id = match (&options.id, written) {
                (Some(id), _) if !id.is_empty() => id.clone(),
                (_, written) if written.starts_with('/') => target.to_owned(),
                (_, written) => path::clean("/", written)[1..].to_owned(),
            };
            MountKind::Cache {
                id,
                sharing: options.sharing,
                from,
                source,
                mode: options.mode,
                uid: options.uid,
                gid: options.gid,
            }
        }
        MountType::Tmpfs => MountKind::Tmpfs { size: options.size.filter(|size| *size > 0) },
        MountType::Secret => MountKind::Secret {
            id: secret_id(&options),
            mode: options.mode.unwrap_or(0o400),
            env: options.env,
            required: options.required,
            uid,
            gid,
        },
        MountType::Ssh => MountKind::Ssh {
            id: options.id.filter(|id| !id.is_empty()).unwrap_or_else(|| "default".into()),
            required: options.required,
            mode: options.mode.unwrap_or(0o600),
            uid,
            gid,
        },
    }
}
