//! Makes a checkout independent of the machine: modes by whether git marks a file executable, times of the
//! commit.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Sets modes and times of everything in `root`, itself included. `.git` keeps its modes.
pub(super) fn settle(root: &Path, time: i64) -> io::Result<()> {
    let mut open = vec![(root.to_owned(), false)];
    let mut directories = Vec::new();
    while let Some((directory, own)) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let own = own || entry.file_name() == ".git";
            if kind.is_dir() {
                open.push((path, own));
                continue;
            }
            if kind.is_file() && !own {
                let mode = entry.metadata()?.permissions().mode();
                let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            }
            stamp(&path, time)?;
        }
        if !own {
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        }
        directories.push(directory);
    }
    directories.iter().try_for_each(|directory| stamp(directory, time))
}

fn stamp(path: &Path, time: i64) -> io::Result<()> {
    let at = Timespec { tv_sec: time, tv_nsec: 0 };
    let times = Timestamps { last_access: at, last_modification: at };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
