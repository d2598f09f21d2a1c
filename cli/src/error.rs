//! The one table from errors to exit codes and hints.

use std::{fmt, path::Path, process::ExitCode};

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

/// What is said of a disk on which a step ran and that is full.
pub(crate) const NO_ROOM: &str = "no room left";

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

    /// Where the message says that a disk is full: a failed build, and what to do about it instead of what the
    /// message guesses. A message that names no place is about `data`.
    pub(crate) fn with_room(self, data: Option<&Path>) -> Self {
        // Of the system, of containerd, of git and their like: most hand it on as text only.
        let text = self.message.to_ascii_lowercase();
        let full = [NO_ROOM, "no space left on device", "no storage space", "quota exceeded"];
        if !full.iter().any(|words| text.contains(words)) {
            return self;
        }
        let guess = |line: &&str| !(line.starts_with("help: ") && line.contains("free space"));
        let message = self.message.lines().filter(guess).collect::<Vec<_>>().join("\n");
        let named = self.message.starts_with('/')
            || [" /", "\"/", "'/"].iter().any(|begin| self.message.contains(begin));
        let disk = match data {
            Some(data) if !named => format!("the disk of {}", data.display()),
            _ => "that disk".into(),
        };
        let help = format!(
            "make room on {disk}, for example with 'touchmark cache prune', and build again"
        );
        Self { kind: Kind::Failed, message, ..self }.hint(help)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_a_failed_build_with_one_help() {
        let told = "cannot write /a: No space left on device (os error 28)\nhelp: check the free space and your rights";
        let error = CliError::environment(told).with_room(None);
        assert_eq!(error.kind(), "failed");
        assert_eq!(
            error.to_string(),
            "cannot write /a: No space left on device (os error 28)\n\
             help: make room on that disk, for example with 'touchmark cache prune', and build again"
        );
        let other = CliError::environment("cannot write /a: denied\nhelp: check the free space")
            .with_room(None);
        assert_eq!(other.kind(), "environment");
        assert!(other.to_string().contains("free space"));
        let placeless =
            CliError::failed("no space left on device").with_room(Some("/data".as_ref()));
        assert!(placeless.to_string().contains("make room on the disk of /data, "));
    }
}
