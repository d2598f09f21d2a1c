//! Who a process is. A process id alone is given away again; with its start time and the boot it names
//! one process for ever, so what a killed build left can be told from what a running one uses.

use std::{
    collections::HashSet,
    fmt, fs,
    io::{self, Read},
    path::Path,
    str::FromStr,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal};

use super::WorkerError;

/// A process id, its start time in clock ticks since boot, and the first eight digits of the boot id.
/// Text form `pid:start:boot`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    pid: u32,
    start: u64,
    boot: String,
}

/// A text that is not `pid:start:boot`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a process identity of the form pid:start:boot")]
pub struct ProcessIdentityError(String);

/// The fields of `/proc/<pid>/stat` used here (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Field 3, for example `b'Z'` for a process that ended and was not collected yet.
    pub(super) state: u8,
    /// Field 4.
    pub(super) parent: u32,
    /// Field 22, in clock ticks since boot.
    pub(super) start: u64,
}

impl ProcessIdentity {
    /// The calling process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn current() -> Result<Self, WorkerError> {
        let pid = std::process::id();
        Self::of(pid).map_err(WorkerError::file("read", format!("/proc/{pid}/stat")))
    }

    /// The process that has this id now.
    ///
    /// # Errors
    /// When there is none, or `/proc` cannot be read.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, start: stat(pid)?.start, boot: boot()? })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether that very process still runs. A zombie does not: it can hold nothing any more.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let same = |stat: Stat| stat.start == self.start && !matches!(stat.state, b'Z' | b'X');
        stat(self.pid).is_ok_and(same) && self.is_of_this_boot()
    }

    /// Whether it is of the boot that the machine is in now.
    #[must_use]
    pub fn is_of_this_boot(&self) -> bool {
        boot().is_ok_and(|boot| boot == self.boot)
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.pid, self.start, self.boot)
    }
}

impl FromStr for ProcessIdentity {
    type Err = ProcessIdentityError;

    fn from_str(text: &str) -> Result<Self, ProcessIdentityError> {
        let fault = || ProcessIdentityError(text.chars().take(100).collect());
        let (pid, rest) = text.split_once(':').ok_or_else(fault)?;
        let (start, boot) = rest.split_once(':').ok_or_else(fault)?;
        let pid = pid.parse().map_err(|_| fault())?;
        let start = start.parse().map_err(|_| fault())?;
        if boot.is_empty() || !boot.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(fault());
        }
        Ok(Self { pid, start, boot: boot.to_owned() })
    }
}

fn boot() -> io::Result<String> {
    let text = read_small(Path::new("/proc/sys/kernel/random/boot_id"))?;
    Ok(text.chars().take(8).collect())
}

/// The state, parent and start time of a process.
pub(super) fn stat(pid: u32) -> io::Result<Stat> {
    let text = read_small(Path::new(&format!("/proc/{pid}/stat")))?;
    parse_stat(&text).ok_or_else(|| io::Error::other("unexpected form of /proc/<pid>/stat"))
}

/// The name in field 2 may hold spaces and parentheses: the fields begin after the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, start })
}

/// All process ids of `/proc`.
pub(super) fn all() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.filter_map(Result::ok).map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// The processes whose parent `pid` is.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let all = all().unwrap_or_default().into_iter();
    all.filter(|child| stat(*child).is_ok_and(|stat| stat.parent == pid)).collect()
}

/// `found` and everything below it in a list of (process, parent).
pub(super) fn with_descendants(mut found: HashSet<u32>, parents: &[(u32, u32)]) -> HashSet<u32> {
    loop {
        let below = parents.iter().filter(|(_, parent)| found.contains(parent));
        let more: Vec<_> = below.map(|(pid, _)| *pid).filter(|pid| !found.contains(pid)).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Kills `pid` with everything below it. It is stopped first, so that it cannot let go of a process that it
/// just made.
pub(crate) fn kill_tree(pid: u32) {
    /// The kernel stops a process that runs at its next return from the kernel.
    const LOOKS: u32 = 100;
    signal(pid, Signal::STOP);
    for _ in 0..LOOKS {
        match stat(pid) {
            Ok(stat) if !matches!(stat.state, b'T' | b't' | b'Z' | b'X') => {
                thread::sleep(Duration::from_millis(1));
            }
            _ => break,
        }
    }
    let all = all().unwrap_or_default().into_iter();
    let parents: Vec<_> = all.filter_map(|pid| Some((pid, stat(pid).ok()?.parent))).collect();
    // Those below first: without their parent they would be nobody's.
    let mut below = with_descendants(HashSet::from([pid]), &parents);
    below.remove(&pid);
    below.into_iter().chain([pid]).for_each(|pid| signal(pid, Signal::KILL));
}

/// A signal to a process that may be gone by now.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
}

/// A file of `/proc` or the worker's state, at most 64 KiB of it.
pub(crate) fn read_small(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(64 << 10).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_reads_back() {
        let me = ProcessIdentity::current().unwrap();
        assert!(me.is_alive());
        assert_eq!(me.to_string().parse::<ProcessIdentity>().unwrap(), me);
        let other = ProcessIdentity { start: me.start + 1, ..me.clone() };
        assert!(!other.is_alive());
        let earlier_boot = ProcessIdentity { boot: "00000000".into(), ..me };
        assert!(!earlier_boot.is_alive() && !earlier_boot.is_of_this_boot());
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let parents = [(5, 4), (4, 3), (3, 2), (9, 8), (2, 1)];
        let found = with_descendants(HashSet::from([3]), &parents);
        assert_eq!(found, HashSet::from([3, 4, 5]));
    }

    #[test]
    fn a_tree_is_killed_with_what_it_made() {
        let script = "sleep 60 & sleep 60 & wait";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        while children(child.id()).len() < 2 {
            thread::sleep(Duration::from_millis(2));
        }
        let below = children(child.id());
        kill_tree(child.id());
        child.wait().unwrap();
        let gone = |pid: &u32| stat(*pid).map_or(true, |stat| matches!(stat.state, b'Z' | b'X'));
        while !below.iter().all(gone) {
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        child.kill().unwrap();
        while stat(child.id()).unwrap().state != b'Z' {
            std::thread::yield_now();
        }
        assert!(!identity.is_alive());
        child.wait().unwrap();
        assert!(!identity.is_alive());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) R 1) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9876 1 1";
        assert_eq!(parse_stat(text), Some(Stat { state: b'S', parent: 7, start: 9876 }));
        assert_eq!(parse_stat("42 (a"), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1", "1:2", "1:2:", "x:2:ab", "1:2:zz"] {
            assert!(text.parse::<ProcessIdentity>().is_err(), "{text}");
        }
    }
}
