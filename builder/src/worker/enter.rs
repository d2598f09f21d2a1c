//! The build process joins the worker's namespaces, so that it can mount snapshots and read files of
//! every mapped owner. It stays in the host's network namespace for pulls and pushes.

use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    fs, io,
    os::{
        fd::AsFd,
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::PathBuf,
    process::Command,
};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    mount::{MountPropagationFlags, UnmountFlags},
    process::{Pid, PidfdFlags},
    thread::ThreadNameSpaceType,
};

use super::{Worker, WorkerError, containerd_config::STATE_DIR, start::STEPS_DIR};

/// Set in the environment of the process that [`enter`] runs in its place. The caller reads it and then
/// calls [`isolate`] instead of [`enter`].
pub const ENTERED: &str = "TOUCHMARK_INSIDE_WORKER";

/// The allocator (glibc's) makes an arena for almost each thread, and what one thread frees another cannot
/// have: with the blocks of layers, which go from thread to thread, half of the memory lay idle.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "1");

/// Joins the worker's user and mount namespaces and runs this program again with the same arguments
/// (`arguments` without the program name) in place of the calling process. Must be called while the
/// process has one thread; returns only when it failed.
///
/// The second run is what makes the process belong to the worker's user namespace as a whole: until then
/// `/proc/<pid>` is guarded by the outer one, and the OCI runtime could not open `/proc/<pid>/fd/N`.
///
/// # Errors
/// [`WorkerError::Enter`] with the step that failed.
pub fn enter(worker: &Worker, arguments: &[OsString]) -> Result<Infallible, WorkerError> {
    let step = |step: &'static str| move |source| WorkerError::Enter { step, source };
    let directory = env::current_dir().map_err(step("find the current directory"))?;
    join(worker).map_err(step("join the namespaces"))?;
    env::set_current_dir(&directory).map_err(step("return to the current directory"))?;
    let (program, own_name) = this_program().map_err(step("find this program"))?;
    let mut command = Command::new(program);
    command.arg0(own_name).args(arguments).env(ENTERED, "1").env(ARENAS.0, ARENAS.1);
    let error = command.exec();
    Err(step("run this program again")(error))
}

/// What to run, and its name. By its path, so that process lists show the name; by the kernel's own link
/// when that path is something else by now, or nothing in the worker's mount namespace.
fn this_program() -> io::Result<(PathBuf, PathBuf)> {
    let link = PathBuf::from("/proc/self/exe");
    let path = fs::read_link(&link)?;
    let own = fs::metadata(&link)?;
    let same = fs::metadata(&path).is_ok_and(|m| (m.dev(), m.ino()) == (own.dev(), own.ino()));
    Ok((if same { path.clone() } else { link }, path))
}

fn join(worker: &Worker) -> io::Result<()> {
    let pid = i32::try_from(worker.pid()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("not a process id"))?;
    // A descriptor, not a number: both namespaces are those of one process, whatever happens meanwhile.
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let both = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    rustix::thread::move_into_thread_name_spaces(process.as_fd(), both)?;
    Ok(())
}

/// Whether the calling process is in the worker's user namespace.
#[must_use]
pub fn is_inside(worker: &Worker) -> bool {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let own = of("self");
    own.is_some() && own == of(&worker.pid().to_string())
}

/// Gives the calling process, which is inside the worker, a mount namespace of its own. Whatever it mounts
/// is gone when it ends, however it ends, and nobody else sees it. Must be called while the process has one
/// thread.
///
/// # Errors
/// [`WorkerError::Enter`] when the kernel refuses, or the process is not inside `worker`.
pub fn isolate(worker: &Worker) -> Result<(), WorkerError> {
    let step = |step: &'static str| move |source| WorkerError::Enter { step, source };
    if !is_inside(worker) {
        let error = io::Error::other(format!("{ENTERED} is set, but this process is outside"));
        return Err(step("check the namespaces")(error));
    }
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| step("make a mount namespace")(e.into()))?;
    let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", propagation)
        .map_err(|e| step("separate the mounts")(e.into()))?;
    // The copy also holds what containerd mounts just now, when it unpacks an image. Kept here, that would
    // keep the snapshot's files on the disk until this build ends.
    // Bounded by fs.mount-max.
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(step("read the mount table"))?;
    for target in inherited(&table) {
        let _ = rustix::mount::unmount(target, UnmountFlags::DETACH);
    }
    Ok(())
}

/// Mount points of containerd and of steps, the innermost first (proc_pid_mountinfo(5), field 5).
fn inherited(table: &str) -> Vec<&str> {
    let prefixes = [format!("{STATE_DIR}/"), format!("{STEPS_DIR}/")];
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let mut found: Vec<_> =
        points.filter(|point| prefixes.iter().any(|p| point.starts_with(p.as_str()))).collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inherited_mounts_of_layers_are_detached_innermost_first() {
        let table = "1 0 0:1 / / rw - ext4 /dev/a rw\n\
             2 1 0:2 / /run rw - tmpfs t rw\n\
             3 2 0:3 / /run/touchmark-containerd/x/rootfs rw - overlay o rw\n\
             4 3 0:3 / /run/touchmark-steps/a/m rw - overlay o rw\n\
             5 2 0:3 / /run/touchmark-stepson rw - overlay o rw\n";
        assert_eq!(
            inherited(table),
            ["/run/touchmark-steps/a/m", "/run/touchmark-containerd/x/rootfs"]
        );
    }

    #[test]
    fn a_process_is_inside_its_own_namespace_only() {
        assert!(is_inside(&Worker::at(std::process::id(), "/none")));
        let gone = Worker::at(u32::MAX, "/none");
        assert!(!is_inside(&gone));
        assert!(isolate(&gone).unwrap_err().to_string().contains("check the namespaces"));
    }
}
