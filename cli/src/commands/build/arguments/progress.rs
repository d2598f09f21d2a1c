//! What is shown meanwhile.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    error::CliError,
    ui::{progress::Style, surroundings::Surroundings},
};

/// What is shown meanwhile.
#[derive(Debug, Args)]
#[command(next_help_heading = "Progress")]
pub(crate) struct ProgressArgs {
    /// How progress is shown [default: what BUILDKIT_PROGRESS says, else auto]
    #[arg(long = "progress", value_name = "STYLE", value_enum)]
    pub(crate) style: Option<ProgressStyle>,
    /// Print only the image's digest
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Write a trace of the build to this file, for chrome://tracing and Perfetto, see docs/trace.md
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

/// Styles of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// The best for where standard error goes
    Auto,
    /// Live, on a terminal
    Tty,
    /// One line per event
    Plain,
    /// One JSON object per event, see docs/progress.md
    #[value(name = "rawjson")]
    RawJson,
    /// Nothing but faults
    Quiet,
}

impl ProgressStyle {
    /// The style as the command line has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tty => "tty",
            Self::Plain => "plain",
            Self::RawJson => "rawjson",
            Self::Quiet => "quiet",
        }
    }
}

impl ProgressArgs {
    /// The style that is used.
    ///
    /// # Errors
    /// When the environment asks for an unknown one, or a terminal is asked for and there is none.
    pub(crate) fn chosen(&self, surroundings: &Surroundings) -> Result<Style, CliError> {
        match (self.quiet, self.style, &surroundings.progress) {
            (true, ..) => Ok(Style::Quiet),
            (_, Some(style), _) => Style::named(style.word(), surroundings),
            (_, None, Some(word)) => Style::named(word, surroundings).map_err(|error| {
                error.hint("the environment variable BUILDKIT_PROGRESS asks for it")
            }),
            (_, None, None) => Style::named("auto", surroundings),
        }
    }
}
