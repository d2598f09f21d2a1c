//! What the command line says about all RUN steps at once, and what it permits to some.

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;

use crate::{
    executor::Ulimit,
    graph::{BuildGraph, NetworkMode, Op, RunOp, Security},
};

/// Settings of every RUN step. Like in BuildKit, they are part of each step's cache key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StepSettings {
    /// `--add-host`: more lines for `/etc/hosts`, as they were given.
    pub hosts: Vec<(String, HostAddress)>,
    /// `--shm-size`: the size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum HostAddress {
    /// This address.
    Address(IpAddr),
    /// `host-gateway`: the machine that builds, as the step's network shows it.
    Gateway,
}

impl StepSettings {
    /// The lines for a step whose network shows the building machine as `gateway`.
    pub(super) fn hosts(&self, gateway: IpAddr) -> Vec<(String, IpAddr)> {
        let line = |(name, address): &(String, HostAddress)| match address {
            HostAddress::Address(address) => (name.clone(), *address),
            HostAddress::Gateway => (name.clone(), gateway),
        };
        self.hosts.iter().map(line).collect()
    }
}

/// The name of the right to the host's network.
pub const NETWORK_HOST: &str = "network.host";
/// The name of the right to every capability.
pub const SECURITY_INSECURE: &str = "security.insecure";

/// `--allow`: what some steps may have that no step has by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entitlements {
    /// `network.host`: `RUN --network=host`.
    pub network_host: bool,
    /// `security.insecure`: `RUN --security=insecure`.
    pub security_insecure: bool,
}

/// What of it a step asks for, by name.
pub(super) fn entitlements(op: &RunOp) -> Vec<String> {
    let host = (op.network == NetworkMode::Host).then_some(NETWORK_HOST);
    let insecure = (op.security == Security::Insecure).then_some(SECURITY_INSECURE);
    host.into_iter().chain(insecure).map(str::to_owned).collect()
}

/// `--no-cache-filter`: stages whose steps all run, by name in any case.
#[derive(Debug, Clone, Default)]
pub struct FreshStages(pub Arc<[String]>);

impl FreshStages {
    pub(super) fn holds(&self, stage: &str) -> bool {
        self.0.iter().any(|name| name.eq_ignore_ascii_case(stage))
    }

    /// The names that no stage of the graph bears: mostly typing errors.
    pub fn unknown<'a>(&'a self, graph: &'a BuildGraph) -> impl Iterator<Item = &'a str> {
        let known = |name: &str| {
            let mut steps = graph.vertices.iter().filter(|vertex| vertex.op != Op::Scratch);
            steps.any(|vertex| vertex.origin.stage.eq_ignore_ascii_case(name))
        };
        self.0.iter().map(String::as_str).filter(move |name| !known(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_named_in_any_case() {
        let stages = FreshStages(Arc::new(["Build".to_owned()]));
        assert!(stages.holds("build") && !stages.holds("other"));
        assert!(!FreshStages::default().holds("build"));
    }

    #[test]
    fn the_gateway_is_the_steps_own() {
        let address = "192.0.2.1".parse().unwrap();
        let settings = StepSettings {
            hosts: vec![
                ("a".into(), HostAddress::Address("2001:db8::1".parse().unwrap())),
                ("b".into(), HostAddress::Gateway),
            ],
            ..StepSettings::default()
        };
        let lines = settings.hosts(address);
        assert_eq!(lines[0].1.to_string(), "2001:db8::1");
        assert_eq!(lines[1], ("b".into(), address));
    }
}
