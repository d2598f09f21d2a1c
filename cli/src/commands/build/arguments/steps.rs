//! How the steps are run.

use clap::{Args, ValueEnum};

/// How the steps are run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Steps")]
pub(crate) struct StepArgs {
    /// Secret for `RUN --mount=type=secret`: `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`
    #[arg(long, value_name = "SPEC")]
    pub(crate) secret: Vec<String>,
    /// What RUN steps may reach: the policy's mirrors, or nothing
    #[arg(long, value_name = "MODE", value_enum, default_value_t = NetworkArg::Mirrors)]
    pub(crate) network: NetworkArg,
    /// Run every step even where its result is known
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Steps that may run at the same time [default: one per processor]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) jobs: Option<usize>,
}

/// What the network of RUN steps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// The mirrors that the policy allows
    Mirrors,
    /// Nothing
    None,
}
