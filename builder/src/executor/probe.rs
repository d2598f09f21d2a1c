//! Which OCI runtime works here. crun takes half the time of runc, but not every one of it works without a
//! delegated cgroup. So it is tried once per worker, with all that a step has but a program: an empty file is
//! none, and only a runtime for which everything else went well gets as far as to say so.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::mount::{MountFlags, UnmountFlags};
use tokio::{process::Command, time::timeout};

use super::{
    ExecError, ExecRequest, ResolvedUser, StepNetns, mounts,
    runtime::{Runtime, RuntimeKind},
    seccomp,
    spec::spec,
    step_dir::StepDir,
};
use crate::{
    oci::digest::Digest,
    worker::{ProcessIdentity, WorkerConfig, process},
};

/// What was found out, kept as long as the worker lives.
const NOTES: &str = "/run/touchmark-runtime";

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// How long a runtime may take to say anything.
const LIMIT: Duration = Duration::from_secs(10);

/// The largest filter that the kernel takes is 4096 instructions of 8 bytes (BPF_MAXINSNS).
const MAX_FILTER: u64 = 4096 * 8;

/// The largest note: a filter in base64, and a path.
const MAX_NOTE: u64 = 64 << 10;

/// The runtime for this worker's steps.
///
/// # Errors
/// When there is none, or its files cannot be written.
pub(super) async fn choose(
    config: &WorkerConfig,
    builder: &ProcessIdentity,
) -> Result<Runtime, ExecError> {
    let crun = config.find_program("crun");
    let note = Path::new(NOTES).join(name_of(crun.as_deref()));
    if let Some(runtime) = noted(&note) {
        if runtime.kind != RuntimeKind::Runc {
            cover(Path::new(CGROUPS));
        }
        return Ok(runtime);
    }
    let found = match crun {
        Some(program) => {
            cover(Path::new(CGROUPS));
            let tried = try_crun(program, builder).await;
            if !matches!(tried, Ok(Some(_))) {
                uncover(Path::new(CGROUPS));
            }
            tried?
        }
        None => None,
    };
    let runtime = match found {
        Some(runtime) => runtime,
        None => {
            let none =
                || ExecError::Request("there is no runc\nhelp: sudo apt-get install runc".into());
            let program = config.find_program("runc").ok_or_else(none)?;
            Runtime { program, kind: RuntimeKind::Runc }
        }
    };
    // Another build may find it out again.
    let _ = keep(&note, &runtime);
    Ok(runtime)
}

/// Another program or another list of system calls is another note.
fn name_of(crun: Option<&Path>) -> String {
    let program = crun.and_then(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some(format!("{} {} {}", path.display(), metadata.len(), metadata.mtime_nsec()))
    });
    Digest::of(format!("{program:?}\n{}", seccomp::default_text()).as_bytes()).hex()
}

fn noted(note: &Path) -> Option<Runtime> {
    let runtime: Runtime = serde_json::from_slice(&read(note, MAX_NOTE).ok()?).ok()?;
    runtime.program.is_file().then_some(runtime)
}

fn keep(note: &Path, runtime: &Runtime) -> io::Result<()> {
    let own = format!("{}.{}", note.display(), std::process::id());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(NOTES)?;
    fs::write(&own, serde_json::to_vec(runtime)?)?;
    fs::rename(own, note)
}

fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// Hides the machine's control groups from this process and its steps: crun refuses a mixture of both
/// versions, a step must not see them, and without delegation nobody here can use them.
fn cover(cgroups: &Path) {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Where it fails, crun has to live with what is there, or fails too.
    let _ = rustix::mount::mount("none", cgroups, "tmpfs", flags, c"mode=755,size=0");
}

fn uncover(cgroups: &Path) {
    let _ = rustix::mount::unmount(cgroups, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
}

/// crun with the filter that it makes of the default profile; `None` when it does not work here.
async fn try_crun(
    program: PathBuf,
    builder: &ProcessIdentity,
) -> Result<Option<Runtime>, ExecError> {
    let dir = StepDir::make(builder, "probe")?;
    let root = dir.subdirectory("rootfs")?;
    dir.file("rootfs/probe", b"", (0, 0), 0o755)?;
    mounts::give(&root, (0, 0)).map_err(ExecError::file("give away", root))?;
    let mut runtime = Runtime { program, kind: RuntimeKind::Crun { filter: None } };
    dir.configure(&spec(&request(), vec![], None)?)?;
    let bundle = dir.path().as_os_str();
    let container = OsStr::new(dir.container());
    let create = ["create", "--bundle"].map(OsStr::new);
    let made = call(&runtime, &dir, &[&create[..], &[bundle, container]].concat()).await;
    let filter = read(&Runtime::filter_file(&dir), MAX_FILTER);
    let delete = ["delete", "--force"].map(OsStr::new);
    let deleted = call(&runtime, &dir, &[&delete[..], &[container]].concat()).await;
    let (Some((0, _)), Some((0, _)), Ok(filter)) = (made, deleted, filter) else {
        return Ok(None);
    };
    let filter = STANDARD.encode(filter);
    dir.configure(&spec(&request(), vec![], Some(&filter))?)?;
    runtime.kind = RuntimeKind::Crun { filter: Some(filter) };
    let run = ["run", "--bundle"].map(OsStr::new);
    let ran = call(&runtime, &dir, &[&run[..], &[bundle, container]].concat()).await;
    let works = ran.is_some_and(|(code, said)| code != 0 && said.contains("Exec format error"));
    Ok(works.then_some(runtime))
}

/// What a runtime's command exits with and says; `None` when it hangs.
async fn call(runtime: &Runtime, dir: &StepDir, action: &[&OsStr]) -> Option<(i32, String)> {
    let mut command = Command::from(runtime.command(dir, action));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let said = dir.path().join("said");
    command.stderr(fs::File::create(&said).ok()?);
    let mut child = command.spawn().ok()?;
    match timeout(LIMIT, child.wait()).await {
        Ok(status) => Some((status.ok()?.code()?, process::read_small(&said).ok()?)),
        Err(_) => {
            child.id().into_iter().for_each(process::kill_tree);
            let _ = child.wait().await;
            None
        }
    }
}

/// A step with nothing of its own.
fn request() -> ExecRequest {
    ExecRequest {
        args: vec!["/probe".into()],
        env: Vec::new(),
        secret_env: Vec::new(),
        cwd: "/".into(),
        user: ResolvedUser::default(),
        hostname: "probe".into(),
        network: StepNetns::None,
        insecure: false,
        resolv_conf: None,
        hosts: Vec::new(),
        mounts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_is_another_note() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = name_of(Some(file.path()));
        assert_eq!(first, name_of(Some(file.path())));
        fs::write(file.path(), "more").unwrap();
        assert_ne!(first, name_of(Some(file.path())));
        assert_ne!(first, name_of(None));
    }

    #[test]
    fn a_note_that_cannot_be_used_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "{", "{\"program\":\"/nowhere\",\"kind\":\"runc\"}"] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(noted(file.path()), None, "{text}");
        }
        let runtime = Runtime { program: "/proc/self/exe".into(), kind: RuntimeKind::Runc };
        fs::write(file.path(), serde_json::to_vec(&runtime).unwrap()).unwrap();
        assert_eq!(noted(file.path()), Some(runtime));
    }
}
