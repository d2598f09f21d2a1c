//! Stopping the worker: afterwards none of its processes, mounts or state files is left.

use std::{
    collections::HashSet,
    fs,
    io::{self, ErrorKind},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    Worker, WorkerConfig, WorkerError, config, enter,
    process::{self, read_small, signal, with_descendants},
    start, status,
};

/// How long containerd and rootlesskit may take to end by themselves.
const POLITE: Duration = Duration::from_secs(3);

/// How long killed processes may take to disappear.
const FORCED: Duration = Duration::from_secs(5);

/// What [`Worker::stop`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It ran, and that many processes were ended.
    Ended(usize),
    /// There was none; left-over state files were removed all the same.
    NotRunning,
}

impl Worker {
    /// Ends every process of the worker, running builds and steps included, and removes its state files.
    /// Snapshots and the cache stay. Call it outside of the worker's namespaces.
    ///
    /// # Errors
    /// When a process survives being killed, or the state files cannot be removed. A worker that the user
    /// named with `--containerd` is never stopped.
    pub fn stop(config: &WorkerConfig) -> Result<Stopped, WorkerError> {
        if let Some(address) = &config.containerd {
            return Err(WorkerError::Foreign {
                address: address.clone(),
                reason: "touchmark did not start it".to_owned(),
                help: "stop it the way it was started",
            });
        }
        if !config.instance_dir().exists() && start::child_pid(config).is_none() {
            return Ok(Stopped::NotRunning);
        }
        config::private_dir(config.runtime_dir.clone())?;
        config::private_dir(config.instance_dir())?;
        let _lock = start::lock(config)?;
        if let Some(worker) = Self::find(config)?.filter(enter::is_inside) {
            // From inside, the worker's namespace is the caller's own: it would end itself.
            let source = io::Error::other(format!("pid {} is in the same one", worker.pid()));
            return Err(WorkerError::Enter { step: "stop it from outside", source });
        }
        let ended = end(config)?;
        let state = config.rootlesskit_dir();
        match fs::remove_dir_all(&state) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(WorkerError::file("remove", state)(error));
            }
            _ => {}
        }
        // Who stops the worker may be about to stop the machine. Where it fails, the marks stay and the next build looks.
        let _ = config.unsettled().settle();
        for file in [config.config_file(), config.log_file()] {
            let _ = fs::remove_file(file);
        }
        Ok(if ended == 0 { Stopped::NotRunning } else { Stopped::Ended(ended) })
    }
}

/// Ends everything in three rounds: builds and their steps at once, containerd and rootlesskit politely
/// so that the database is closed, then whatever is left. Each round looks again at what there is.
pub(super) fn end(config: &WorkerConfig) -> Result<usize, WorkerError> {
    let child = start::child_pid(config);
    let parent = child.and_then(rootlesskit);
    let root = config.containerd_root();
    let keep: HashSet<u32> = child.into_iter().chain(parent).collect();
    let is_core = |pid: u32| keep.contains(&pid) || is_containerd(pid, config);
    let all = || {
        let mut pids: HashSet<u32> = child.map(members).unwrap_or_default().into_iter().collect();
        pids.extend(parent.filter(|pid| process::stat(*pid).is_ok_and(|s| s.state != b'Z')));
        pids.extend(rooted_in(&root));
        pids.remove(&std::process::id());
        pids
    };
    let found = all();
    for pid in found.iter().filter(|pid| !is_core(**pid)) {
        signal(*pid, Signal::KILL);
    }
    for pid in found.iter().filter(|pid| is_containerd(**pid, config)) {
        signal(*pid, Signal::TERM);
    }
    if !gone_within(POLITE, &all) {
        let begin = Instant::now();
        while !all().is_empty() {
            all().into_iter().for_each(|pid| signal(pid, Signal::KILL));
            if begin.elapsed() > FORCED {
                let mut left: Vec<_> = all().into_iter().collect();
                left.sort_unstable();
                return Err(WorkerError::StillRunning(left));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(found.len())
}

fn gone_within(limit: Duration, all: &dyn Fn() -> HashSet<u32>) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        if all().is_empty() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

fn is_containerd(pid: u32, config: &WorkerConfig) -> bool {
    let command = read_small(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let file = config.config_file();
    let mut words = command.split('\0');
    words.next().is_some_and(|program| program.ends_with("containerd"))
        && words.any(|word| Path::new(word) == file)
}

/// The rootlesskit process above the worker's first one.
pub(super) fn rootlesskit(child: u32) -> Option<u32> {
    let parent = status::parent(child)?;
    let name = read_small(Path::new(&format!("/proc/{parent}/comm"))).ok()?;
    (name.trim() == "rootlesskit").then_some(parent)
}

/// Processes in the user namespace of `child` and all their descendants: containerd, builds, and
/// the steps in their nested namespaces. Without the caller, which may be inside itself (status).
pub(super) fn members(child: u32) -> Vec<u32> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let Some(worker) = namespace(child) else { return Vec::new() };
    let me = std::process::id();
    let mut parents = Vec::new();
    let mut inside = HashSet::new();
    for pid in process::all().unwrap_or_default().into_iter().filter(|pid| *pid != me) {
        let Ok(stat) = process::stat(pid) else { continue };
        if stat.state != b'Z' {
            parents.push((pid, stat.parent));
        }
        if namespace(pid).as_ref() == Some(&worker) {
            inside.insert(pid);
        }
    }
    with_descendants(inside, &parents).into_iter().collect()
}

/// Processes whose root file system is a snapshot of this worker: steps whose builder and
/// runtime died before them.
/// Their mount table names the snapshot's directory, which no other process can have.
fn rooted_in(root: &Path) -> Vec<u32> {
    let needle = root.to_string_lossy().into_owned();
    let all = process::all().unwrap_or_default().into_iter();
    all.filter(|pid| *pid != std::process::id() && is_rooted_in(*pid, &needle)).collect()
}

fn is_rooted_in(pid: u32, needle: &str) -> bool {
    let table = read_small(Path::new(&format!("/proc/{pid}/mountinfo"))).unwrap_or_default();
    let root = table.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    root.is_some_and(|line| line.contains(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_is_rooted_in_a_directory_that_does_not_exist() {
        assert!(rooted_in(Path::new("/nowhere/touchmark/containerd")).is_empty());
    }
}
