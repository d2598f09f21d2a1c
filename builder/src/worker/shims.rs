//! Shims that containerd does not know. When a build is killed while containerd makes its task, the call is
//! broken off in the middle: the shim and what it mounted are there, and no record of them.

use std::{collections::HashSet, fs, path::Path, thread, time::Duration};

use rustix::process::{Pid, Signal};

use super::{
    ProcessIdentity,
    connection::NAMESPACE,
    containerd_config::STATE_DIR,
    process::{self, read_small},
    sweep::remove_step_dir,
};

/// What a shim's command line says about the container that it is for.
#[derive(Debug, PartialEq, Eq)]
struct Shim {
    pid: u32,
    container: String,
}

/// Ends shims whose builder is gone, with the processes below them, and removes their bundles. Called inside
/// the worker, after every container on record was removed; `known` are those that are still there.
pub(super) fn sweep(known: &HashSet<String>) -> usize {
    let own = fs::read_link("/proc/self/ns/user").ok();
    let inside = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/user")).ok() == own;
    let all = process::all().unwrap_or_default();
    let shims = all.iter().copied().filter(inside).filter_map(shim);
    let orphans: Vec<_> = shims
        .filter(|shim| !known.contains(&shim.container) && has_dead_builder(&shim.container))
        .collect();
    for orphan in &orphans {
        end(orphan);
    }
    orphans.len()
}

fn shim(pid: u32) -> Option<Shim> {
    let command = read_small(Path::new(&format!("/proc/{pid}/cmdline"))).ok()?;
    parse(&command).map(|container| Shim { pid, container })
}

/// The container of a shim's command line, whose words end in a zero byte.
fn parse(command: &str) -> Option<String> {
    let words: Vec<_> = command.split('\0').collect();
    let after = |flag: &str| words.iter().position(|w| *w == flag).and_then(|at| words.get(at + 1));
    let program = words.first()?.rsplit('/').next()?;
    let is_ours =
        program.starts_with("containerd-shim-runc-v2") && after("-namespace") == Some(&NAMESPACE);
    let container = after("-id").filter(|_| is_ours)?;
    Some((*container).to_owned())
}

/// Containers are named `<pid>-<start>-<step>` after the build that made them; this worker's namespaces, and
/// with them its shims, do not outlive a boot.
fn has_dead_builder(container: &str) -> bool {
    let mut words = container.splitn(3, '-').map_while(|word| word.parse::<u64>().ok());
    let (Some(pid), Some(start)) = (words.next(), words.next()) else { return false };
    let Ok(pid) = u32::try_from(pid) else { return false };
    !ProcessIdentity::of_this_boot(pid, start).is_ok_and(|builder| builder.is_alive())
}

/// Kills the container's first process, which takes the others with it, and then the shim.
fn end(orphan: &Shim) {
    let below = process::all().unwrap_or_default().into_iter();
    let below = below.filter(|pid| process::stat(*pid).is_ok_and(|stat| stat.parent == orphan.pid));
    for pid in below.collect::<Vec<_>>().into_iter().chain([orphan.pid]) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::KILL));
    }
    let running = || process::stat(orphan.pid).is_ok_and(|stat| stat.state != b'Z');
    for _ in 0..100 {
        if !running() {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let bundles = Path::new(STATE_DIR).join("io.containerd.runtime.v2.task").join(NAMESPACE);
    remove_step_dir(&bundles.join(&orphan.container));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shims_command_line_names_its_container() {
        let command = |namespace: &str| {
            format!(
                "/usr/bin/containerd-shim-runc-v2\0-namespace\0{namespace}\0-id\09-8-step\0-address\0/s\0"
            )
        };
        assert_eq!(parse(&command("touchmark")), Some("9-8-step".into()));
        assert_eq!(parse(&command("default")), None);
        assert_eq!(parse("sleep\0-id\0x\0"), None);
        assert_eq!(parse("containerd-shim-runc-v2\0-namespace\0touchmark\0-id"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn only_names_with_a_dead_builder_are_orphans() {
        let me = ProcessIdentity::current().unwrap().to_string();
        let mine: Vec<_> = me.split(':').take(2).collect();
        assert!(!has_dead_builder(&format!("{}-step", mine.join("-"))));
        assert!(has_dead_builder(&format!("{}-1-step", mine[0])));
        assert!(has_dead_builder("4294967-1-a-b"));
        assert!(!has_dead_builder("someone-elses"));
        assert!(!has_dead_builder("99999999999-1-a"));
    }
}
