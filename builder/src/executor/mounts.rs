//! The mounts of a step, as the OCI runtime wants them, and the generated files behind some of them.

use std::{fs, io, os::unix::fs::chown, path::Path, path::PathBuf};

use oci_spec::runtime::Mount;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{ExecError, ExecRequest, ExtraMount, MountSource, StepNetns, step_dir::StepDir};
use crate::snapshot::{Mounted, OWNER_SHIFT};

/// The size of `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// What every step gets, like a Docker container: `/proc`, a fresh `/dev`, the host's `/sys` read-only.
pub(super) fn standard(request: &ExecRequest) -> Vec<Mount> {
    let shm = format!("size={}", request.shm_size.unwrap_or(SHM_SIZE));
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    let flags = ["nosuid", "noexec", "nodev", "ro"];
    mounts.push(match request.network {
        // A sysfs shows one network namespace; only that one's owner may mount it.
        StepNetns::Path(_) | StepNetns::Host => {
            mount("/sys", "bind", "/sys", &["rbind", "rslave", "nosuid", "noexec", "nodev", "ro"])
        }
        StepNetns::None => mount("/sys", "sysfs", "sysfs", &flags),
    });
    mounts
}

/// `/etc/resolv.conf` and `/etc/hosts`. Read-only, as in BuildKit: what a step wrote there would be lost
/// without a word.
pub(super) fn name_files(request: &ExecRequest, dir: &StepDir) -> Result<Vec<Mount>, ExecError> {
    let mut hosts = format!(
        "127.0.0.1\tlocalhost {}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        request.hostname
    );
    for (name, address) in &request.hosts {
        hosts.push_str(&format!("{address}\t{name}\n"));
    }
    let mut files = vec![("hosts", hosts.as_str())];
    files.extend(request.resolv_conf.as_deref().map(|text| ("resolv.conf", text)));
    let place = |(name, text): (&str, &str)| {
        let path = dir.file(name, text.as_bytes(), (0, 0), 0o644)?;
        Ok(bind(&Path::new("/etc").join(name), &path, &["rbind", "ro"]))
    };
    files.into_iter().map(place).collect()
}

/// The request's own mounts. Snapshots are mounted in this process's mount namespace, which the OCI runtime
/// shares; they go with the step's directory, and at the latest with this process.
pub(super) fn extra(request: &ExecRequest, dir: &mut StepDir) -> Result<Vec<Mount>, ExecError> {
    let place = |(number, mount)| one(mount, number, dir);
    request.mounts.iter().enumerate().map(place).collect()
}

fn one(extra: &ExtraMount, number: usize, dir: &mut StepDir) -> Result<Mount, ExecError> {
    let mode = if extra.read_only { "ro" } else { "rw" };
    match &extra.source {
        MountSource::Path(path) => {
            let locked = flags_of(path).map_err(ExecError::file("look at", path.clone()))?;
            let mut options = vec!["rbind", mode];
            options.extend(locked.iter().filter(|_| extra.read_only));
            Ok(bind(&extra.target, path, &options))
        }
        MountSource::Snapshot(mounts, within) => {
            let point = dir.subdirectory(&format!("mount{number}"))?;
            Mounted::mount(mounts, &point)?.keep();
            let (source, locked) = inside(&point, within)?;
            let mut options = vec!["rbind", mode];
            options.extend(locked.iter().filter(|_| extra.read_only));
            Ok(bind(&extra.target, &source, &options))
        }
        MountSource::Tmpfs { size, mode: bits } => {
            let mut options = vec![mode.to_owned(), "nosuid".into(), "nodev".into()];
            options.push(format!("mode={bits:o}"));
            options.extend(size.map(|size| format!("size={size}")));
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            Ok(mount(&extra.target.to_string_lossy(), "tmpfs", "tmpfs", &options))
        }
        MountSource::Agent { agent, uid, gid, mode: bits } => {
            let path = dir.socket(&format!("agent{number}"), agent, (*uid, *gid), *bits)?;
            Ok(bind(&extra.target, &path, &["rbind", "rw"]))
        }
        MountSource::File { content, uid, gid, mode: bits } => {
            let path = dir.file(&format!("file{number}"), content, (*uid, *gid), *bits)?;
            Ok(bind(&extra.target, &path, &["rbind", mode]))
        }
    }
}

/// `within` below the mount point, and the flags of the mount there. `..` and links are refused: a
/// Dockerfile names this path, and the OCI runtime would follow them out of the stage.
fn inside(point: &Path, within: &Path) -> Result<(PathBuf, Vec<&'static str>), ExecError> {
    let within = within.strip_prefix("/").unwrap_or(within);
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
    if !within.components().all(plain) {
        return Err(ExecError::Request(format!(
            "cannot mount '{}': a path with '..' leaves its stage",
            within.display()
        )));
    }
    let below = if within.as_os_str().is_empty() { Path::new(".") } else { within };
    let look = || {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let root = rustix::fs::open(point, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(root, below, flags, Mode::empty(), resolve)?;
        flags_of(point)
    };
    let flags = look().map_err(ExecError::file("mount from", within))?;
    let source = if below == within { point.join(within) } else { point.to_owned() };
    Ok((source, flags))
}

/// Flags of the mount that holds `path`. A nested user namespace may not take them away, and the OCI runtime
/// does so when it makes a bind read-only without naming them.
fn flags_of(path: &Path) -> io::Result<Vec<&'static str>> {
    use rustix::fs::StatVfsMountFlags as Flags;
    let flags = rustix::fs::statvfs(path)?.f_flag;
    let named = [(Flags::NOSUID, "nosuid"), (Flags::NODEV, "nodev"), (Flags::NOEXEC, "noexec")];
    Ok(named.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name).collect())
}

fn bind(target: &Path, source: &Path, options: &[&str]) -> Mount {
    mount(&target.to_string_lossy(), "bind", &source.to_string_lossy(), options)
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(target.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options.iter().map(ToString::to_string).collect()));
    mount
}

/// Gives a file to an owner of the step.
pub(super) fn give(path: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    chown(path, Some(uid.saturating_add(OWNER_SHIFT)), Some(gid.saturating_add(OWNER_SHIFT)))
}

/// Whether a kernel feature's file is there.
pub(super) fn has(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok()
}
