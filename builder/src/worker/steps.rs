//! Steps of builds that are not alive any more. Every step has a directory under the worker's private `/run`
//! whose name says which build process made it, and every process of the step names that directory: the OCI
//! runtime in its command line, the container by the files that are mounted from there. So what a killed
//! build left is found by what the kernel says, and needs no record that would have to be kept.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{mount::UnmountFlags, process::Signal};

use super::{
    ProcessIdentity,
    process::{self, kill_tree, read_small, signal},
    start::STEPS_DIR,
};

/// How long killed processes may take to disappear.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A mount table may name every layer of an image.
const MAX_TABLE: u64 = 4 << 20;

/// The name of the directory of step `id` of `builder`, in [`STEPS_DIR`].
pub(crate) fn dir_name(builder: &ProcessIdentity, id: &str) -> String {
    format!("{builder}-{id}")
}

/// Ends the steps whose builder is gone and removes their directories; how many. Called inside the worker;
/// several may do it at the same time. A step that does not end within five seconds keeps its directory,
/// and with it its place in the next sweep.
pub(crate) fn sweep() -> usize {
    let names = orphans(Path::new(STEPS_DIR));
    if names.is_empty() {
        return 0;
    }
    let begin = Instant::now();
    while end(&names) > 0 && begin.elapsed() < END_LIMIT {
        thread::sleep(Duration::from_millis(5));
    }
    let left = |name: &String| !processes(std::slice::from_ref(name)).is_empty();
    let ended = names.iter().filter(|name| !left(name));
    ended.filter(|name| remove_step_dir(&Path::new(STEPS_DIR).join(name))).count()
}

/// Names in `root` of the form `<pid>:<start>:<boot>-<step>` whose process does not live.
fn orphans(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_orphan = |name: &String| {
        let owner = name.split_once('-').and_then(|(owner, _)| owner.parse().ok());
        owner.is_some_and(|builder: ProcessIdentity| !builder.is_alive())
    };
    names.filter(is_orphan).collect()
}

/// Kills what belongs to the named steps; how many processes that was. None left is the end: what was not
/// made yet when this looked cannot be made any more, since the runtime was stopped before it was killed.
fn end(names: &[String]) -> usize {
    let found = processes(names);
    for (pid, kind) in &found {
        match kind {
            Kind::Runtime => kill_tree(*pid),
            Kind::Contained => signal(*pid, Signal::KILL),
        }
    }
    found.len()
}

/// What a process of a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The OCI runtime, which works in the worker's user namespace.
    Runtime,
    /// A process in the container: in a user namespace of its own.
    Contained,
}

/// The processes of the named steps, runtimes first.
fn processes(names: &[String]) -> Vec<(u32, Kind)> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let own = namespace("self");
    let (mut runtimes, mut contained) = (Vec::new(), Vec::new());
    for pid in process::all().unwrap_or_default() {
        let Some(theirs) = namespace(&pid.to_string()) else { continue };
        if Some(&theirs) == own.as_ref() {
            let command = read_small(Path::new(&format!("/proc/{pid}/cmdline")));
            if command.is_ok_and(|command| commands(&command, names)) {
                runtimes.push((pid, Kind::Runtime));
            }
        } else if let Ok(table) = table(pid)
            && mounts(&table, names)
        {
            contained.push((pid, Kind::Contained));
        }
    }
    runtimes.extend(contained);
    runtimes
}

fn table(pid: u32) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = Vec::new();
    fs::File::open(format!("/proc/{pid}/mountinfo"))?.take(MAX_TABLE).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Is this the command line of a runtime whose state is in one of these steps' directories?
fn commands(command: &str, names: &[String]) -> bool {
    let mut words = command.split('\0');
    let state = words.by_ref().skip_while(|word| *word != "--root").nth(1);
    let step = state.and_then(|state| state.strip_prefix(STEPS_DIR)?.strip_prefix('/'));
    let name = step.and_then(|step| step.split('/').next());
    name.is_some_and(|name| names.iter().any(|known| known == name))
}

/// Does this mount table hold a file of one of these steps' directories (proc_pid_mountinfo(5), field 4)?
fn mounts(table: &str, names: &[String]) -> bool {
    let steps = Path::new(STEPS_DIR).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let roots = table.lines().filter_map(|line| line.split(' ').nth(3));
    let mut found = roots.filter_map(|root| {
        let mut parts = root.split('/').skip_while(|part| *part != steps);
        parts.nth(1)
    });
    found.any(|name| names.iter().any(|known| known == name))
}

/// Removes a step's directory, after detaching what is still mounted in it. With a mount left it is not
/// removed: that would delete the mounted files. A mount in another mount namespace goes with its
/// directory.
pub(crate) fn remove_step_dir(directory: &Path) -> bool {
    let table = table(std::process::id()).unwrap_or_default();
    let mut points: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| Path::new(point).starts_with(directory))
        .collect();
    points.reverse();
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    let detached = points.iter().all(|point| rustix::mount::unmount(*point, flags).is_ok());
    detached && fs::remove_dir_all(directory).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: &str = "1:1:00000000-step";

    #[test]
    fn only_directories_of_the_dead_are_orphans() {
        let root = tempfile::tempdir().unwrap();
        let me = dir_name(&ProcessIdentity::current().unwrap(), "step");
        for name in [&*me, DEAD, "other", "not-an-identity"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        assert_eq!(orphans(root.path()), [DEAD]);
        assert!(orphans(&root.path().join("none")).is_empty());
    }

    #[test]
    fn a_runtime_is_known_by_the_directory_of_its_state() {
        let names = [DEAD.to_owned()];
        let command = |root: &str| format!("/usr/bin/crun\0--root\0{root}\0run\0x\0");
        assert!(commands(&command(&format!("{STEPS_DIR}/{DEAD}/state")), &names));
        assert!(!commands(&command(&format!("{STEPS_DIR}/{DEAD}s/state")), &names));
        assert!(!commands(&command("/run/crun"), &names));
        assert!(!commands(&format!("cat\0{STEPS_DIR}/{DEAD}/state\0"), &names));
        assert!(!commands("crun\0--root", &names));
        assert!(!commands("", &names));
    }

    #[test]
    fn a_contained_process_is_known_by_a_file_that_is_mounted() {
        let names = [DEAD.to_owned()];
        let line = |root: &str| {
            format!("1 0 0:1 / / rw - overlay o rw\n2 1 0:2 {root} /etc/hosts ro - tmpfs t rw\n")
        };
        assert!(mounts(&line(&format!("/touchmark-steps/{DEAD}/hosts")), &names));
        assert!(mounts(&line(&format!("/run/touchmark-steps/{DEAD}/hosts//deleted")), &names));
        assert!(!mounts(&line("/touchmark-steps/2:2:00000000-step/hosts"), &names));
        assert!(!mounts(&line("/"), &names));
    }

    #[test]
    fn a_directory_goes_with_what_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let step = root.path().join(DEAD);
        fs::create_dir_all(step.join("state")).unwrap();
        assert!(remove_step_dir(&step));
        assert!(!step.exists());
    }
}
