//! Whose process is whose, and what it used: processor time, bytes written, memory. All of it from /proc.
//!
//! This process is the reaper of all orphans among its descendants, so no daemon that is started here leaves its tree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    time::Duration,
};

use touchmark_tests::account::Account;

/// The program that every builder pushes to; it is nobody's own.
const REGISTRY: &str = "docker-registry";

/// A process as /proc/PID/stat has it; also one that ended and was not waited for yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    /// Clock ticks of it and of the children that it waited for.
    ticks: u64,
    started: u64,
    registry: bool,
}

/// Which processes belong to a builder.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    /// Everything of this user and of its subordinate ids.
    User(Ids),
    /// Every descendant of this process, but for those of the user, the registry, and the tree of this process.
    Descendants { but_for: Ids, without: Option<u32> },
}

/// User ids of an account: its own, and its subordinate ones.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    own: u32,
    subordinate: Range<u32>,
}

impl Ids {
    pub(crate) fn of(account: &Account) -> Self {
        let (start, count) = account.subordinate_ids();
        Self { own: account.uid, subordinate: start..start + count }
    }

    fn hold(&self, uid: u32) -> bool {
        uid == self.own || self.subordinate.contains(&uid)
    }
}

/// What processes used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) written: u64,
}

impl Usage {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written.saturating_sub(before.written),
        }
    }
}

/// Remembers user ids, which are read once per process.
#[derive(Debug, Default)]
pub(crate) struct Census {
    uids: BTreeMap<(u32, u64), u32>,
}

impl Census {
    /// The processes that are `owner`'s right now.
    pub(crate) fn members(&mut self, owner: &Owner) -> Vec<Process> {
        let table = table();
        match owner {
            Owner::User(ids) => {
                table.into_iter().filter(|process| ids.hold(self.uid(process))).collect()
            }
            Owner::Descendants { but_for, without } => {
                let mut found = Vec::new();
                let mut parents = BTreeSet::from([std::process::id()]);
                // A child may have a smaller number than its parent, so more than one round may be needed.
                loop {
                    let new = table.iter().filter(|process| {
                        parents.contains(&process.parent)
                            && !parents.contains(&process.pid)
                            && *without != Some(process.pid)
                            && !process.registry
                    });
                    let new: Vec<Process> =
                        new.copied().filter(|process| !but_for.hold(self.uid(process))).collect();
                    if new.is_empty() {
                        return found;
                    }
                    parents.extend(new.iter().map(|process| process.pid));
                    found.extend(new);
                }
            }
        }
    }

    /// What the processes of `owner` used since they were started, with what their ended children used. What was waited
    /// for by this process counts too, so only the difference of two calls means something.
    pub(crate) fn usage(&mut self, owner: &Owner) -> Usage {
        let mut ticks = waited_for();
        let mut bytes = written(std::process::id());
        for process in self.members(owner) {
            ticks += process.ticks;
            bytes += written(process.pid);
        }
        // Linux counts in hundredths of a second on every architecture that runs containers.
        Usage { cpu: Duration::from_millis(ticks * 10), written: bytes }
    }

    /// Bytes of memory of all processes of `owner`; shared pages are divided among those who share them.
    pub(crate) fn memory(&mut self, owner: &Owner) -> u64 {
        self.members(owner).iter().map(|process| proportional(process.pid)).sum()
    }

    fn uid(&mut self, process: &Process) -> u32 {
        *self.uids.entry((process.pid, process.started)).or_insert_with(|| uid(process.pid))
    }
}

fn table() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

fn stat(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also brackets and blanks.
    let (name, rest) = text.rsplit_once(") ")?;
    let registry = name.ends_with(REGISTRY);
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).filter_map(number).sum();
    Some(Process { pid, parent: number(1)? as u32, ticks, started: number(19)?, registry })
}

/// Clock ticks of the children that this process has waited for.
fn waited_for() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields = text.rsplit_once(") ").expect("a stat line").1.split(' ');
    fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Bytes that a process and the children it waited for gave to file systems on disks.
fn written(pid: u32) -> u64 {
    number_after(&format!("/proc/{pid}/io"), "write_bytes:").unwrap_or_default()
}

fn proportional(pid: u32) -> u64 {
    1024 * number_after(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or_default()
}

fn uid(pid: u32) -> u32 {
    number_after(&format!("/proc/{pid}/status"), "Uid:").map_or(0, |uid| uid as u32)
}

fn number_after(path: &str, word: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    rest.split_whitespace().next()?.parse().ok()
}
