//! Why a step could not run. A step that ran and failed is not an error here: it has an exit code.

use std::{io, path::PathBuf};

use super::seccomp::SeccompError;
use crate::snapshot::MountError;

/// Why a step could not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The program is not in the step's root file system, or is not a program.
    #[error("cannot run '{program}': {reason}\nhelp: {help}")]
    Program {
        /// What the request named.
        program: String,
        /// What the OCI runtime said.
        reason: String,
        /// What to do.
        help: String,
        /// What a shell would exit with: 127 not found, 126 not executable.
        exit_code: u32,
    },
    /// The OCI runtime could not set the container up.
    #[error("cannot start the step's container: {reason}\nhelp: {help}")]
    Setup {
        /// What the OCI runtime said.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// The request itself cannot be carried out.
    #[error("{0}")]
    Request(String),
    /// The OCI configuration could not be put together; a test rules this out for the built-in parts.
    #[error("cannot describe the step's container: {0}")]
    Spec(#[from] oci_spec::OciSpecError),
    /// The seccomp profile is damaged.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The build was interrupted; the step's processes are gone.
    #[error("the step was interrupted")]
    Cancelled,
    /// The worker ended while the step ran; the step's processes are gone.
    #[error(
        "the worker died while the step ran\nhelp: run the command again, which starts it anew"
    )]
    WorkerDied,
    /// A mount of the root file system or an extra one.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A pipe or generated file.
    #[error("cannot {doing} '{}': {source}", path.display())]
    File {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Programs whose absence means that the shell form of RUN cannot work.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "busybox"];

impl ExecError {
    /// A closure for `map_err` that names the file.
    pub(super) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// What crun and runc say when a container cannot be started, told apart. Their text is the only thing
    /// that tells; what is not recognised is passed on whole.
    pub(super) fn from_runtime(message: &str, program: &str) -> Self {
        let reason = message.rsplit("runc run failed: ").next().unwrap_or(message).to_owned();
        let program = program.to_owned();
        let exec = ["exec: \"", "executable file `", "open executable: "];
        let is_exec = exec.iter().any(|text| reason.contains(text));
        let says = |texts: &[&str]| {
            let reason = reason.to_lowercase();
            is_exec && texts.iter().any(|text| reason.contains(text))
        };
        // crun's word for a directory is that the operation is not permitted.
        if says(&["permission denied", "operation not permitted"]) {
            let help = format!("make '{program}' executable (chmod +x), or name its interpreter");
            let reason = "it is not executable".to_owned();
            return Self::Program { program, reason, help, exit_code: 126 };
        }
        if says(&["not found", "no such file"]) {
            let name = program.rsplit('/').next().unwrap_or_default();
            let help = if SHELLS.contains(&name) {
                "the image has no shell: use the exec form, RUN [\"program\", \"argument\"], or a base image \
                 with one"
                    .to_owned()
            } else {
                format!("install '{program}' in an earlier step, or give its full path")
            };
            let reason = "the image has no such program".to_owned();
            return Self::Program { program, reason, help, exit_code: 127 };
        }
        if reason.to_lowercase().contains("rlimit") {
            let help = "a step cannot raise a limit above the worker's own: give a lower --ulimit, or stop the worker \
                        and build from a shell with a higher one";
            return Self::Setup { reason, help };
        }
        let help = "`touchmark worker status` shows the versions; the worker's log may say more";
        Self::Setup { reason, help }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_from_other_failures() {
        let missing = [
            "runc run failed: unable to start container process: exec: \"foo\": executable file not found in $PATH",
            "executable file `foo` not found in $PATH: No such file or directory",
        ];
        for text in missing {
            assert_eq!(
                ExecError::from_runtime(text, "foo").to_string(),
                "cannot run 'foo': the image has no such program\n\
                 help: install 'foo' in an earlier step, or give its full path"
            );
        }
        let shell = [
            "runc run failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no such file or directory",
            "executable file `/bin/sh` not found in $PATH: No such file or directory",
        ];
        for text in shell {
            assert_eq!(
                ExecError::from_runtime(text, "/bin/sh").to_string(),
                "cannot run '/bin/sh': the image has no such program\n\
                 help: the image has no shell: use the exec form, RUN [\"program\", \"argument\"], or a base image with one"
            );
        }
    }

    #[test]
    fn what_is_no_program_is_told_from_other_failures() {
        let plain = [
            "runc run failed: unable to start container process: exec: \"/etc/passwd\": permission denied",
            "open executable: Permission denied",
            "open executable: Operation not permitted",
        ];
        for text in plain {
            assert_eq!(
                ExecError::from_runtime(text, "/etc/passwd").to_string(),
                "cannot run '/etc/passwd': it is not executable\n\
                 help: make '/etc/passwd' executable (chmod +x), or name its interpreter"
            );
        }
    }

    #[test]
    fn other_failures_are_passed_on() {
        let other = "runc run failed: unable to start container process: error during container init: something else";
        assert_eq!(
            ExecError::from_runtime(other, "foo").to_string(),
            "cannot start the step's container: unable to start container process: error during container init: something else\n\
             help: `touchmark worker status` shows the versions; the worker's log may say more"
        );
        let limit =
            ExecError::from_runtime("setrlimit `RLIMIT_NOFILE`: Operation not permitted", "foo");
        assert!(limit.to_string().contains("help: a step cannot raise a limit"), "{limit}");
    }
}
