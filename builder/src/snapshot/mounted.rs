//! mount(2) for what the snapshotter answers, and the unmounting.

use std::{
    ffi::CString,
    io,
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, UnmountFlags};

use super::Mount;

/// The kernel takes one page of options, its last byte zero (mount(2)).
const OPTIONS_LIMIT: usize = 4095;

/// Why a snapshot could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel refused.
    #[error("cannot mount {kind} at '{}': {source}", target.display())]
    Mount {
        /// The file system type.
        kind: String,
        /// The mount point.
        target: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The text of all directories is longer than the kernel takes, even with relative paths.
    #[error(
        "cannot mount {layers} layers at once: their directories need {length} bytes, the kernel takes {OPTIONS_LIMIT}\n\
         help: squash the base image, or join RUN steps"
    )]
    TooManyLayers {
        /// How many read-only directories.
        layers: usize,
        /// The length of the options.
        length: usize,
    },
}

/// Mounts that are undone when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    count: usize,
}

impl Mounted {
    /// Mounts all of `mounts` at the existing directory `root`, the last on top. Visible only in the
    /// calling process's mount namespace.
    ///
    /// # Errors
    /// [`MountError`]; what was mounted before the failure is unmounted again.
    pub fn mount(mounts: &[Mount], root: &Path) -> Result<Self, MountError> {
        let mut mounted = Self { root: root.to_owned(), count: 0 };
        for mount in mounts {
            one(mount, root)?;
            mounted.count += 1;
        }
        Ok(mounted)
    }

    /// The mount point.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Leaves the mounts in place.
    pub(crate) fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for _ in 0..self.count {
            // Lazily: an open file does not keep the mount in the tree.
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            let _ = rustix::mount::unmount(&self.root, flags);
        }
    }
}

fn one(mount: &Mount, target: &Path) -> Result<(), MountError> {
    let refused =
        |source| MountError::Mount { kind: mount.kind.clone(), target: target.to_owned(), source };
    let options = Options::of(mount);
    if mount.kind == "bind" {
        return bind(mount, &options, target).map_err(refused);
    }
    let (directory, data) = options.compact();
    if data.len() > OPTIONS_LIMIT {
        return Err(MountError::TooManyLayers {
            layers: mount.lower_dirs().len(),
            length: data.len(),
        });
    }
    if mount.options.iter().any(|option| option == "volatile") {
        // Whether what an earlier mount wrote came to the disk is noted elsewhere: the kernel's own mark of it would
        // only be in the way.
        let work = mount.option("workdir").map(|work| Path::new(work).join("work/incompat"));
        work.map(std::fs::remove_dir_all);
    }
    let data = CString::new(data).map_err(|_| refused(io::ErrorKind::InvalidInput.into()))?;
    let mount_it = || -> io::Result<()> {
        let (source, kind) = (&mount.source, mount.kind.as_str());
        Ok(rustix::mount::mount(source, target, kind, options.flags, data.as_c_str())?)
    };
    match directory {
        Some(directory) => in_directory(&directory, mount_it).map_err(refused),
        None => mount_it().map_err(refused),
    }
}

fn bind(mount: &Mount, options: &Options, target: &Path) -> io::Result<()> {
    rustix::mount::mount_bind_recursive(&mount.source, target)?;
    // The kernel ignores other flags in the call that binds; a second one sets them.
    if options.flags.is_empty() {
        return Ok(());
    }
    let flags = MountFlags::BIND | options.flags;
    let remounted = rustix::mount::mount_remount(target, flags, "");
    if remounted.is_err() {
        let _ = rustix::mount::unmount(target, UnmountFlags::DETACH);
    }
    Ok(remounted?)
}

/// Runs `work` on a thread whose current directory is `directory`; the process's own stays.
fn in_directory(directory: &Path, work: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
    let moved = || {
        unshare(CloneFlags::CLONE_FS)?;
        std::env::set_current_dir(directory)?;
        work()
    };
    thread::scope(|scope| scope.spawn(moved).join())
        .unwrap_or_else(|_| Err(io::Error::other("the mounting thread ended early")))
}

/// An option list, split into the kernel's flags and the file system's own text.
struct Options {
    flags: MountFlags,
    data: Vec<String>,
}

impl Options {
    fn of(mount: &Mount) -> Self {
        let mut options = Self { flags: MountFlags::empty(), data: Vec::new() };
        for option in &mount.options {
            match option.as_str() {
                "ro" => options.flags |= MountFlags::RDONLY,
                "nosuid" => options.flags |= MountFlags::NOSUID,
                "nodev" => options.flags |= MountFlags::NODEV,
                "noexec" => options.flags |= MountFlags::NOEXEC,
                "noatime" => options.flags |= MountFlags::NOATIME,
                "relatime" => options.flags |= MountFlags::RELATIME,
                "rw" | "bind" | "rbind" | "defaults" => {}
                other => options.data.push(other.to_owned()),
            }
        }
        options
    }

    /// The text for the kernel. When it is longer than a page, the paths of an overlay are made relative
    /// to the directory that most of them share, which is returned too: with containerd's layout a layer
    /// then takes under ten bytes, so that 400 fit.
    fn compact(&self) -> (Option<PathBuf>, String) {
        let plain = self.data.join(",");
        if plain.len() <= OPTIONS_LIMIT {
            return (None, plain);
        }
        let lowest = self.data.iter().find_map(|option| option.strip_prefix("lowerdir="));
        let last = lowest.and_then(|lower| lower.rsplit(':').next()).map(Path::new);
        let Some(base) = last.and_then(Path::parent).and_then(Path::parent) else {
            return (None, plain);
        };
        let prefix = format!("{}/", base.display());
        let shorten = |path: &str| path.strip_prefix(&prefix).unwrap_or(path).to_owned();
        let shortened = self.data.iter().map(|option| match option.split_once('=') {
            Some((name @ ("lowerdir" | "upperdir" | "workdir"), paths)) => {
                let paths: Vec<_> = paths.split(':').map(shorten).collect();
                format!("{name}={}", paths.join(":"))
            }
            _ => option.clone(),
        });
        let data = shortened.collect::<Vec<_>>().join(",");
        (Some(base.to_owned()), data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(layers: usize) -> Mount {
        let base = "/home/ana/.local/share/touchmark/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
        let lower: Vec<_> = (0..layers).map(|n| format!("{base}/{n}/fs")).collect();
        Mount {
            kind: "overlay".into(),
            source: "overlay".into(),
            options: vec![
                "userxattr".into(),
                format!("workdir={base}/900/work"),
                format!("upperdir={base}/900/fs"),
                format!("lowerdir={}", lower.join(":")),
            ],
        }
    }

    #[test]
    fn few_layers_keep_their_absolute_paths() {
        let (directory, data) = Options::of(&overlay(3)).compact();
        assert_eq!(directory, None);
        assert!(data.starts_with("userxattr,workdir=/home/ana/"));
    }

    #[test]
    fn many_layers_are_relative_to_the_directory_of_snapshots() {
        let mount = overlay(127).with_lower_dir(Path::new("/run/extra"));
        let (directory, data) = Options::of(&mount).compact();
        assert!(directory.unwrap().ends_with("io.containerd.snapshotter.v1.overlayfs/snapshots"));
        assert!(data.starts_with(
            "userxattr,workdir=900/work,upperdir=900/fs,lowerdir=/run/extra:0/fs:1/fs:"
        ));
        assert!(data.len() < 1100);
    }

    #[test]
    fn flags_are_separated_from_data() {
        let mut mount = Mount::bind("/a", true);
        mount.options.extend(["nosuid".into(), "index=off".into()]);
        let options = Options::of(&mount);
        assert_eq!(options.flags, MountFlags::RDONLY | MountFlags::NOSUID);
        assert_eq!(options.data, ["index=off"]);
    }

    #[test]
    fn too_many_layers_say_so() {
        let message = one(&overlay(2000), Path::new("/nowhere")).unwrap_err().to_string();
        assert!(message.starts_with("cannot mount 2000 layers at once"), "{message}");
    }
}
