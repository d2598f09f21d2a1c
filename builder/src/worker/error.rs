//! Why the worker is not there.

use std::{io, path::PathBuf};

use super::{connection::ConnectionError, doctor::Finding};

/// Why the worker could not be started, entered, asked or stopped. All of these are faults of the
/// environment, not of the Dockerfile.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Something that the worker needs is missing; every finding carries its repair.
    #[error("this machine cannot run a rootless worker yet\n{}", listed(.0))]
    Unfit(Vec<Finding>),
    /// A directory exists, but someone else could have put it there.
    #[error(
        "'{}' {fault}, so its content cannot be trusted\nhelp: remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        path.display()
    )]
    UnsafeDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, for example "belongs to uid 33".
        fault: String,
    },
    /// rootlesskit or containerd ended, or did not answer in time.
    #[error("the worker did not start: {reason}\nhelp: its log is {}{}", log.display(), tail(.last_lines))]
    NotStarted {
        /// What was observed.
        reason: String,
        /// The log file of rootlesskit and containerd.
        log: PathBuf,
        /// The last lines of that log.
        last_lines: String,
    },
    /// The containerd given by the user cannot be used.
    #[error("the containerd at '{}' cannot be used: {reason}\nhelp: {help}", address.display())]
    Foreign {
        /// The socket.
        address: PathBuf,
        /// Why not.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// The namespaces of the worker could not be joined.
    #[error(
        "cannot enter the worker's namespaces ({step}): {source}\nhelp: run `touchmark worker stop` and build again"
    )]
    Enter {
        /// The system call's purpose.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Processes are still alive after they were killed.
    #[error(
        "the worker's processes {0:?} do not end\nhelp: look at them with `ps -o pid,stat,wchan,cmd`"
    )]
    StillRunning(Vec<u32>),
    /// A file or directory of the worker.
    #[error("cannot {doing} '{}': {source}", path.display())]
    File {
        /// The verb, for example "create".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// containerd refused or went away.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl WorkerError {
    /// A closure for `map_err` that names the file.
    pub(super) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

fn listed(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn tail(last_lines: &str) -> String {
    if last_lines.is_empty() { String::new() } else { format!(", which ends with:\n{last_lines}") }
}
