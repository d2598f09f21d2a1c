//! What is to run.

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc};

use serde::Serialize;

use crate::{secret::Secret, snapshot::Mount, ssh::SshAgent};

/// One step. Ids and owners are the container's own: 0 is root of the step.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// The whole environment; a `PATH` is added when there is none.
    pub env: Vec<(String, String)>,
    /// More of the environment, which is not shown.
    pub secret_env: Vec<(String, Secret)>,
    /// The working directory, absolute; made when it is not there.
    pub cwd: PathBuf,
    /// Who runs it.
    pub user: ResolvedUser,
    /// The host name that it sees.
    pub hostname: String,
    /// Its network.
    pub network: StepNetns,
    /// Whether it has every capability over its own ids, and no filter of system calls.
    pub insecure: bool,
    /// The content of `/etc/resolv.conf`; `None` leaves the image's own.
    pub resolv_conf: Option<String>,
    /// Lines of `/etc/hosts`, after those for the loopback and the step itself.
    pub hosts: Vec<(String, IpAddr)>,
    /// More mounts, in order.
    pub mounts: Vec<ExtraMount>,
    /// Resource limits, as `--ulimit` gives them.
    pub ulimits: Vec<Ulimit>,
    /// The size of `/dev/shm` in bytes; 64 MiB when `None`.
    pub shm_size: Option<u64>,
}

/// A user whose names were looked up already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id in the step, below 65536.
    pub uid: u32,
    /// Group id in the step, below 65536.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// A step's network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepNetns {
    /// One that is there already; the OCI runtime opens this path, so `/proc/<pid>/fd/<n>` of the build
    /// process is one.
    Path(PathBuf),
    /// A new one with nothing but a loopback interface.
    None,
    /// The host's own: nothing is kept from the step.
    Host,
}

/// One more mount.
#[derive(Debug, Clone)]
pub struct ExtraMount {
    /// Where, absolute, in the step.
    pub target: PathBuf,
    /// What.
    pub source: MountSource,
    /// Whether the step may write to it.
    pub read_only: bool,
}

/// What an [`ExtraMount`] mounts.
#[derive(Clone)]
pub enum MountSource {
    /// A file or directory of the host. Its owners are not the step's: what belongs to the invoking user is
    /// nobody's in there, so the step reads what everybody may read. To be written to, a directory must
    /// belong to the step's user, whose worker id is its id + `snapshot::OWNER_SHIFT`.
    Path(PathBuf),
    /// A snapshot, from `Snapshots::view` or `Snapshots::prepare`, and the path within it.
    Snapshot(Vec<Mount>, PathBuf),
    /// An empty file system in memory.
    Tmpfs {
        /// Its limit in bytes; half of the memory when `None`.
        size: Option<u64>,
        /// The mode of its root.
        mode: u32,
    },
    /// The socket of an SSH agent, served by this process as long as the step runs.
    Agent {
        /// Who answers.
        agent: Arc<SshAgent>,
        /// The socket's owner in the step.
        uid: u32,
        /// Its group in the step.
        gid: u32,
        /// Its mode.
        mode: u32,
    },
    /// A file made of these bytes, kept in memory only and gone with the step: a secret.
    File {
        /// The bytes.
        content: Vec<u8>,
        /// Its owner in the step.
        uid: u32,
        /// Its group in the step.
        gid: u32,
        /// Its mode.
        mode: u32,
    },
}

impl fmt::Debug for MountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Snapshot(mounts, path) => {
                f.debug_tuple("Snapshot").field(mounts).field(path).finish()
            }
            Self::Tmpfs { size, mode } => {
                f.debug_struct("Tmpfs").field("size", size).field("mode", mode).finish()
            }
            Self::Agent { agent, uid, gid, mode } => f
                .debug_struct("Agent")
                .field("agent", agent)
                .field("uid", uid)
                .field("gid", gid)
                .field("mode", mode)
                .finish(),
            // The content may be a secret.
            Self::File { uid, gid, mode, .. } => f
                .debug_struct("File")
                .field("uid", uid)
                .field("gid", gid)
                .field("mode", mode)
                .finish_non_exhaustive(),
        }
    }
}

/// One resource limit (setrlimit(2)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// In the style of `--ulimit`: `nofile`, `core`, `nproc` …
    pub name: String,
    /// The limit in force; [`u64::MAX`] is none.
    pub soft: u64,
    /// The highest the step may set it to.
    pub hard: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let content = b"hunter2".to_vec();
        let file = MountSource::File { content, uid: 0, gid: 0, mode: 0o400 };
        assert_eq!(format!("{file:?}"), "File { uid: 0, gid: 0, mode: 256, .. }");
    }
}
