//! How the steps are run.

use clap::{Args, ValueEnum};

/// How the steps are run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Steps")]
pub(crate) struct StepArgs {
    /// Name for `/etc/hosts` of RUN steps; the address `host-gateway` is the building machine
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub(crate) add_host: Vec<String>,
    /// Right for the steps that ask for it: `network.host` or `security.insecure`
    #[arg(long, value_name = "RIGHT")]
    pub(crate) allow: Vec<String>,
    /// What RUN steps may reach: the policy's mirrors, nothing, or all that this machine reaches
    #[arg(long, value_name = "MODE", value_enum, default_value_t = NetworkArg::Mirrors)]
    pub(crate) network: NetworkArg,
    /// Run every step even where its result is known
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Run every step of these stages even where its result is known
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Secret for `RUN --mount=type=secret`: `id=NAME,src=FILE`, `id=NAME,env=VARIABLE`, or `id=NAME`
    /// for the variable or file of that name
    #[arg(long, value_name = "SPEC")]
    pub(crate) secret: Vec<String>,
    /// Size of `/dev/shm` in RUN steps [default: 64m]
    #[arg(long, value_name = "BYTES")]
    pub(crate) shm_size: Option<String>,
    /// SSH agent or keys for `RUN --mount=type=ssh`: `default` or a name, `=SOCKET` or `=KEY[,KEY…]`
    #[arg(long, value_name = "SPEC")]
    pub(crate) ssh: Vec<String>,
    /// Resource limit of RUN steps: `NAME=SOFT[:HARD]`
    #[arg(long, value_name = "LIMIT")]
    pub(crate) ulimit: Vec<String>,
    /// Steps that may run at the same time [default: one per processor]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) jobs: Option<usize>,
}

/// What the network of RUN steps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// The mirrors that the policy allows
    #[value(alias = "default")]
    Mirrors,
    /// Nothing
    None,
    /// This machine's own network, unrecorded
    Host,
}
