//! What is made once per machine. Several test processes may ask at the same time: one makes, the rest wait.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};

use crate::repository;

/// The cache directory, readable by every user when root runs the tests.
#[must_use]
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let output = Command::new(repository().join("scripts/cache-dir")).output().expect("sh");
        assert!(
            output.status.success(),
            "scripts/cache-dir: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        PathBuf::from(String::from_utf8(output.stdout).expect("a path in UTF-8").trim())
    })
}

/// Holds `name` alone on this machine until the returned lock is dropped.
#[must_use]
pub fn lock(name: &str) -> Flock<File> {
    let file = File::create(dir().join(format!("{name}.lock"))).expect("a lock file in the cache");
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).expect("flock")
}

/// Removes folders of the cache whose name begins with `prefix`, except `current`: what older binaries left would
/// fill the disk. What is younger than an hour may belong to a test run of another checkout.
pub fn forget_others(prefix: &str, current: &str) {
    for entry in fs::read_dir(dir()).expect("the cache").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .map(|made| made.elapsed().unwrap_or_default());
        let old = age.is_ok_and(|age| age > Duration::from_secs(3600));
        if old && name.starts_with(prefix) && !name.starts_with(current) && entry.path().is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The path `name` in the cache; `make` fills it when it is not there yet. `make` gets a path beside it, which is
/// renamed only when `make` returns, so a test that was killed leaves nothing half-made under the real name.
pub fn once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let path = dir().join(name);
    if path.exists() {
        return path;
    }
    let _alone = lock(name);
    if !path.exists() {
        let part = dir().join(format!("{name}.part"));
        let _ = fs::remove_file(&part);
        let _ = fs::remove_dir_all(&part);
        make(&part);
        fs::rename(&part, &path).expect("rename within the cache");
    }
    path
}

/// The binary under test where every user can run it: `TOUCHMARK_BIN`, else `touchmark` beside this test program's
/// folder. It is copied because a checkout often lies where other users cannot look.
#[must_use]
pub fn touchmark() -> PathBuf {
    let built = built_touchmark();
    let meta = fs::metadata(&built).unwrap_or_else(|error| {
        panic!(
            "no binary to test at {}: {error}\nhelp: run `make test`, or `cargo build` first",
            built.display()
        )
    });
    let name = format!("touchmark-{}-{}", meta.len(), binary_age(&meta));
    once(&name, |part| {
        forget_others("touchmark-", &name);
        fs::create_dir(part).expect("a folder in the cache");
        fs::copy(&built, part.join("touchmark")).expect("copy of the binary");
        for path in [part.join("touchmark"), part.to_owned()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own file");
        }
    })
    .join("touchmark")
}

/// A short name of the binary under test: what was built by it is kept under this name.
#[must_use]
pub fn binary_key() -> String {
    let meta = fs::metadata(built_touchmark()).expect("the binary under test");
    format!("{}-{}", meta.len(), binary_age(&meta))
}

fn binary_age(meta: &fs::Metadata) -> i64 {
    meta.mtime() * 1_000_000_000 + meta.mtime_nsec()
}

fn built_touchmark() -> PathBuf {
    if let Some(path) = std::env::var_os("TOUCHMARK_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().find(|folder| folder.join("touchmark").is_file());
    folder.map_or_else(
        || repository().join("target/debug/touchmark"),
        |folder| folder.join("touchmark"),
    )
}
