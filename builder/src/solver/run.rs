//! RUN: a process on top of the parent's layers, with its own namespaces and the egress network.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use serde::Serialize;
use tokio::task::JoinHandle;

use super::{
    Solver, VertexResult,
    chain::{Active, Commit},
    error::SolveError,
    event::{Event, Fetched},
    key::key,
    lent,
    mounts::{self, MountKey, StepMounts},
    output::StepOutput,
    record::parent,
    settings::{Entitlements, StepSettings, entitlements},
    step_result::StepResult,
    trusted::Trusted,
};
use crate::{
    content::room,
    downloads::Breaches,
    egress::{RequestRecord, StepNetwork, StepOrigin, StepTraffic},
    executor::{ExecRequest, ExtraMount, MountSource, ResolvedUser, StepNetns},
    graph::{InlineFile, NetworkMode, Op, Origin, RunOp, Security, Vertex},
    integrity::{Examined, IntegrityError, Keyrings},
    oci::digest::Digest,
    source::passwd,
};

/// What of a RUN enters its cache key; see the table in [`super::key`].
#[derive(Serialize)]
struct RunKey<'a> {
    args: &'a [String],
    env: &'a [(String, String)],
    cwd: &'a str,
    user: &'a str,
    network: &'static str,
    insecure: bool,
    settings: &'a StepSettings,
    files: Vec<(&'a str, Digest)>,
    mounts: Vec<MountKey<'a>>,
    platform: String,
}

pub(super) async fn solve(
    solver: &Solver,
    op: &RunOp,
    origin: &Origin,
    inputs: &[VertexResult],
    exported: bool,
) -> Result<VertexResult, SolveError> {
    let parent = parent(inputs)?;
    let placed = lent::placed(op);
    let mounts = mounts::sourced(&placed, inputs);
    let epoch = solver.options.epoch;
    let key_inputs = RunKey {
        args: &op.args,
        env: &op.env,
        cwd: &op.cwd,
        user: &op.user,
        network: network_name(op.network),
        insecure: op.security == Security::Insecure,
        settings: &solver.options.settings,
        files: op
            .files
            .iter()
            .map(|file| (&*file.name, Digest::of(file.contents.as_bytes())))
            .collect(),
        mounts: mounts::keys(solver, &mounts).await?,
        platform: op.platform.to_string(),
    };
    solver.ingredients(&key_inputs);
    let key = key("run", &parent.layers, epoch, &key_inputs)?;
    if let Some(hit) = solver.cached(&key, &parent.layers).await? {
        return Ok(hit);
    }
    solver.host.sweep.done().await?;
    solver.begin(origin);
    let mut mounted = StepMounts::ready(solver, origin, &mounts).await?;
    mounted.variable = lent::variable(op, &placed);
    let active = solver.host.chains.prepare(&parent.layers).await?;
    let ran = execute(solver, op, origin, &active, &mut mounted).await;
    mounted.close(&solver.host.chains).await;
    let (traffic, keyrings) = match ran {
        Ok(ran) => ran,
        Err(error) => {
            solver.host.chains.discard(active).await;
            return Err(error);
        }
    };
    let want = Commit { epoch, export: exported, copied: false };
    // Beside the making of the layer.
    let examined = examined(solver, traffic.requests, keyrings, parent);
    let layer = solver.host.chains.commit(active, &parent.layers, want, &solver.at).await?;
    let found = StepResult {
        layer: Some(layer),
        requests: examined.await??,
        caches: mounts::caches(op),
        entitlements: entitlements(op),
    };
    solver.concluded(&key, found, parent)
}

/// What the step fetched, with who vouches for it.
fn examined(
    solver: &Solver,
    mut requests: Vec<RequestRecord>,
    keyrings: Keyrings,
    parent: &VertexResult,
) -> JoinHandle<Result<Vec<RequestRecord>, IntegrityError>> {
    let (content, read) = (solver.host.content.clone(), solver.read.clone());
    let below = parent.indexes.clone();
    tokio::task::spawn_blocking(move || {
        let with = Examined { content: &content, keyrings: &keyrings, below: &below, read: &read };
        with.examine(&mut requests)?;
        Ok(requests)
    })
}

/// How many of these are steps with a network of their own.
pub(super) fn networked(vertices: &[Vertex]) -> usize {
    let own = |op: &Op| matches!(op, Op::Run(op) if op.network == NetworkMode::Default);
    vertices.iter().filter(|vertex| own(&vertex.op)).count()
}

/// Names what this build's steps may not do, and what no step can.
pub(super) fn refuse(op: &RunOp, allow: Entitlements) -> Result<(), SolveError> {
    if op.network == NetworkMode::Host && !allow.network_host {
        return Err(SolveError::Forbidden {
            what: "RUN --network=host",
            help: "leave the flag out and allow what the step fetches in the policy: [network] allow = […]; \
                   or give up the record of what it fetches: --allow network.host",
        });
    }
    if op.security == Security::Insecure && !allow.security_insecure {
        return Err(SolveError::Forbidden {
            what: "RUN --security=insecure",
            help: "leave the flag out, or trust this step with every right inside its own namespaces: \
                   --allow security.insecure",
        });
    }
    if !op.devices.is_empty() {
        return Err(SolveError::Forbidden {
            what: "RUN --device",
            help: "leave the flag out: a rootless worker has no right to the host's devices",
        });
    }
    mounts::refuse_unsupported(op)
}

/// Runs the process and gives what it fetched, and the keys that it found where it began.
async fn execute(
    solver: &Solver,
    op: &RunOp,
    origin: &Origin,
    active: &Active,
    mounted: &mut StepMounts,
) -> Result<(StepTraffic, Keyrings), SolveError> {
    let host = &solver.host;
    let network = open_network(solver, op, origin).await?;
    let trusted = match network.as_ref().filter(|network| network.inspects()) {
        Some(network) => Some(Trusted::prepare(solver, network, active, &op.env).await?),
        None => None,
    };
    let rootfs = trusted
        .as_ref()
        .map_or_else(|| active.mounts.clone(), |trusted| trusted.mounts(&active.mounts));
    let root = host.executor.mount(&active.key, &rootfs)?;
    let user = passwd::resolve_user(root.path(), &op.user)?;
    let keyrings = network.as_ref().map(|_| Keyrings::read(root.path())).unwrap_or_default();
    let settings = &solver.options.settings;
    let mut request = ExecRequest {
        args: op.args.clone(),
        env: environment(op, mounted.variable.take(), user.home),
        secret_env: std::mem::take(&mut mounted.env),
        cwd: op.cwd.clone().into(),
        user: ResolvedUser { uid: user.uid, gid: user.gid, groups: user.groups },
        hostname: "buildkitsandbox".into(),
        network: match &network {
            Some(network) => StepNetns::Path(network.netns_path()),
            None if op.network == NetworkMode::Host => StepNetns::Host,
            None => StepNetns::None,
        },
        insecure: op.security == Security::Insecure,
        resolv_conf: Some(match &network {
            Some(network) => network.resolv_conf(),
            None if op.network == NetworkMode::Host => hosts_resolver(),
            // Without a network there is no resolver either; the file is there all the same.
            None => String::new(),
        }),
        hosts: settings.hosts(match &network {
            Some(network) => network.gateway().into(),
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }),
        mounts: op.files.iter().map(script).chain(mounted.extra.drain(..)).collect(),
        ulimits: settings.ulimits.clone(),
        shm_size: settings.shm_size,
    };
    if let Some(trusted) = &trusted {
        trusted.equip(&mut request.env, &mut request.mounts, &rootfs);
    }
    let sink = StepOutput::new(solver, origin);
    // What is collected meanwhile makes room, too late for the step.
    let full = full_disk(solver);
    let ended = host.executor.run(root, &request, &sink, &solver.cancel).await;
    sink.finish();
    let traffic = match network {
        Some(network) => network.finish().await,
        None => StepTraffic::default(),
    };
    tell(solver, origin, &traffic);
    held(solver, &traffic)?;
    let code = ended?;
    if code.is_success() {
        if let Some(trusted) = trusted {
            trusted.scrub().await?;
        }
        return Ok((traffic, keyrings));
    }
    // Asked before what the step wrote is thrown away.
    let full = full.or_else(|| full_disk(solver));
    Err(SolveError::Exit { code: code.0, refusals: traffic.refusals, full })
}

/// A network of its own, for a step that has one.
async fn open_network(
    solver: &Solver,
    op: &RunOp,
    origin: &Origin,
) -> Result<Option<StepNetwork>, SolveError> {
    match op.network {
        NetworkMode::None | NetworkMode::Host => Ok(None),
        NetworkMode::Default => {
            let asked = StepOrigin {
                line: u32::try_from(origin.span.first_line).unwrap_or(u32::MAX),
                text: origin.text.clone(),
                stage: origin.stage.clone(),
            };
            Ok(Some(solver.host.egress.open_step(asked).await?))
        }
    }
}

/// Tells what the step fetched and what was refused.
fn tell(solver: &Solver, origin: &Origin, traffic: &StepTraffic) {
    if !traffic.requests.is_empty() {
        let bytes = traffic.requests.iter().map(|request| request.size).sum();
        let fetched = Fetched { requests: traffic.requests.len(), bytes };
        solver.observer.event(Event::Fetched(origin, fetched));
    }
    for refusal in &traffic.refusals {
        solver.observer.event(Event::Refused(origin, refusal));
    }
}

/// What the step fetched, held to what the build is held to.
fn held(solver: &Solver, traffic: &StepTraffic) -> Result<(), SolveError> {
    let mut breaches = traffic.breaches.clone();
    let terms = &solver.options.terms;
    let held = traffic.requests.iter().filter_map(|request| request.held_to(terms).err());
    // What was refused was also recorded as broken off, which says less.
    if breaches.is_empty() {
        breaches.extend(held);
    }
    if !breaches.is_empty() && !solver.cancel.is_cancelled() {
        breaches.sort();
        breaches.dedup();
        return Err(Breaches(breaches).into());
    }
    Ok(())
}

/// Where the steps' files lie, if the disk is full now.
fn full_disk(solver: &Solver) -> Option<PathBuf> {
    let data = solver.host.cache_mounts.parent()?;
    room::is_full(data).then(|| data.to_owned())
}

/// The environment of the process: proxy arguments are seen by the step, though they are no part of its
/// result. OCI runtimes differ in what HOME they give a user that no list names.
fn environment(op: &RunOp, agent: Option<(String, String)>, home: String) -> Vec<(String, String)> {
    let mut env = op.env.clone();
    env.extend(agent);
    let home = ("HOME".to_owned(), home);
    for (name, value) in op.proxy.iter().chain([&home]) {
        if !env.iter().any(|(known, _)| known == name) {
            env.push((name.clone(), value.clone()));
        }
    }
    env
}

/// The name of a network mode in cache keys.
fn network_name(mode: NetworkMode) -> &'static str {
    match mode {
        NetworkMode::Default => "mirrors",
        NetworkMode::None => "none",
        NetworkMode::Host => "host",
    }
}

/// Where the host looks names up, for a step in its network.
fn hosts_resolver() -> String {
    std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
}

/// A heredoc that is a script of its own.
fn script(file: &InlineFile) -> ExtraMount {
    ExtraMount {
        target: format!("/dev/pipes/{}", file.name).into(),
        source: MountSource::File {
            content: file.contents.clone().into_bytes(),
            uid: 0,
            gid: 0,
            mode: file.mode,
        },
        read_only: true,
    }
}
