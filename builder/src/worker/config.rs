//! Where the worker keeps its files, and which programs it finds.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{Unsettled, WorkerError, process::read_small};
use crate::oci::digest::Digest;

/// Directories searched after the user's own search path: Debian keeps runc and containerd's parts
/// there, and an unprivileged login shell does not.
const SYSTEM_DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Who starts the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerUser {
    /// The login name, by which `/etc/subuid` lists ranges.
    pub name: String,
    /// The real user id.
    pub uid: u32,
}

impl WorkerUser {
    /// The user of the calling process, also when it has entered the worker, where it is 0.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn current() -> Result<Self, WorkerError> {
        let path = Path::new("/proc/self/uid_map");
        let map = read_small(path).map_err(WorkerError::file("read", path))?;
        let uid = outer(&map, rustix::process::getuid().as_raw());
        let entry = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        Ok(Self { name: entry.map_or_else(|| uid.to_string(), |user| user.name), uid })
    }
}

/// What `uid` is called outside of the user namespace with this map (user_namespaces(7)).
fn outer(map: &str, uid: u32) -> u32 {
    let range = |line: &str| {
        let mut fields = line.split_ascii_whitespace().map_while(|field| field.parse::<u32>().ok());
        let (inside, outside, count) = (fields.next()?, fields.next()?, fields.next()?);
        let distance = uid.checked_sub(inside)?;
        (distance < count).then(|| outside.saturating_add(distance))
    };
    map.lines().find_map(range).unwrap_or(uid)
}

/// All that the worker is told from outside; the command line fills it.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Snapshots and the worker's database, usually `~/.local/share/touchmark`.
    pub data_dir: PathBuf,
    /// Sockets, locks and logs: a directory from [`runtime_dir`].
    pub runtime_dir: PathBuf,
    /// The user's search path for programs.
    pub search_path: Vec<PathBuf>,
    /// The socket of a rootless containerd that is already there (`--containerd`).
    pub containerd: Option<PathBuf>,
    /// Who starts the worker.
    pub user: WorkerUser,
}

impl WorkerConfig {
    /// containerd's root directory: metadata and snapshots.
    #[must_use]
    pub fn containerd_root(&self) -> PathBuf {
        self.data_dir.join("containerd")
    }

    /// Who wrote snapshots that the disk may not have yet.
    #[must_use]
    pub fn unsettled(&self) -> Unsettled {
        Unsettled::new(self.data_dir.join("unsettled"), self.containerd_root())
    }

    /// The directory of this worker's sockets, locks and logs. Two data directories are two workers,
    /// so its name is taken from the data directory.
    #[must_use]
    pub fn instance_dir(&self) -> PathBuf {
        let digest = Digest::of(self.data_dir.as_os_str().as_encoded_bytes()).hex();
        self.runtime_dir.join(format!("worker-{}", digest.get(..8).unwrap_or_default()))
    }

    /// rootlesskit's state directory; holds `child_pid`.
    pub(super) fn rootlesskit_dir(&self) -> PathBuf {
        self.instance_dir().join("rk")
    }

    /// What rootlesskit and containerd print.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.instance_dir().join("worker.log")
    }

    /// The generated containerd configuration.
    pub(super) fn config_file(&self) -> PathBuf {
        self.instance_dir().join("containerd.toml")
    }

    /// Held while the worker starts or stops.
    pub(super) fn lock_file(&self) -> PathBuf {
        self.instance_dir().join("lock")
    }

    /// The first executable file of that name in the search path or the system's directories.
    #[must_use]
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        let system = SYSTEM_DIRECTORIES.iter().map(Path::new);
        let all = self.search_path.iter().map(PathBuf::as_path).chain(system);
        all.map(|directory| directory.join(name)).find(|path| is_executable(path))
    }

    /// The search path of the worker's own processes.
    pub(super) fn worker_path(&self) -> String {
        let own = self.search_path.iter().map(|p| p.to_string_lossy().into_owned());
        let system = SYSTEM_DIRECTORIES.iter().map(ToString::to_string);
        own.chain(system).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(":")
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Makes and checks the directory for sockets and locks: `<xdg>/touchmark`, or `/tmp/touchmark-<uid>`
/// when the session has none. It must be a real directory of mode 0700 that belongs to the caller: in `/tmp`
/// anyone could have made it first and would then own the worker's socket. Works inside the worker too.
///
/// # Errors
/// When it cannot be made, or is not ours alone.
pub fn runtime_dir(xdg: Option<&Path>, uid: u32) -> Result<PathBuf, WorkerError> {
    match xdg.filter(|path| path.is_absolute() && path.is_dir()) {
        Some(path) => private_dir(path.join("touchmark")),
        None => private_dir(PathBuf::from(format!("/tmp/touchmark-{uid}"))),
    }
}

/// Makes `path` with mode 0700 unless it is there, and checks that it is a directory of the caller alone.
pub(super) fn private_dir(path: PathBuf) -> Result<PathBuf, WorkerError> {
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(WorkerError::File { doing: "create", path, source: error });
        }
        _ => {}
    }
    let metadata =
        fs::symlink_metadata(&path).map_err(WorkerError::file("look at", path.clone()))?;
    let mode = metadata.permissions().mode() & 0o7777;
    let fault = if !metadata.is_dir() {
        "is not a directory".to_owned()
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        format!("belongs to uid {}", metadata.uid())
    } else if mode & 0o077 != 0 {
        format!("has mode {mode:04o} instead of 0700")
    } else {
        return Ok(path);
    };
    Err(WorkerError::UnsafeDirectory { path, fault })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn uid() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[test]
    fn the_runtime_directory_is_made_private() {
        let xdg = tempfile::tempdir().unwrap();
        let path = runtime_dir(Some(xdg.path()), uid()).unwrap();
        assert_eq!(path, xdg.path().join("touchmark"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(runtime_dir(Some(xdg.path()), uid()).unwrap(), path);
    }

    #[test]
    fn a_directory_that_another_could_have_made_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let message = private_dir(open.clone()).unwrap_err().to_string();
        assert_eq!(
            message,
            format!(
                "'{}' has mode 0777 instead of 0700, so its content cannot be trusted\n\
                 help: remove it, or set XDG_RUNTIME_DIR to a directory of your own",
                open.display()
            )
        );
        let link = root.path().join("link");
        symlink(&open, &link).unwrap();
        let message = private_dir(link).unwrap_err().to_string();
        assert!(message.contains("is not a directory"), "{message}");
    }

    #[test]
    fn the_outer_uid_is_found_through_the_map() {
        let worker = "         0       1001          1\n         1     100000      65536\n";
        assert_eq!(outer(worker, 0), 1001);
        assert_eq!(outer(worker, 2), 100_001);
        assert_eq!(outer("0 0 4294967295\n", 1001), 1001);
        assert_eq!(outer("", 7), 7);
        assert_eq!(WorkerUser::current().unwrap().uid, uid());
    }

    #[test]
    fn two_data_directories_are_two_workers() {
        let config = |data: &str| WorkerConfig {
            data_dir: data.into(),
            runtime_dir: "/run/user/1000/touchmark".into(),
            search_path: vec![],
            containerd: None,
            user: WorkerUser { name: "ana".into(), uid: 1000 },
        };
        assert_ne!(config("/a").instance_dir(), config("/b").instance_dir());
        assert_eq!(config("/a").instance_dir(), config("/a").instance_dir());
    }
}
