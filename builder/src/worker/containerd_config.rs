//! containerd's configuration file: only what a build needs, in directories of its own.

use std::path::Path;

/// containerd's state directory and socket inside the worker's private `/run`. Not under the user's
/// runtime directory: a step's root must be able to traverse the path to its bundle, and that one has
/// mode 0700.
pub(super) const STATE_DIR: &str = "/run/touchmark-containerd";

/// The socket, as seen inside the worker's mount namespace.
pub(super) const SOCKET: &str = "/run/touchmark-containerd/containerd.sock";

/// Left out: the Kubernetes side, snapshotters that cannot work in a user namespace, the cgroup monitor
/// (there may be no cgroup to watch), and what writes outside the worker's directories. Names of 1.6, 1.7
/// and 2.x; an unknown name is ignored. The old `runtime.v1.linux` stays: without it 1.6 has no tasks service.
const DISABLED_PLUGINS: [&str; 17] = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.native",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.monitor.v1.cgroups",
];

/// The text of the file for a root directory. The collector's own default waits for 100 changes before it
/// frees the disk blocks of a removed snapshot.
pub(super) fn text(root: &Path) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let disabled: Vec<_> = DISABLED_PLUGINS.iter().map(|name| quoted(name)).collect();
    format!(
        "version = 2\nroot = {root}\nstate = {state}\noom_score = 0\ndisabled_plugins = [{disabled}]\n\n\
         [grpc]\naddress = {socket}\nuid = 0\ngid = 0\n\n\
         [plugins.\"io.containerd.gc.v1.scheduler\"]\ndeletion_threshold = 1\nschedule_delay = \"500ms\"\n",
        root = quoted(&root.to_string_lossy()),
        state = quoted(STATE_DIR),
        disabled = disabled.join(", "),
        socket = quoted(SOCKET),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_toml_also_with_a_hostile_path() {
        let parsed: toml::Table = text(Path::new("/home/a \"b\\c/x")).parse().unwrap();
        assert_eq!(parsed["root"].as_str(), Some("/home/a \"b\\c/x"));
        assert_eq!(parsed["grpc"]["address"].as_str(), Some(SOCKET));
        assert!(SOCKET.starts_with(STATE_DIR));
    }
}
