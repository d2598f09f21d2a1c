//! The OCI runtime that runs the steps, and how it is called. It is called directly, on containerd's
//! snapshots: a containerd task costs more than all the rest of a step (docs/decisions/0024).

use std::{ffi::OsStr, os::unix::process::CommandExt, path::PathBuf, process::Command};

use serde::{Deserialize, Serialize};

use super::step_dir::StepDir;

/// Where a runtime writes what keeps it from starting a container, below the step's directory.
const LOG: &str = "log";

/// Where it keeps the container's state, below the step's directory.
const STATE: &str = "state";

/// A runtime that was tried on this worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Runtime {
    pub(super) program: PathBuf,
    pub(super) kind: RuntimeKind,
}

/// Which of the two it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RuntimeKind {
    /// crun, with the filter of system calls as the kernel takes it (base64), which it would otherwise make
    /// anew for each step.
    Crun {
        /// The filter; none while it is not known yet.
        filter: Option<String>,
    },
    /// runc, which takes more time, and cgroups as it finds them.
    Runc,
}

impl Runtime {
    /// `action` ("run", "create" …) on the container of this step, with nothing of this process's
    /// environment. The runtime leads a process group of its own: an interrupt key is for the builder, which
    /// then ends its steps.
    pub(super) fn command(&self, dir: &StepDir, action: &[&OsStr]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir("/").process_group(0);
        command.arg("--root").arg(dir.path().join(STATE)).arg("--log");
        let log = dir.path().join(LOG);
        match self.kind {
            // Without the word in front, the colons in the path would end one. Its errors as they are: they
            // are also what the step prints when its program is none.
            RuntimeKind::Crun { .. } => command.arg(format!("file:{}", log.display())).args([
                "--log-format",
                "text",
                "--cgroup-manager",
                "disabled",
            ]),
            RuntimeKind::Runc => command.arg(log).args(["--log-format", "json"]),
        };
        command.args(action);
        command
    }

    /// Runs the container that `config.json` in the step's directory describes.
    pub(super) fn run(&self, dir: &StepDir) -> Command {
        let words = ["run", "--bundle"].map(OsStr::new);
        let mut command = self.command(dir, &words);
        command.arg(dir.path()).arg(dir.container());
        command
    }

    /// The filter of system calls for the specification; none where the runtime makes it from the list.
    pub(super) fn filter(&self) -> Option<&str> {
        match &self.kind {
            RuntimeKind::Crun { filter } => filter.as_deref(),
            RuntimeKind::Runc => None,
        }
    }

    /// Why the container could not be started; `None` when it was.
    pub(super) fn complaint(&self, dir: &StepDir) -> Option<String> {
        let text = crate::worker::process::read_small(&dir.path().join(LOG)).ok()?;
        match self.kind {
            RuntimeKind::Crun { .. } => Some(text.trim().to_owned()),
            RuntimeKind::Runc => error_of(&text),
        }
        .filter(|reason| !reason.is_empty())
    }

    /// The filter that crun made for a container that it holds.
    pub(super) fn filter_file(dir: &StepDir) -> PathBuf {
        dir.path().join(STATE).join(dir.container()).join("seccomp.bpf")
    }
}

/// The last error of runc's log, which has a JSON object a line, also for what is merely odd.
fn error_of(log: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let error = lines.into_iter().find(|line| matches!(&*line.level, "error" | "fatal"))?;
    Some(error.msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_log_is_the_reason() {
        let log = "{\"level\":\"warning\",\"msg\":\"odd\",\"time\":\"x\"}\n\
                   {\"level\":\"error\",\"msg\":\"runc run failed: why\",\"time\":\"x\"}\nnot JSON\n";
        assert_eq!(error_of(log).as_deref(), Some("runc run failed: why"));
        assert_eq!(error_of("{\"level\":\"warning\",\"msg\":\"odd\"}\n"), None);
        assert_eq!(error_of(""), None);
    }
}
