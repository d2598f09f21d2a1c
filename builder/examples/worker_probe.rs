//! Drives the worker, snapshots and executor by hand:
//! `worker_probe DATA_DIR start|stop|status|sweep|load TAR|run [-u UID:GID] PROGRAM…|parallel N|bench N|layers N|mounts|wipe`.
//! `run` and its like work on a new snapshot on top of the one that `load` made.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for the developer's terminal"
)]

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::fs::{PermissionsExt, lchown},
    path::{Path, PathBuf},
    time::Instant,
};

use tokio_util::sync::CancellationToken;
use touchmark_builder::{
    executor::{
        ExecRequest, Executor, ExtraMount, MountSource, OutputSink, ResolvedUser, StepNetns, Stream,
    },
    snapshot::{Mounted, OWNER_SHIFT, Snapshots},
    worker::{
        Connection, ProcessIdentity, Worker, WorkerConfig, WorkerUser, config::runtime_dir, enter,
        sweep::sweep,
    },
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Terminal;

impl OutputSink for Terminal {
    fn bytes(&self, stream: Stream, bytes: &[u8]) {
        let _ = match stream {
            Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            Stream::Stderr => io::stderr().write_all(bytes),
        };
    }
}

fn main() -> Result<()> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let words: Vec<String> = env::args().skip(1).collect();
    let data = words.first().ok_or("no data directory")?;
    let command = words.get(1).ok_or("no command")?;
    let config = config(data)?;
    let begin = Instant::now();
    match command.as_str() {
        "start" => {
            let worker = Worker::ensure(&config)?;
            println!("{worker:?} after {:?}", begin.elapsed());
            return Ok(());
        }
        "stop" => {
            println!("{:?} after {:?}", Worker::stop(&config)?, begin.elapsed());
            return Ok(());
        }
        _ => {}
    }
    let worker = Worker::ensure(&config)?;
    if env::var_os(enter::ENTERED).is_none() {
        enter::enter(&worker, &arguments)?;
    }
    enter::isolate(&worker)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(inside(&config, &worker, command, words.get(2..).unwrap_or_default()))
}

fn config(data: &str) -> Result<WorkerConfig> {
    let user = WorkerUser::current()?;
    let xdg = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime_dir = runtime_dir(xdg.as_deref(), user.uid)?;
    Ok(WorkerConfig {
        data_dir: data.into(),
        runtime_dir,
        search_path: env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
        containerd: None,
        user,
    })
}

async fn inside(
    config: &WorkerConfig,
    worker: &Worker,
    command: &str,
    rest: &[String],
) -> Result<()> {
    let connection = Connection::open(worker.socket()).await?;
    let builder = ProcessIdentity::current()?;
    let snapshots = Snapshots::open(connection.clone(), builder.clone()).await?;
    let executor = Executor::new(config.clone(), builder);
    match command {
        "status" => println!("{:#?}", Worker::status(config).await?),
        "sweep" => println!("{:?}", sweep(&connection).await?),
        "list" => snapshots.list().await?.iter().for_each(|s| println!("{s:?}")),
        "load" => load(&snapshots, rest.first().ok_or("no tar")?).await?,
        "run" => {
            let code = step(&snapshots, &executor, "run", rest, &Terminal).await?;
            println!("exit code {}", code);
        }
        "parallel" => {
            let count: usize = rest.first().ok_or("no count")?.parse()?;
            parallel(&snapshots, &executor, count).await?;
        }
        "bench" => {
            let count: usize = rest.first().ok_or("no count")?.parse()?;
            bench(&snapshots, &executor, count).await?;
        }
        "layers" => {
            let count: usize = rest.first().ok_or("no count")?.parse()?;
            layers(&snapshots, &executor, count).await?;
        }
        "wipe" => wipe(config)?,
        "mounts" => mounts(&snapshots, &executor).await?,
        other => return Err(format!("unknown command {other}").into()),
    }
    snapshots.close().await?;
    Ok(())
}

async fn load(snapshots: &Snapshots, tar: &str) -> Result<()> {
    let begin = Instant::now();
    snapshots.remove("base-work").await?;
    let mounts = snapshots.prepare("base-work", None).await?;
    let directory = tempfile::tempdir_in("/run")?;
    let mounted = Mounted::mount(&mounts, directory.path())?;
    let mut archive = tar::Archive::new(fs::File::open(tar)?);
    let mut modes = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let path = mounted.root().join(entry.path()?.strip_prefix("./").unwrap_or(&entry.path()?));
        if kind.is_character_special() || kind.is_block_special() {
            continue;
        }
        entry.set_preserve_permissions(true);
        entry.unpack_in(mounted.root())?;
        let shift = |id: u64| u32::try_from(id).map(|id| id + OWNER_SHIFT);
        lchown(&path, Some(shift(entry.header().uid()?)?), Some(shift(entry.header().gid()?)?))?;
        if !kind.is_symlink() {
            modes.push((path, entry.header().mode()?));
        }
    }
    for (path, mode) in modes {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    drop(mounted);
    snapshots.commit("base", "base-work").await?;
    println!("loaded in {:?}", begin.elapsed());
    Ok(())
}

fn request(args: &[String], user: ResolvedUser) -> ExecRequest {
    ExecRequest {
        args: args.to_vec(),
        env: vec![("TERM".into(), "dumb".into())],
        secret_env: Vec::new(),
        cwd: "/".into(),
        user,
        hostname: "buildhost".into(),
        network: StepNetns::None,
        insecure: false,
        resolv_conf: Some("nameserver 10.0.2.2\n".into()),
        hosts: Vec::new(),
        mounts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
    }
}

async fn step(
    snapshots: &Snapshots,
    executor: &Executor,
    id: &str,
    args: &[String],
    sink: &dyn OutputSink,
) -> Result<u32> {
    let (user, args) = match args {
        [flag, user, rest @ ..] if flag == "-u" => {
            let (uid, gid) = user.split_once(':').ok_or("no group")?;
            let user = ResolvedUser { uid: uid.parse()?, gid: gid.parse()?, groups: vec![] };
            (user, rest)
        }
        all => (ResolvedUser::default(), all),
    };
    let key = format!("step-{id}-{}", std::process::id());
    let wanted = request(args, user);
    let rootfs = snapshots.prepare(&key, Some("base")).await?;
    let upper = touchmark_builder::snapshot::mount::upper_dir(&rootfs);
    let cancel = CancellationToken::new();
    let on_interrupt = cancel.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        on_interrupt.cancel();
    });
    let result = executor.run(executor.mount(id, &rootfs)?, &wanted, sink, &cancel).await;
    if let Some(upper) = upper.filter(|_| env::var_os("PROBE_UPPER").is_some()) {
        show(&upper, &upper)?;
    }
    snapshots.remove(&key).await?;
    Ok(result?.0)
}

/// Prints what a step left in its upper directory.
fn show(root: &Path, directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        println!("changed: /{}", entry.path().strip_prefix(root)?.display());
        if entry.file_type()?.is_dir() {
            show(root, &entry.path())?;
        }
    }
    Ok(())
}

/// Empties the data directory, which holds files of other owners: outside, the user could not.
fn wipe(config: &WorkerConfig) -> Result<()> {
    for entry in fs::read_dir(config.data_dir.join("containerd"))? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

/// A step on `count` layers above the base, each with one file.
async fn layers(snapshots: &Snapshots, executor: &Executor, count: usize) -> Result<()> {
    let mut parent = "base".to_owned();
    for n in 0..count {
        let key = format!("layer-work{n}");
        let mounts = snapshots.prepare(&key, Some(&parent)).await?;
        let upper = touchmark_builder::snapshot::mount::upper_dir(&mounts).ok_or("read-only")?;
        fs::write(upper.join(format!("layer{n}")), "")?;
        parent = format!("layer{n}");
        snapshots.commit(&parent, &key).await?;
    }
    let script = "ls / | grep -c ^layer; touch /written";
    let wanted = request(&["sh", "-c", script].map(String::from), ResolvedUser::default());
    let root = executor.mount("layers", &snapshots.prepare("layers", Some(&parent)).await?)?;
    println!("{:?}", executor.run(root, &wanted, &Terminal, &CancellationToken::new()).await?);
    let directory = tempfile::tempdir_in("/run")?;
    let view = Mounted::mount(&snapshots.view("layers-view", &parent).await?, directory.path())?;
    println!("seen by the builder: {}", fs::read_dir(view.root())?.count());
    drop(view);
    snapshots.remove("layers-view").await?;
    snapshots.remove("layers").await?;
    for n in (0..count).rev() {
        snapshots.remove(&format!("layer{n}")).await?;
    }
    Ok(())
}

/// A step with one mount of every kind.
async fn mounts(snapshots: &Snapshots, executor: &Executor) -> Result<()> {
    let private = tempfile::tempdir()?;
    fs::write(private.path().join("file"), "of the host\n")?;
    let mut wanted =
        request(&["sh".into(), "-c".into(), MOUNTS_SCRIPT.into()], ResolvedUser::default());
    let content = b"hunter2".to_vec();
    let mount =
        |target: &str, read_only, source| ExtraMount { target: target.into(), source, read_only };
    wanted.mounts = vec![
        mount("/mnt/host", true, MountSource::Path(private.path().into())),
        mount(
            "/mnt/stage",
            true,
            MountSource::Snapshot(snapshots.view("mounts-view", "base").await?, "/etc".into()),
        ),
        mount("/mnt/tmp", false, MountSource::Tmpfs { size: Some(1 << 20), mode: 0o1777 }),
        mount("/run/secrets/a", true, MountSource::File { content, uid: 0, gid: 0, mode: 0o400 }),
    ];
    let rootfs = snapshots.prepare("mounts", Some("base")).await?;
    let upper = touchmark_builder::snapshot::mount::upper_dir(&rootfs).ok_or("read-only")?;
    let root = executor.mount("mounts", &rootfs)?;
    let result = executor.run(root, &wanted, &Terminal, &CancellationToken::new()).await;
    show(&upper, &upper)?;
    snapshots.remove("mounts").await?;
    snapshots.remove("mounts-view").await?;
    println!("{:?}", result?);
    Ok(())
}

const MOUNTS_SCRIPT: &str = "cat /mnt/host/file; head -1 /mnt/stage/passwd; \
    touch /mnt/host/x /mnt/stage/x /mnt/tmp/x; ls -la /run/secrets/a; cat /run/secrets/a; echo; \
    stat -c '%a %u' /mnt/tmp; dd if=/dev/zero of=/mnt/tmp/big bs=1M count=3 2>&1 | grep space";

async fn parallel(snapshots: &Snapshots, executor: &Executor, count: usize) -> Result<()> {
    let begin = Instant::now();
    let args: Vec<String> =
        ["sh", "-c", "echo $$ $(id -u); sleep 1; exit 3"].map(String::from).into();
    let names: Vec<_> = (0..count).map(|n| format!("parallel{n}")).collect();
    let runs = names.iter().map(|name| step(snapshots, executor, name, &args, &Terminal));
    for result in futures::future::join_all(runs).await {
        println!("exit code {}", result?);
    }
    println!("{count} in {:?}", begin.elapsed());
    Ok(())
}

async fn bench(snapshots: &Snapshots, executor: &Executor, count: usize) -> Result<()> {
    let args = ["true".to_owned()];
    let mut times = Vec::new();
    for n in 0..count {
        let begin = Instant::now();
        step(snapshots, executor, &format!("bench{n}"), &args, &Terminal).await?;
        times.push(begin.elapsed());
    }
    times.sort();
    println!(
        "true: fastest {:?} median {:?} slowest {:?}",
        times[0],
        times[count / 2],
        times[count - 1]
    );
    Ok(())
}
