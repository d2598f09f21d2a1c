//! Does a program of another processor run here? The surest answer is to run one.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, unshare};

use super::machine::Machine;

/// How often to try again while another thread's new process still holds the program open for writing.
const TRIES: u32 = 50;

/// Runs the machine's smallest program as a step would: with a root directory in which there is nothing
/// else, no interpreter either. Whatever goes wrong is a no.
pub(super) fn runs(machine: &Machine, scratch: &Path) -> bool {
    run(machine, scratch).unwrap_or(false)
}

fn run(machine: &Machine, scratch: &Path) -> io::Result<bool> {
    let root = tempfile::Builder::new().prefix("probe-").tempdir_in(scratch)?;
    let program = root.path().join("probe");
    fs::write(&program, machine.program())?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let null = || File::options().read(true).write(true).open("/dev/null");
    let (stdin, stdout, stderr) = (null()?, null()?, null()?);
    let inside = move || {
        // The kernel changes the root of a thread only apart from that of the others.
        unshare(CloneFlags::CLONE_FS)?;
        rustix::process::chroot(root.path())?;
        std::env::set_current_dir("/")?;
        let mut command = Command::new("/probe");
        command.env_clear().stdin(stdin).stdout(stdout).stderr(stderr);
        for _ in 0..TRIES {
            match command.status() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    thread::sleep(Duration::from_millis(5));
                }
                ended => return Ok(ended?.success()),
            }
        }
        Ok(false)
    };
    thread::scope(|scope| scope.spawn(inside).join())
        .unwrap_or_else(|_| Err(io::Error::other("the probing thread ended early")))
}
