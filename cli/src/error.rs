//! The one table from errors to exit codes and hints.

use std::{fmt, process::ExitCode};

/// What kind of failure it is; its number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The build or the check failed.
    Failed = 1,
    /// Wrong usage, or an unreadable Dockerfile or policy.
    Usage = 2,
    /// The environment is not fit.
    Environment = 3,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// An error as the user sees it: what happened, then each hint on a line `help: …`.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

impl CliError {
    /// The build or the check failed (exit code 1).
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), hints: Vec::new() }
    }

    /// Wrong usage (exit code 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::failed(message) }
    }

    /// The environment is not fit (exit code 3).
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self { kind: Kind::Environment, ..Self::failed(message) }
    }

    /// Interrupted (exit code 130).
    pub(crate) fn interrupted() -> Self {
        Self { kind: Kind::Interrupted, ..Self::failed("interrupted") }
    }

    /// Adds a line that says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The kind as a word, for machines.
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Environment => "environment",
            Kind::Interrupted => "interrupted",
        }
    }

    /// What happened, without the help lines.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\nhelp: {hint}"))
    }
}
