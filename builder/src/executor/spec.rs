//! The OCI runtime configuration of a step (OCI runtime-spec, config.md and config-linux.md).

use std::{collections::HashMap, path::Path};

use oci_spec::runtime::{
    Capabilities, Linux, LinuxCapabilities, LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace,
    LinuxNamespaceType, Mount, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, Root,
    Spec, User,
};

use super::{
    ExecError, ExecRequest, StepNetns, Ulimit, mounts,
    rights::{CAPABILITIES, EVERY_CAPABILITY, MASKED, READ_ONLY},
    seccomp,
};
use crate::snapshot::OWNER_SHIFT;

/// How many ids a step has: 0..=65535.
const STEP_IDS: u32 = 65536;

/// Where programs are looked for when the image says nothing.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The annotation by which crun takes a filter of system calls as it is.
const FILTER: &str = "run.oci.seccomp_bpf_data";

/// The configuration for `request`; `extra` are the mounts after the standard ones, `filter` is the default
/// filter of system calls as crun made it once (base64).
///
/// There is no cgroup path and no resource limit in it: without a delegated cgroup the OCI runtime would
/// refuse both.
///
/// # Errors
/// [`ExecError::Request`] when the request names an unknown limit, no program, or a relative directory.
pub fn spec(
    request: &ExecRequest,
    extra: Vec<Mount>,
    filter: Option<&str>,
) -> Result<Spec, ExecError> {
    let mut all = mounts::standard(request);
    all.extend(extra);
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(false));
    let mut spec = Spec::default();
    spec.set_version("1.0.2".to_owned())
        .set_process(Some(process(request)?))
        .set_root(Some(root))
        .set_hostname(Some(request.hostname.clone()))
        .set_mounts(Some(all))
        .set_annotations(filter.filter(|_| !request.insecure).map(annotation))
        .set_linux(Some(linux(request, filter.is_some())?));
    Ok(spec)
}

fn process(request: &ExecRequest) -> Result<Process, ExecError> {
    if request.args.is_empty() {
        return Err(ExecError::Request("the step names no program".to_owned()));
    }
    if !request.cwd.is_absolute() {
        let cwd = request.cwd.display();
        return Err(ExecError::Request(format!("the working directory '{cwd}' is not absolute")));
    }
    let env = environment(request);
    let rlimits: Vec<_> = request.ulimits.iter().map(rlimit).collect::<Result<_, _>>()?;
    let mut process = Process::default();
    process
        .set_terminal(Some(false))
        .set_user(user(request))
        .set_args(Some(request.args.clone()))
        .set_env(Some(env))
        .set_cwd(request.cwd.clone())
        .set_capabilities(Some(capabilities(request.insecure)))
        // Setuid programs such as sudo must work in a build; what they gain is root of the step.
        .set_no_new_privileges(Some(false))
        .set_rlimits((!rlimits.is_empty()).then_some(rlimits));
    Ok(process)
}

/// The environment; a secret stands before a plain variable of its name.
fn environment(request: &ExecRequest) -> Vec<String> {
    let secret = |name: &str| request.secret_env.iter().any(|(known, _)| known == name);
    let plain = request.env.iter().filter(|(name, _)| !secret(name));
    let plain = plain.map(|(name, value)| format!("{name}={value}"));
    let secrets = request.secret_env.iter();
    let secrets = secrets.map(|(name, value)| format!("{name}={}", value.expose_secret()));
    let mut env: Vec<_> = plain.chain(secrets).collect();
    if !env.iter().any(|pair| pair.starts_with("PATH=")) {
        env.push(format!("PATH={DEFAULT_PATH}"));
    }
    env
}

/// As in BuildKit, the group stands among the further groups too.
fn user(request: &ExecRequest) -> User {
    let mut groups = vec![request.user.gid];
    groups.extend(request.user.groups.iter().filter(|group| **group != request.user.gid));
    let mut user = User::default();
    user.set_uid(request.user.uid).set_gid(request.user.gid).set_additional_gids(Some(groups));
    user
}

/// No inheritable and no ambient ones: a program that is not root gains none by being run.
fn capabilities(insecure: bool) -> LinuxCapabilities {
    let all: Capabilities = match insecure {
        true => EVERY_CAPABILITY.into_iter().collect(),
        false => CAPABILITIES.into_iter().collect(),
    };
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(all.clone()))
        .set_effective(Some(all.clone()))
        .set_permitted(Some(all))
        .set_inheritable(None)
        .set_ambient(None);
    capabilities
}

fn rlimit(ulimit: &Ulimit) -> Result<PosixRlimit, ExecError> {
    let kind: PosixRlimitType = format!("RLIMIT_{}", ulimit.name.to_ascii_uppercase())
        .parse()
        .map_err(|_| ExecError::Request(format!("'{}' is not a resource limit", ulimit.name)))?;
    let limits = PosixRlimitBuilder::default().typ(kind).soft(ulimit.soft).hard(ulimit.hard);
    Ok(limits.build()?)
}

fn annotation(filter: &str) -> HashMap<String, String> {
    HashMap::from([(FILTER.to_owned(), filter.to_owned())])
}

fn linux(request: &ExecRequest, filtered: bool) -> Result<Linux, ExecError> {
    let seccomp = match (request.insecure, filtered) {
        (true, _) => None,
        // Should the annotation ever be passed over, nothing at all runs.
        (false, true) => Some(seccomp::nothing()),
        (false, false) => Some(seccomp::default_profile(std::env::consts::ARCH)?),
    };
    let (masked, read_only): (&[&str], &[&str]) =
        if request.insecure { (&[], &[]) } else { (&MASKED, &READ_ONLY) };
    let strings = |list: &[&str]| Some(list.iter().map(ToString::to_string).collect());
    let mut linux = Linux::default();
    linux
        .set_uid_mappings(Some(vec![mapping()?]))
        .set_gid_mappings(Some(vec![mapping()?]))
        .set_namespaces(Some(namespaces(request)))
        .set_resources(None)
        .set_cgroups_path(None)
        .set_sysctl(sysctl(request))
        .set_masked_paths(strings(masked))
        .set_readonly_paths(strings(read_only))
        .set_seccomp(seccomp);
    Ok(linux)
}

/// The step's 0 is the worker's 1, which is the first subordinate id: never the invoking user, who is the
/// worker's 0.
fn mapping() -> Result<LinuxIdMapping, ExecError> {
    let ids = LinuxIdMappingBuilder::default().container_id(0_u32);
    Ok(ids.host_id(OWNER_SHIFT).size(STEP_IDS).build()?)
}

fn namespaces(request: &ExecRequest) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType as Type;
    let mut kinds = vec![Type::User, Type::Mount, Type::Pid, Type::Ipc, Type::Uts];
    // Without one of its own, the step is in the worker's, which is the host's.
    if request.network != StepNetns::Host {
        kinds.push(Type::Network);
    }
    if mounts::has("/proc/self/ns/cgroup") {
        kinds.push(Type::Cgroup);
    }
    let namespace = |kind| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        if let (Type::Network, StepNetns::Path(path)) = (kind, &request.network) {
            namespace.set_path(Some(path.clone()));
        }
        namespace
    };
    kinds.into_iter().map(namespace).collect()
}

/// As in a Docker container: every group may ping, every port may be bound. In a network namespace that is
/// there already, whoever made it sets these: it does not belong to the step's user namespace.
fn sysctl(request: &ExecRequest) -> Option<HashMap<String, String>> {
    let settings =
        [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 65535")];
    let there = |name: &str| Path::new("/proc/sys").join(name.replace('.', "/")).exists();
    let fresh = request.network == StepNetns::None;
    let own = settings.into_iter().filter(|(name, _)| fresh && there(name));
    let map: HashMap<_, _> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests;
