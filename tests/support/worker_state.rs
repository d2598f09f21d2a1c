//! What a home's worker holds between builds: it should be nothing but finished layers.

use crate::home::Home;

/// containerd's socket inside the worker.
const SOCKET: &str = "/run/touchmark-containerd/containerd.sock";

/// Prints a line for everything that only a running build has.
const LIST: &str = r#"
for what in containers leases; do ctr -a "$0" -n touchmark $what ls -q | sed "s/^/$what: /"; done
ctr -a "$0" -n touchmark tasks ls -q | sed 's/^/task: /'
ctr -a "$0" -n touchmark snapshots --snapshotter overlayfs ls | awk '$NF != "Committed" && NR > 1 {print "snapshot: " $0}'
ls -A /run/touchmark-steps 2>/dev/null | sed 's/^/step: /'
grep -E ' /run/(touchmark-steps|containerd/io.containerd.runtime)' /proc/self/mountinfo | sed 's/^/mount: /'
true"#;

/// Containers, tasks, leases, unfinished snapshots, step directories and mounts in the worker of `home`, which runs.
#[track_caller]
#[must_use]
pub fn held(home: &Home) -> Vec<String> {
    let status = home.run(&["worker", "status"]).succeeded();
    let pid = status.stdout.lines().find_map(|line| line.split_once("process "));
    let pid = pid.unwrap_or_else(|| panic!("no worker runs\n{status:?}")).1.trim();
    let mut list = home.command("nsenter");
    list.args(["-t", pid, "-U", "-m", "--preserve-credentials", "sh", "-c", LIST, SOCKET]);
    let listed = home.finish(list).succeeded();
    assert!(listed.stderr.is_empty(), "the worker does not answer\n{listed:?}");
    listed.stdout.lines().map(str::to_owned).collect()
}
