//! Debian's registry on a free loopback port, with storage of its own, gone on drop.

use std::{
    fs::{self, File},
    net::TcpListener,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{client::Client, http};

/// A running registry.
pub struct Registry {
    child: Child,
    client: Client,
    dir: TempDir,
}

impl Deref for Registry {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Registry {
    /// Starts an empty one.
    #[must_use]
    pub fn empty() -> Self {
        Self::on(
            tempfile::Builder::new()
                .prefix("tm-registry-")
                .tempdir_in("/tmp")
                .expect("a directory in /tmp"),
        )
    }

    /// Starts an empty one on this port.
    #[must_use]
    pub fn empty_on(port: u16) -> Self {
        let dir = tempfile::tempdir_in("/tmp").expect("a directory in /tmp");
        let mut child = spawn(dir.path(), port);
        assert!(wait_until_up(&mut child, port), "port {port} is taken");
        Self { child, client: Client::new(&format!("127.0.0.1:{port}")), dir }
    }

    /// Starts one whose storage begins as a copy of `storage`, another registry's [`Registry::storage`].
    #[must_use]
    pub fn from_storage(storage: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("tm-registry-")
            .tempdir_in("/tmp")
            .expect("a directory in /tmp");
        copy_storage(storage, &dir.path().join("storage"));
        Self::on(dir)
    }

    /// The same on this port.
    #[must_use]
    pub fn from_storage_on(storage: &Path, port: u16) -> Self {
        let dir = tempfile::tempdir_in("/tmp").expect("a directory in /tmp");
        copy_storage(storage, &dir.path().join("storage"));
        let mut child = spawn(dir.path(), port);
        assert!(wait_until_up(&mut child, port), "port {port} is taken");
        Self { child, client: Client::new(&format!("127.0.0.1:{port}")), dir }
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn on(dir: TempDir) -> Self {
        // Somebody else may take the port between our look and the registry's start: then try another.
        for _ in 0..10 {
            let port = free_port();
            let mut child = spawn(dir.path(), port);
            if wait_until_up(&mut child, port) {
                return Self { child, client: Client::new(&format!("127.0.0.1:{port}")), dir };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        panic!("docker-registry does not start\nhelp: run scripts/setup --test\n{log}");
    }

    /// The directory that holds its blobs and links.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage")
    }

    /// Changes one byte in the middle of a stored blob: the registry then serves it under the old digest.
    pub fn corrupt(&self, digest: &str) {
        let path = self.blob_file(digest);
        let mut bytes = fs::read(&path).expect("the blob's file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        // The file may be a link to a shared one: replace it, never write through it.
        fs::remove_file(&path).expect("own storage");
        fs::write(&path, bytes).expect("own storage");
    }

    /// Path of a stored blob's bytes.
    #[must_use]
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.storage().join(format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
    }

    /// `METHOD path` of each request so far, in the order in which they ended.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("log")).expect("the registry's log");
        let quoted = log.lines().filter_map(|line| line.split('"').nth(1));
        let requests = quoted.filter_map(|quoted| quoted.strip_suffix(" HTTP/1.1"));
        requests.map(str::to_owned).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on right now.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("bound").port()
}

fn spawn(dir: &Path, port: u16) -> Child {
    let storage = dir.join("storage");
    fs::create_dir_all(&storage).expect("own directory");
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
         http: {{addr: \"127.0.0.1:{port}\"}}\n",
        storage.display()
    );
    fs::write(dir.join("config.yml"), config).expect("own directory");
    let log =
        File::options().create(true).append(true).open(dir.join("log")).expect("own directory");
    // Killed with us, also when we are killed -9.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(dir.join("config.yml"));
    command.env("OTEL_TRACES_EXPORTER", "none").stdin(Stdio::null());
    command.stdout(log.try_clone().expect("dup")).stderr(log);
    command.spawn().expect("setpriv and docker-registry are installed (scripts/setup --test)")
}

fn wait_until_up(child: &mut Child, port: u16) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return false;
        }
        let answer = http::request(&format!("127.0.0.1:{port}"), "GET", "/v2/", &[], &[]);
        if answer.is_ok_and(|answer| answer.status == 200) {
            return child.try_wait().is_ok_and(|status| status.is_none());
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Blobs are linked, because they never change; tags and links are copied.
pub fn copy_storage(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("own directory");
    for entry in fs::read_dir(from).expect("a registry's storage").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_storage(&source, &target);
        } else if entry.file_name() != "data" || fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).expect("copy of a registry's file");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{base, blobs, image::Image, tarball::Tarball};

    use super::Registry;

    #[test]
    fn what_is_pushed_is_listed_logged_corrupted_and_deleted() {
        let registry = Registry::empty();
        let tar =
            Tarball::new().dir("a/", 0o755).file_with_xattr("a/f", 0o4755, b"x", "user.k", b"v");
        let long = "n/".repeat(80);
        let tar = tar.symlink("a/l", "../up").file("../out", 0o644, "o").file(&long, 0o600, "deep");
        let digest = Image::of(vec![tar.finish()]).push(&registry, "team/app", "1");
        assert_eq!(registry.tag("team/app", "1"), Some(digest.clone()));
        assert_eq!(registry.tags("team/app"), ["1"]);
        assert_eq!(registry.tags("team/none"), Vec::<String>::new());
        let puts = registry
            .requests()
            .into_iter()
            .filter(|request| request.starts_with("PUT "))
            .collect::<Vec<_>>();
        assert_eq!(puts.last().map(String::as_str), Some("PUT /v2/team/app/manifests/1"));

        let layers = blobs::unpack_every_blob(&registry, "team/app", "1");
        let file = blobs::topmost(&layers, "a/f").expect("listed");
        assert_eq!((file.mode, file.xattrs["user.k"].as_slice()), (0o4755, &b"v"[..]));
        assert_eq!(
            blobs::topmost(&layers, "../out").map(|entry| entry.contents.as_slice()),
            Some(&b"o"[..])
        );
        assert_eq!(
            blobs::topmost(&layers, long.trim_end_matches('/')).map(|entry| entry.mode),
            Some(0o600)
        );

        let copy = Registry::from_storage(&registry.storage());
        copy.corrupt(&layers[0].digest);
        assert_eq!(crate::digest(&registry.blob("team/app", &layers[0].digest)), layers[0].digest);
        registry.delete_manifest("team/app", &digest);
        assert_eq!(registry.tag("team/app", "1"), None);
    }

    #[test]
    fn the_tiny_base_has_a_shell_and_its_links() {
        let registry = base::tiny_registry();
        let layers = blobs::unpack_every_blob(&registry, "library/busybox", "latest");
        assert_eq!(
            blobs::topmost(&layers, "bin/sh").and_then(|entry| entry.link.clone()).as_deref(),
            Some("busybox")
        );
    }
}
