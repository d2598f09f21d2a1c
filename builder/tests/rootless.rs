//! The worker, snapshots and executor on this machine, for the user who runs the tests. Not run by default:
//! it needs containerd, runc, rootlesskit, subordinate ids and a root file system as a tar in
//! `TOUCHMARK_TEST_BASE`. Build the tool first: `cargo build -p touchmark-builder --example worker_probe`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::{
    env,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// No process.
const NOBODY: [u32; 0] = [];

/// A data directory with a worker of its own, which ends with the test.
struct Sandbox {
    data: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self { data: tempfile::tempdir().unwrap() };
        let base = env::var("TOUCHMARK_TEST_BASE").expect("TOUCHMARK_TEST_BASE names a tar");
        sandbox.ok(&["load", &base]);
        sandbox
    }

    fn command(&self, words: &[&str]) -> Command {
        let here = env::current_exe().unwrap();
        let probe = here.parent().unwrap().parent().unwrap().join("examples/worker_probe");
        let mut command = Command::new(probe);
        command.arg(self.data.path()).args(words).env_remove("XDG_RUNTIME_DIR");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Standard output of a command that must succeed.
    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn shell(&self, script: &str) -> String {
        self.ok(&["run", "sh", "-c", script])
    }

    fn start(&self, script: &str) -> Child {
        let mut command = self.command(&["run", "sh", "-c", script]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.run(&["wipe"]);
        let _ = self.run(&["stop"]);
    }
}

/// Host uids of the living processes whose command line holds `text`, this test's own tool left out.
fn owners(text: &str) -> Vec<u32> {
    let output = Command::new("ps").args(["-eo", "uid,stat,args"]).output().unwrap();
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = list.lines().filter(|line| line.contains(text) && !line.contains("worker_probe"));
    let alive = found.filter(|line| !line.split_whitespace().nth(1).unwrap().starts_with('Z'));
    alive.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs a rootless worker"]
fn a_step_is_a_subordinate_id_and_sees_a_container() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.start("sleep 4711; true");
    eventually("the step starts", || owners("sleep 4711").len() == 2);
    let own = rustix::process::getuid().as_raw();
    for uid in owners("sleep 4711") {
        assert!(uid >= 65536 && uid != own, "host uid {uid}");
    }
    let begin = Instant::now();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    child.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "cancelling took {:?}", begin.elapsed());
    assert_eq!(owners("sleep 4711"), NOBODY);

    let map = sandbox.shell("cat /proc/self/uid_map");
    assert_eq!(map.split_whitespace().take(3).collect::<Vec<_>>(), ["0", "1", "65536"]);
    let script = "useradd joe; cp /usr/bin/id /usr/bin/sid; chmod 4755 /usr/bin/sid; su joe -c sid";
    assert!(sandbox.shell(script).contains("euid=0(root)"));
    let script = "touch /f; chown 12345:65535 /f; stat -c %u:%g /f; mknod /n c 1 3 || echo no device; \
                  mount -t tmpfs x /mnt || echo no mount; unshare -U true || echo no namespace; \
                  echo out >/dev/stdout; dpkg -l | grep -q ^ii && echo packages";
    let output = sandbox.shell(script);
    for expected in ["12345:65535", "no device", "no mount", "no namespace", "out", "packages"] {
        assert!(output.lines().any(|line| line == expected), "{expected}: {output}");
    }
    assert!(sandbox.shell("exit 7").ends_with("exit code 7\n"));
    let missing = sandbox.run(&["run", "nosuch"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("exit_code: 127"));
}

#[test]
#[ignore = "needs a rootless worker"]
fn mounts_and_many_layers_leave_nothing_behind() {
    let sandbox = Sandbox::new();
    let output = sandbox.ok(&["mounts"]);
    assert!(output.starts_with("of the host\nroot:x:0:0:"), "{output}");
    assert!(output.contains("hunter2\n1777 0\n"), "{output}");
    assert!(!output.contains("changed:"), "{output}");
    assert!(sandbox.ok(&["layers", "127"]).starts_with("127\n"));
    let output = sandbox.ok(&["parallel", "10"]);
    assert_eq!(output.matches("exit code 3").count(), 10);
}

#[test]
#[ignore = "needs a rootless worker"]
fn a_killed_build_is_swept_and_stop_leaves_nothing() {
    let sandbox = Sandbox::new();
    for delay in [20, 60, 90, 120, 200, 1000] {
        let mut child = sandbox.start("sleep 4712; true");
        thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_ne!(owners("sleep 4712"), NOBODY);
    sandbox.ok(&["sweep"]);
    eventually("the steps end", || owners("sleep 4712").is_empty());
    let left = sandbox.ok(&["list"]);
    assert_eq!(left.lines().count(), 1, "{left}");

    let mut child = sandbox.start("sleep 4713; true");
    eventually("the step starts", || !owners("sleep 4713").is_empty());
    sandbox.ok(&["stop"]);
    child.wait().unwrap();
    assert_eq!(owners("sleep 4713"), NOBODY);
    assert_eq!(owners(&instance(sandbox.data.path())), NOBODY);
    assert!(sandbox.ok(&["stop"]).starts_with("NotRunning"));
    assert!(sandbox.ok(&["run", "true"]).ends_with("exit code 0\n"));
}

#[test]
#[ignore = "needs a rootless worker"]
fn a_worker_is_found_again_after_its_state_files_were_tidied_away() {
    let sandbox = Sandbox::new();
    let before = sandbox.ok(&["start"]);
    let uid = rustix::process::getuid().as_raw();
    let place = format!("/tmp/touchmark-{uid}/{}", instance(sandbox.data.path()));
    std::fs::remove_dir_all(&place).unwrap();
    let worker = |line: &str| line.split(" after ").next().map(str::to_owned);
    assert_eq!(worker(&sandbox.ok(&["start"])), worker(&before));
    std::fs::remove_dir_all(&place).ok();
    assert!(sandbox.ok(&["stop"]).starts_with("Ended"));
    assert_eq!(owners(&instance(sandbox.data.path())), NOBODY);
}

/// The worker's directory for a data directory, which stands in the command lines of its processes.
fn instance(data: &Path) -> String {
    let digest = touchmark_builder::oci::digest::Digest::of(data.as_os_str().as_encoded_bytes());
    format!("worker-{}", &digest.hex()[..8])
}
