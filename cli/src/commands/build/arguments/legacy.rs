//! Flags that `docker buildx build` takes and that do nothing here: of the builder that came before BuildKit, and of
//! daemons that this one does not have.

use clap::Args;

/// Flags that do nothing; not shown in the help.
#[derive(Debug, Args)]
pub(crate) struct LegacyArgs {
    #[arg(long, hide = true)]
    compress: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<bool>,
    #[arg(long, hide = true)]
    squash: bool,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    cgroup_parent: Option<String>,
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    #[arg(short, long, hide = true)]
    memory: Option<String>,
    #[arg(long, hide = true)]
    memory_swap: Option<String>,
    #[arg(short, long, hide = true)]
    cpu_shares: Option<String>,
    #[arg(long, hide = true)]
    cpu_period: Option<String>,
    #[arg(long, hide = true)]
    cpu_quota: Option<String>,
    #[arg(long, hide = true)]
    cpuset_cpus: Option<String>,
    #[arg(long, hide = true)]
    cpuset_mems: Option<String>,
}

impl LegacyArgs {
    /// What to say about those that were given: nothing where nothing is lost by them.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let limits = "a step has the limits of the worker; start it under those that you want";
        let given = [
            ("squash", self.squash, "gather the result in a last stage with COPY --from"),
            ("isolation", self.isolation.is_some(), "each step is in a user namespace of its own"),
            (
                "security-opt",
                !self.security_opt.is_empty(),
                "RUN --security=insecure with --allow security.insecure lifts the filter of one step",
            ),
            ("builder", self.builder.is_some(), "there is one builder, the worker of this user"),
            ("cgroup-parent", self.cgroup_parent.is_some(), limits),
            ("memory", self.memory.is_some(), limits),
            ("memory-swap", self.memory_swap.is_some(), limits),
            ("cpu-shares", self.cpu_shares.is_some(), limits),
            ("cpu-period", self.cpu_period.is_some(), limits),
            ("cpu-quota", self.cpu_quota.is_some(), limits),
            ("cpuset-cpus", self.cpuset_cpus.is_some(), limits),
            ("cpuset-mems", self.cpuset_mems.is_some(), limits),
        ];
        let given = given.into_iter().filter(|(_, given, _)| *given);
        given.map(|(flag, _, why)| format!("--{flag} has no effect: {why}")).collect()
    }
}
