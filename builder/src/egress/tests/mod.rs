//! Steps on the network, each test as root of a fresh user namespace that an unprivileged user made:
//! a test runs itself again inside and reports what came of it.

mod client;
mod dns;
mod escape;
mod hostile;
mod http;
mod inspect;
mod origin;
mod proxied;
mod slow;
mod ssh;
mod store;
mod tls;
mod way_out;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{downloads::Terms, policy::Policy};

use super::{Egress, StepNetwork, StepOrigin, WayOut};

/// Any identity but root's will do; nobody has to know it.
const UNPRIVILEGED: &str = "60123";

/// Is this the inside, where the test is to do its work? Outside it runs `test` of `module` inside and
/// fails with it. The test binary goes as standard input, so that the unprivileged user need not be
/// able to walk to it.
fn inside(module: &str, test: &str) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    if map.split_whitespace().nth(2) == Some("1") {
        return true;
    }
    let (_, module) = module.split_once("::").unwrap();
    let mut command = if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        let ids = [format!("--reuid={UNPRIVILEGED}"), format!("--regid={UNPRIVILEGED}")];
        command.args(ids).args(["--clear-groups", "unshare"]);
        command
    } else {
        Command::new("unshare")
    };
    let output = command
        .args(["--user", "--map-root-user", "/proc/self/fd/0"])
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .stdin(File::open(fs::read_link("/proc/self/exe").unwrap()).unwrap())
        .current_dir("/")
        .output()
        .unwrap();
    let (talk, told) =
        (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{talk}");
    println!("{told}\n{talk}");
    false
}

fn egress(policy: &str) -> Egress {
    egress_by(policy, WayOut::default())
}

fn egress_by(policy: &str, way: WayOut) -> Egress {
    let policy = Policy::parse("touchmark.toml", policy).unwrap();
    Egress::new(Arc::new(policy.network), None, Terms::default(), way)
}

/// A policy that sends `packages.example` to a server of this test.
fn to_loopback(port: u16) -> String {
    format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example\"\n\
         upstream = \"http://127.0.0.1:{port}\"\n\
         methods = [\"GET\", \"HEAD\", \"POST\"]\n"
    )
}

fn origin() -> StepOrigin {
    StepOrigin { line: 7, text: "RUN fetch".into(), stage: "build".into() }
}

async fn open(policy: &str) -> StepNetwork {
    egress(policy).open_step(origin()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_is_cheap_and_leaves_nothing() {
    if !inside(module_path!(), "set_up_is_cheap_and_leaves_nothing") {
        return;
    }
    let egress = egress("");
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let began = Instant::now();
    egress.open_step(origin()).await.unwrap().finish().await;
    println!("first step: {:?}", began.elapsed());
    let before = descriptors();
    let (mut opening, mut closing) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..20 {
        let began = Instant::now();
        let step = egress.open_step(origin()).await.unwrap();
        opening += began.elapsed();
        let began = Instant::now();
        step.finish().await;
        closing += began.elapsed();
    }
    println!("per step: open {:?}, finish {:?}", opening / 20, closing / 20);
    drop(egress.open_step(origin()).await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(descriptors() <= before, "{} then {}", before, descriptors());
    assert!(opening.as_millis() < 20 * 500, "{opening:?}");
}

/// No process, descriptor or mount refers to a namespace once its step is finished, dropped or killed
/// with the builder; the kernel then takes it down in the background.
#[tokio::test(flavor = "multi_thread")]
async fn finished_dropped_and_killed_steps_hold_no_namespace() {
    if !inside(module_path!(), "finished_dropped_and_killed_steps_hold_no_namespace") {
        return;
    }
    let step = open("").await;
    let first = fs::read_link(step.netns_path()).unwrap();
    assert!(is_held(&first));
    step.finish().await;
    let step = open("").await;
    let second = fs::read_link(step.netns_path()).unwrap();
    drop(step);
    let mut child = Command::new("/proc/self/exe")
        .args(["--exact", "egress::tests::hold_a_step", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let third = lines.find_map(|line| Some(line.split_once("held ")?.1.to_owned())).unwrap();
    assert!(is_held(third.as_ref()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!is_held(&first) && !is_held(&second) && !is_held(third.as_ref()));
}

/// Does any process that can be seen hold the namespace, as its own, open or mounted?
fn is_held(namespace: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let mut links = Vec::new();
    for process in processes.filter(|path| path.join("task").exists()) {
        for folder in ["fd", "task"] {
            let entries = fs::read_dir(process.join(folder)).into_iter().flatten().flatten();
            links.extend(entries.map(|entry| entry.path()));
        }
        let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        if mounts.contains(&*namespace.to_string_lossy()) {
            return true;
        }
    }
    let leads = |link: &PathBuf| fs::read_link(link).is_ok_and(|target| target == namespace);
    links.iter().any(|link| leads(link) || leads(&link.join("ns/net")))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "another test starts it and kills it"]
async fn hold_a_step() {
    let step = open("").await;
    println!("held {}", fs::read_link(step.netns_path()).unwrap().display());
    tokio::time::sleep(Duration::from_secs(60)).await;
}
