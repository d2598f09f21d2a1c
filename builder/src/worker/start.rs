//! Finding the worker, and starting it when there is none.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::FlockOperation;

use super::{
    WorkerConfig, WorkerError, config,
    containerd_config::{self, SOCKET},
    doctor::{self, DoctorPaths},
    process, stop,
};

/// How long containerd may take to open its socket. It needs about 60 ms; a loaded machine more.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long to sleep between two looks at the socket.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// Where steps keep their generated files, inside the worker's private `/run`.
pub(crate) const STEPS_DIR: &str = "/run/touchmark-steps";

/// Shims keep their sockets in `/run/containerd`, whatever containerd's configuration says. Where the machine
/// runs a containerd of its own, as with Docker, the worker's copy of `/run` holds a link to that one's
/// directory, which is root's.
const PRIVATE_RUN: &str = "rm -f /run/containerd && exec \"$@\"";

/// A running worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pid: u32,
    socket: PathBuf,
}

impl Worker {
    /// A process that is in the worker's user and mount namespaces.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// containerd's socket, as seen inside the worker's mount namespace.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The socket as seen from outside, through the worker's root directory.
    #[must_use]
    pub fn socket_from_outside(&self) -> PathBuf {
        seen_through(self.pid, &self.socket)
    }

    #[cfg(test)]
    pub(super) fn at(pid: u32, socket: &str) -> Self {
        Self { pid, socket: socket.into() }
    }

    /// Finds the worker that is running, or the one that `config.containerd` names.
    ///
    /// # Errors
    /// When the containerd that the user named cannot be used.
    pub fn find(config: &WorkerConfig) -> Result<Option<Self>, WorkerError> {
        if let Some(address) = &config.containerd {
            return foreign(address).map(Some);
        }
        Ok(own(config))
    }

    /// Finds the worker, or starts it and waits until it answers. Two processes that call this at the
    /// same time get the same worker.
    ///
    /// # Errors
    /// [`WorkerError::Unfit`] with every repair when something is missing, [`WorkerError::NotStarted`]
    /// with the end of the log when rootlesskit or containerd fails.
    pub fn ensure(config: &WorkerConfig) -> Result<Self, WorkerError> {
        if let Some(worker) = Self::find(config)? {
            return Ok(worker);
        }
        config::private_dir(config.runtime_dir.clone())?;
        config::private_dir(config.instance_dir())?;
        let _lock = lock(config)?;
        if let Some(worker) = own(config) {
            return Ok(worker);
        }
        let findings = doctor::examine(config, &DoctorPaths::default());
        if !findings.is_empty() {
            return Err(WorkerError::Unfit(findings));
        }
        // What outlived a worker that was killed can be ended from out here only.
        stop::end(config)?;
        let child = spawn(config)?;
        wait_until_it_answers(config, child)
    }
}

/// Held until dropped; the file is never removed, so that all lock the same one.
pub(super) fn lock(config: &WorkerConfig) -> Result<File, WorkerError> {
    let path = config.lock_file();
    let file = File::create(&path).map_err(WorkerError::file("create", path.clone()))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| WorkerError::file("lock", path)(errno.into()))?;
    Ok(file)
}

fn seen_through(pid: u32, path: &Path) -> PathBuf {
    let inside = path.strip_prefix("/").unwrap_or(path);
    PathBuf::from(format!("/proc/{pid}/root")).join(inside)
}

/// The worker that was started for this data directory, if it answers.
fn own(config: &WorkerConfig) -> Option<Worker> {
    let worker = Worker { pid: child_pid(config)?, socket: SOCKET.into() };
    UnixStream::connect(worker.socket_from_outside()).ok().map(|_| worker)
}

/// rootlesskit's child, the first process in the worker's namespaces: the one that it wrote down, or, when
/// somebody tidied `/tmp` meanwhile, the one with its command line.
pub(super) fn child_pid(config: &WorkerConfig) -> Option<u32> {
    let state = config.rootlesskit_dir();
    let option = format!("--state-dir={}", state.display());
    let is_child = |pid: &u32| {
        let command = process::read_small(Path::new(&format!("/proc/{pid}/cmdline")));
        command.is_ok_and(|command| {
            let mut words = command.split('\0');
            words.next() == Some("/proc/self/exe") && words.any(|word| word == option)
        })
    };
    let noted = process::read_small(&state.join("child_pid")).ok();
    let noted = noted.and_then(|text| text.trim().parse().ok()).filter(is_child);
    noted.or_else(|| process::all().unwrap_or_default().into_iter().find(is_child))
}

/// A containerd that someone else started: the kernel says which process opened its socket.
fn foreign(address: &Path) -> Result<Worker, WorkerError> {
    let fault =
        |reason: String, help| WorkerError::Foreign { address: address.to_owned(), reason, help };
    let unreachable = |error: io::Error| {
        fault(error.to_string(), "start it, or leave --containerd out and touchmark starts its own")
    };
    let stream = UnixStream::connect(address).map_err(unreachable)?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|e| unreachable(e.into()))?;
    let pid = peer.pid.as_raw_nonzero().get().unsigned_abs();
    let map =
        process::read_small(Path::new(&format!("/proc/{pid}/uid_map"))).map_err(unreachable)?;
    if mapped(&map) < super::subid::NEEDED || map.split_ascii_whitespace().nth(2) != Some("1") {
        return Err(fault(
            "it is not in a user namespace that maps 0 to you and 65536 more ids".to_owned(),
            "run it under rootlesskit, or leave --containerd out and touchmark starts its own",
        ));
    }
    Ok(Worker { pid, socket: address.to_owned() })
}

/// How many ids a `uid_map` maps beside the first.
fn mapped(map: &str) -> u64 {
    let counts = map.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)?.parse().ok());
    counts.fold(0_u64, u64::saturating_add).saturating_sub(1)
}

fn spawn(config: &WorkerConfig) -> Result<Child, WorkerError> {
    let root = config.containerd_root();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&root)
        .map_err(WorkerError::file("create", root.clone()))?;
    let state = config.rootlesskit_dir();
    match fs::remove_dir_all(&state) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(WorkerError::file("remove", state)(error));
        }
        _ => {}
    }
    let file = config.config_file();
    fs::write(&file, containerd_config::text(&root))
        .map_err(WorkerError::file("write", file.clone()))?;
    let log = config.log_file();
    let output = File::create(&log).map_err(WorkerError::file("create", log.clone()))?;
    let errors = output.try_clone().map_err(WorkerError::file("open", log))?;
    let find = |name: &str| config.find_program(name).unwrap_or_else(|| name.into());
    // Its own session: neither an interrupt key nor a closing terminal ends the worker. The environment
    // is left behind, since it may hold tokens and the worker lives long.
    let mut command = Command::new(find("setsid"));
    command
        .arg(find("rootlesskit"))
        .args(["--net=host", "--copy-up=/etc", "--copy-up=/run", "--propagation=rslave"])
        .arg(format!("--state-dir={}", state.display()))
        .args(["/bin/sh", "-c", PRIVATE_RUN, "sh"])
        .arg(find("containerd"))
        .arg("-c")
        .arg(&file)
        .env_clear()
        .env("PATH", config.worker_path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    command.spawn().map_err(WorkerError::file("run", find("setsid")))
}

fn wait_until_it_answers(config: &WorkerConfig, mut child: Child) -> Result<Worker, WorkerError> {
    let not_started = |reason: String| WorkerError::NotStarted {
        reason,
        log: config.log_file(),
        last_lines: last_lines(&config.log_file(), 8),
    };
    let begin = Instant::now();
    loop {
        if let Some(worker) = own(config) {
            return Ok(worker);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(not_started(format!("rootlesskit ended with {status}")));
        }
        if begin.elapsed() > START_LIMIT {
            // A worker that half started would hold the database's lock for ever.
            let _ = child.kill();
            let _ = child.wait();
            let seconds = START_LIMIT.as_secs();
            return Err(not_started(format!("containerd did not answer within {seconds} s")));
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn last_lines(log: &Path, count: usize) -> String {
    let text = process::read_small(log).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().rev().take(count).collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_must_hold_enough_ids() {
        assert_eq!(mapped("0 1000 1\n1 100000 65536\n"), 65536);
        assert_eq!(mapped("0 1000 1\n"), 0);
        assert_eq!(mapped(""), 0);
    }

    #[test]
    fn a_foreign_socket_that_is_not_there() {
        let error = foreign(Path::new("/nowhere/containerd.sock")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the containerd at '/nowhere/containerd.sock' cannot be used: No such file or directory (os error 2)\n\
             help: start it, or leave --containerd out and touchmark starts its own"
        );
    }

    #[test]
    fn a_containerd_outside_a_user_namespace_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let address = directory.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&address).unwrap();
        let message = foreign(&address).unwrap_err().to_string();
        assert!(message.contains("it is not in a user namespace"), "{message}");
    }

    #[test]
    fn the_last_lines_of_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::write(&log, "1\n2\n3\n").unwrap();
        assert_eq!(last_lines(&log, 2), "2\n3");
        assert_eq!(last_lines(&directory.path().join("none"), 2), "");
    }
}
