//! `RUN --mount`: what a step gets mounted beside its root file system. Nothing of it is in the step's
//! layer; what of it enters the cache key is in [`MountKey`].

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

use super::{
    Solver, VertexResult,
    cache_mount::{CacheDir, CacheName},
    chain::{Active, Chains},
    error::SolveError,
    event::{Event, Wait},
    lent,
    taken::Taken,
};
use crate::{
    executor::{ExtraMount, MountSource},
    graph::{CopyFrom, Mount, MountKind, Origin, RunOp, Sharing},
    oci::digest::Digest,
    secret::Secret,
    snapshot::{self, OWNER_SHIFT},
    source::{
        context::SourceRoot,
        copy::{CopySpec, copy},
        error::SourceError,
        selection::Selection,
    },
};

/// What of a mount enters the key of its step: what the step can see, but for the content of caches, which
/// must not matter, and of secrets.
#[derive(Debug, Serialize)]
pub(super) struct MountKey<'a> {
    target: &'a str,
    read_only: bool,
    what: What<'a>,
}

#[derive(Debug, Serialize)]
enum What<'a> {
    Bind(Digest),
    Cache(&'a str),
    Tmpfs(Option<u64>),
    Secret(&'a str, Option<&'a str>, u32, (u32, u32)),
    Agent(&'a str, u32, (u32, u32)),
}

/// A mount with the result of the stage or image that it is made from.
type Sourced<'a> = (&'a Mount, Option<&'a VertexResult>);

/// The mounts in the order of their targets, so that one may lie in another. `inputs` are the step's, its
/// base first (see `Op::inputs`).
pub(super) fn sourced<'a>(placed: &'a [Mount], inputs: &'a [VertexResult]) -> Vec<Sourced<'a>> {
    let mut inputs = inputs.iter().skip(1);
    let mut mounts: Vec<Sourced<'a>> = Vec::with_capacity(placed.len());
    for mount in placed {
        let from = match &mount.kind {
            MountKind::Bind { from, .. } => from.vertex(),
            MountKind::Cache { from, .. } => from.as_ref().and_then(CopyFrom::vertex),
            _ => None,
        };
        mounts.push((mount, from.and_then(|_| inputs.next())));
    }
    mounts.sort_by(|a, b| a.0.target.cmp(&b.0.target));
    mounts
}

/// What the mounts add to the cache key.
pub(super) async fn keys<'a>(
    solver: &Solver,
    mounts: &[Sourced<'a>],
) -> Result<Vec<MountKey<'a>>, SolveError> {
    let mut keys = Vec::with_capacity(mounts.len());
    for (mount, from) in mounts {
        let what = match &mount.kind {
            MountKind::Bind { source, .. } => {
                let taken = from.map_or(Taken::Disk, Taken::Stage);
                What::Bind(taken.content(solver, &Arc::new(whole(source))).await?)
            }
            MountKind::Cache { id, .. } => What::Cache(id),
            MountKind::Tmpfs { size } => What::Tmpfs(*size),
            MountKind::Secret { id, env, mode, uid, gid, .. } => {
                What::Secret(id, env.as_deref(), *mode, (*uid, *gid))
            }
            MountKind::Ssh { id, mode, uid, gid, .. } => What::Agent(id, *mode, (*uid, *gid)),
        };
        keys.push(MountKey { target: &mount.target, read_only: mount.read_only, what });
    }
    Ok(keys)
}

/// Names the mounts that no step can get.
///
/// # Errors
/// [`SolveError::Forbidden`] for the first one.
pub(super) fn refuse_unsupported(op: &RunOp) -> Result<(), SolveError> {
    if op.mounts.iter().any(|mount| mount.target == "/proc" || mount.target.starts_with("/proc/")) {
        return Err(SolveError::Forbidden {
            what: "RUN --mount with a target in /proc",
            help: "choose a target elsewhere: /proc belongs to the kernel",
        });
    }
    Ok(())
}

/// The ids of the caches among the mounts.
pub(super) fn caches(op: &RunOp) -> Vec<String> {
    let ids = op.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Cache { id, .. } => Some(id.clone()),
        _ => None,
    });
    ids.collect()
}

/// The mounts of one step, ready for the executor.
#[derive(Debug, Default)]
pub(super) struct StepMounts {
    /// In the order in which they are made.
    pub(super) extra: Vec<ExtraMount>,
    /// Secrets that are environment variables.
    pub(super) env: Vec<(String, Secret)>,
    /// Names an SSH agent's socket.
    pub(super) variable: Option<(String, String)>,
    /// Snapshots that are given up after the step.
    active: Vec<Active>,
    /// Cache directories, locked until the step has ended.
    caches: BTreeMap<Digest, CacheDir>,
}

impl StepMounts {
    /// Copies, locks and looks up what `mounts` ask for. Call [`StepMounts::close`] after the step.
    ///
    /// # Errors
    /// When a source or a required secret is not there; nothing is kept then.
    pub(super) async fn ready(
        solver: &Solver,
        origin: &Origin,
        mounts: &[Sourced<'_>],
    ) -> Result<Self, SolveError> {
        if mounts.iter().any(|(mount, _)| matches!(mount.kind, MountKind::Cache { .. })) {
            solver.shared.restore().await;
        }
        let mut ready = Self::default();
        let mut prepared = ready.lock_caches(solver, origin, mounts).await;
        for (mount, from) in mounts {
            if prepared.is_ok() {
                prepared = ready.add(solver, mount, *from).await;
            }
        }
        match prepared {
            Ok(()) => Ok(ready),
            Err(error) => {
                ready.close(&solver.host.chains).await;
                Err(error)
            }
        }
    }

    /// Gives everything back. What was written to a bind mount is gone with it.
    pub(super) async fn close(self, chains: &Chains) {
        for active in self.active {
            chains.discard(active).await;
        }
    }

    /// Locks each cache once, all in one order, so that no two steps wait for each other.
    async fn lock_caches(
        &mut self,
        solver: &Solver,
        origin: &Origin,
        mounts: &[Sourced<'_>],
    ) -> Result<(), SolveError> {
        let mut wanted: BTreeMap<CacheName, Sharing> = BTreeMap::new();
        for (mount, from) in mounts {
            let MountKind::Cache { sharing, .. } = &mount.kind else { continue };
            let Some(name) = cache_name(mount, *from) else { continue };
            let strictest = wanted.entry(name).or_insert(*sharing);
            if *sharing != Sharing::Shared {
                *strictest = *sharing;
            }
        }
        for (name, sharing) in &wanted {
            let root = &solver.host.cache_mounts;
            let waited = AtomicBool::new(false);
            let busy = |id: &str| {
                waited.store(true, Ordering::Relaxed);
                solver.observer.event(Event::Waiting(origin, Wait::CacheMount(id)));
            };
            let taken = CacheDir::lock(root, name, *sharing, &solver.cancel, busy).await?;
            if waited.load(Ordering::Relaxed) {
                solver.observer.event(Event::Resumed(origin));
            }
            if *sharing != Sharing::Shared {
                solver.host.executor.end_orphans().await;
            }
            fill(solver, &taken, name).await?;
            self.caches.insert(Digest::of(&serde_json::to_vec(name)?), taken);
        }
        Ok(())
    }

    async fn add(
        &mut self,
        solver: &Solver,
        mount: &Mount,
        from: Option<&VertexResult>,
    ) -> Result<(), SolveError> {
        let source = match &mount.kind {
            MountKind::Bind { source, .. } => {
                self.bind(solver, mount.read_only, source, from).await?
            }
            MountKind::Cache { .. } => {
                let name = cache_name(mount, from).map(|name| serde_json::to_vec(&name));
                let name = name.transpose()?.unwrap_or_default();
                let taken = self.caches.get(&Digest::of(&name)).ok_or(SolveError::EmptyChain)?;
                // Mounted for the step first: its ids cannot walk the path to it.
                let bind = snapshot::Mount::bind(taken.path(), false);
                MountSource::Snapshot(vec![bind], "/".into())
            }
            MountKind::Tmpfs { size } => MountSource::Tmpfs { size: *size, mode: 0o1777 },
            MountKind::Secret { .. } => match self.secret(solver, mount)? {
                Some(source) => source,
                None => return Ok(()),
            },
            MountKind::Ssh { .. } => match lent::agent(solver, mount)? {
                Some(source) => source,
                None => return Ok(()),
            },
        };
        let (target, read_only) = (PathBuf::from(&mount.target), mount.read_only);
        self.extra.push(ExtraMount { target, source, read_only });
        Ok(())
    }

    /// A path of a stage or image, or a copy of a path of the context: its files belong to the step's
    /// root, and those that the ignore file hides are not there.
    async fn bind(
        &mut self,
        solver: &Solver,
        read_only: bool,
        source: &str,
        from: Option<&VertexResult>,
    ) -> Result<MountSource, SolveError> {
        let chains = &solver.host.chains;
        let Some(from) = from else {
            let active = chains.prepare(&[]).await?;
            let mounts = active.mounts.clone();
            self.active.push(active);
            let target = chains.mount(&mounts)?;
            let (context, source) = (solver.context.clone(), source.to_owned());
            tokio::task::spawn_blocking(move || {
                let dest = "/bind".into();
                let spec = CopySpec {
                    selection: whole(&source),
                    dest,
                    shift: OWNER_SHIFT,
                    ..CopySpec::default()
                };
                let root = context.root()?;
                let copied = copy(&root, &spec, target.path())?;
                match copied.unmatched.is_empty() {
                    true => Ok(()),
                    false => Err(SolveError::from(SourceError::NotFound {
                        pattern: source,
                        place: root.place().into(),
                    })),
                }
            })
            .await??;
            return Ok(MountSource::Snapshot(mounts, "bind".into()));
        };
        let view = chains.view(&from.layers).await?;
        let root = SourceRoot::stage(view.path(), OWNER_SHIFT, "the stage or image that it names")?;
        // The path that is mounted holds no links: the OCI runtime would follow them out of the stage.
        let within = root.locate(source)?;
        drop((root, view));
        match chains.lower(&from.layers).await? {
            Some(mounts) if read_only => Ok(MountSource::Snapshot(mounts, within)),
            _ => {
                let active = chains.prepare(&from.layers).await?;
                let mounts = active.mounts.clone();
                self.active.push(active);
                Ok(MountSource::Snapshot(mounts, within))
            }
        }
    }
}

/// Exactly this path and what is below it; wildcards in it mean themselves.
fn whole(source: &str) -> Selection {
    let mut literal = String::with_capacity(source.len());
    for c in source.chars() {
        match c {
            '*' | '?' | '[' => literal.extend(['[', c, ']']),
            c => literal.push(c),
        }
    }
    Selection { sources: vec![literal], ..Selection::default() }
}

fn cache_name(mount: &Mount, from: Option<&VertexResult>) -> Option<CacheName> {
    let MountKind::Cache { id, source, mode, uid, gid, .. } = &mount.kind else { return None };
    Some(CacheName {
        id: id.clone(),
        mode: mode.unwrap_or(0o755),
        uid: uid.unwrap_or(0),
        gid: gid.unwrap_or(0),
        seed: from.map(|from| (from.layers.clone(), source.clone())),
    })
}

/// Makes a cache directory that is not there yet.
async fn fill(solver: &Solver, taken: &CacheDir, name: &CacheName) -> Result<(), SolveError> {
    if taken.path().is_dir() {
        return Ok(());
    }
    let seed = match &name.seed {
        Some((layers, source)) => Some((solver.host.chains.view(layers).await?, source)),
        None => None,
    };
    taken.make(name, |fresh| {
        let Some((view, source)) = seed else { return Ok(()) };
        let place = "the stage it begins with";
        let root = SourceRoot::stage(view.path(), OWNER_SHIFT, place)?;
        let spec = CopySpec {
            selection: whole(source),
            dest: "/".into(),
            shift: OWNER_SHIFT,
            ..CopySpec::default()
        };
        copy(&root, &spec, fresh)?;
        Ok(())
    })
}
