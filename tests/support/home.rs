//! A sandboxed home: its own HOME, XDG directories and working directory, so its own worker and caches.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    account::Account,
    cache, leftovers,
    registry::Registry,
    run::{self, Output, Running},
    snapshot,
};

/// How long a command may take before the test counts it as hanging: a cold build with a compiler installed by a
/// debug binary on a busy machine stays far below.
const LIMIT: Duration = Duration::from_secs(300);

/// The password of every key that tests make.
pub const PASSWORD: &str = "correct horse";

/// A home of its own. Dropped, it stops its worker, fails when a process or a mount is left, and removes itself.
pub struct Home {
    dir: TempDir,
    account: Account,
}

impl Home {
    /// An empty home of the unprivileged user.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Account::unprivileged().clone())
    }

    /// An empty home of `account`.
    #[must_use]
    pub fn of(account: Account) -> Self {
        // A short name: below it lie sockets, whose paths may have 107 bytes.
        let dir =
            tempfile::Builder::new().prefix("tm-").tempdir_in("/tmp").expect("a directory in /tmp");
        let home = Self { dir, account };
        for name in ["home", "run", "work"] {
            fs::create_dir(home.dir.path().join(name)).expect("own directory");
            home.give(&home.dir.path().join(name), 0o700);
        }
        home.give(home.dir.path(), 0o700);
        home
    }

    /// Who lives here.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The directory that holds everything of this home.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path below the working directory, in which commands run.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("work").join(name)
    }

    /// Writes a file of the user's below the working directory.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        self.make_folders(&path);
        fs::write(&path, contents).expect("a file in the working directory");
        self.give(&path, 0o644);
        path
    }

    /// Copies a directory with everything in it to `name` below the working directory.
    pub fn copy(&self, from: &Path, name: &str) {
        for entry in fs::read_dir(from).expect("a directory to copy").flatten() {
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.copy(&entry.path(), &name);
            } else {
                self.write(&name, fs::read(entry.path()).expect("a readable file"));
            }
        }
    }

    /// Sets owner and mode of `path`.
    pub fn give(&self, path: &Path, mode: u32) {
        if nix::unistd::geteuid().is_root() {
            let (uid, gid) = (self.account.uid, self.account.gid);
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("chown by root");
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod of an own file");
    }

    fn make_folders(&self, path: &Path) {
        let mut missing = Vec::new();
        let mut folder = path.parent();
        while let Some(path) = folder.filter(|path| !path.exists()) {
            missing.push(path.to_owned());
            folder = path.parent();
        }
        for folder in missing.iter().rev() {
            fs::create_dir(folder).expect("a folder in the working directory");
            self.give(folder, 0o755);
        }
    }

    /// `program` as this home's user, in its working directory, with nothing of the caller's environment.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let dir = self.dir.path();
        let home = dir.join("home");
        command.env_clear().current_dir(dir.join("work"));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
        command.env("HOME", &home).env("XDG_RUNTIME_DIR", dir.join("run"));
        command.env("USER", &self.account.name).env("LOGNAME", &self.account.name);
        command
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_CONFIG_HOME", home.join(".config"));
        command
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_STATE_HOME", home.join(".local/state"));
        command.env("TMPDIR", "/tmp").env("LANG", "C.UTF-8").env("COSIGN_PASSWORD", PASSWORD);
        if nix::unistd::geteuid().is_root() && self.account.uid != 0 {
            // With a uid given, the supplementary groups are dropped too.
            command.uid(self.account.uid).gid(self.account.gid);
        }
        command
    }

    /// `touchmark ARGS…`, not started yet.
    #[must_use]
    pub fn touchmark(&self, args: &[&str]) -> Command {
        let mut command = self.command(cache::touchmark());
        command.args(args);
        command
    }

    /// Runs `touchmark ARGS…` to its end.
    #[track_caller]
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        self.start(args).wait(LIMIT)
    }

    /// Starts `touchmark ARGS…`.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Running {
        run::start(self.touchmark(args))
    }

    /// Runs any command of [`Home::command`] to its end.
    #[track_caller]
    #[must_use]
    pub fn finish(&self, command: Command) -> Output {
        run::start(command).wait(LIMIT)
    }

    /// Writes `touchmark.toml`: everything of `docker.io` and the loopback registry comes from `registry`; what
    /// steps may reach is what `rest` says, by default nothing.
    pub fn policy(&self, registry: &Registry, rest: &str) -> PathBuf {
        let host = registry.host();
        let network = if rest.contains("[network]") { "" } else { "[network]\nallow = []\n" };
        let text = format!(
            "[registries]\n\"docker.io\" = {{ mirror = \"{host}\" }}\n\"{host}\" = {{ plain-http = true }}\n\n{network}{rest}"
        );
        self.write("touchmark.toml", text)
    }

    /// Makes `cosign.key` and `cosign.pub` in the working directory.
    #[track_caller]
    pub fn make_keys(&self) {
        let _ = self.run(&["key", "generate"]).succeeded();
        assert!(
            self.path("cosign.key").is_file() && self.path("cosign.pub").is_file(),
            "no key pair was written"
        );
    }

    /// What was said, with everything that differs from run to run replaced: for whole-message snapshots.
    #[must_use]
    pub fn told(&self, output: &Output) -> String {
        let place = self.dir.path().to_string_lossy();
        let text = format!(
            "exit code {}\n--- stdout\n{}--- stderr\n{}",
            output.code, output.stdout, output.stderr
        );
        let here = format!("linux/{}", crate::image::architecture());
        let text = text
            .replace(&*place, "SANDBOX")
            .replace(&self.account.name, "USER")
            .replace(&here, "linux/HERE");
        snapshot::normalise(&text)
    }

    /// Stops the worker and fails when a process or a mount of this home is left.
    #[track_caller]
    pub fn stop_worker(&self) {
        let output = run::start(self.touchmark(&["worker", "stop"])).wait(Duration::from_secs(60));
        let left = leftovers::after(self.dir(), Duration::from_secs(5));
        leftovers::kill(&left);
        assert!(left.is_empty(), "processes left after worker stop: {left:#?}\n{output:?}");
        let mounts = leftovers::mounts(self.dir());
        assert!(mounts.is_empty(), "mounts left after worker stop: {mounts:#?}");
        assert!(output.code == 0, "worker stop failed\n{output:?}");
    }

    /// Removes files of subordinate owners, which only root or the user's own namespace may remove.
    fn remove(&self) {
        if !nix::unistd::geteuid().is_root() {
            let _ = Command::new("rootlesskit")
                .args(["rm", "-rf"])
                .arg(self.dir.path().join("home"))
                .status();
        }
        let _ = fs::remove_dir_all(self.dir.path());
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has its failure already; only see to it that nothing stays behind.
            let _ = self.touchmark(&["worker", "stop"]).output();
            leftovers::kill(&leftovers::after(self.dir(), Duration::from_secs(2)));
        } else {
            self.stop_worker();
        }
        self.remove();
    }
}
