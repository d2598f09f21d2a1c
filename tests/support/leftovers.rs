//! What a home leaves behind: processes that name it and mounts below it.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// A process that belongs to a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id on the host.
    pub pid: i32,
    /// Its command line, with spaces.
    pub command: String,
}

/// Live processes whose command line, environment or mounts name `home`. Mounts give away a step's process, which
/// knows nothing else of the home; other users' processes show them to root only.
#[must_use]
pub fn processes(home: &Path) -> Vec<Process> {
    let needle = home.as_os_str().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let names_home = |file: &str| {
            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        if pid as u32 == std::process::id() || is_zombie(pid) {
            continue;
        }
        if ["cmdline", "environ", "mountinfo"].iter().any(|file| names_home(file)) {
            found.push(Process { pid, command: command(pid) });
        }
    }
    found
}

/// Mounts in the host's mount namespace below `home`.
#[must_use]
pub fn mounts(home: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo");
    let below = table.lines().filter(|line| line.contains(&*home.to_string_lossy()));
    below.map(str::to_owned).collect()
}

/// Waits up to `limit` for all processes of `home` to be gone, returns those that are not.
#[must_use]
pub fn after(home: &Path, limit: Duration) -> Vec<Process> {
    let started = Instant::now();
    loop {
        let left = processes(home);
        if left.is_empty() || started.elapsed() > limit {
            return left;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// kill -9 for each of `processes`.
pub fn kill(processes: &[Process]) {
    for process in processes {
        let pid = nix::unistd::Pid::from_raw(process.pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// The host's user ids of all processes whose command line holds `text`: real, effective, saved, file system.
#[must_use]
pub fn uids_of(text: &str) -> Vec<(i32, Vec<u32>)> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found = Vec::new();
    for pid in pids.filter(|&pid| command(pid).contains(text)) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        found.push((pid, uids.split_whitespace().filter_map(|uid| uid.parse().ok()).collect()));
    }
    found
}

fn command(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z') || rest.is_empty())
}
