//! What is shown meanwhile.

use clap::{Args, ValueEnum};

/// What is shown meanwhile.
#[derive(Debug, Args)]
#[command(next_help_heading = "Progress")]
pub(crate) struct ProgressArgs {
    /// How progress is shown
    #[arg(long = "progress", value_name = "STYLE", value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) style: ProgressStyle,
    /// Print only the image's digest
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Styles of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// The best for where standard error goes
    Auto,
    /// One line per event
    Plain,
    /// Nothing but faults
    Quiet,
}
