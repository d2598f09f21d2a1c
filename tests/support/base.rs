//! The two base images: `debian:bookworm` made from the Debian mirror, and a tiny `busybox`. Both are pushed once
//! per machine into a registry's storage, of which each test's registry gets a copy.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{cache, image::Image, registry::Registry, repository, tarball::Tarball};

/// A registry with `library/debian:bookworm` and `library/busybox:latest` in it.
#[must_use]
pub fn registry() -> Registry {
    Registry::from_storage(&storage())
}

/// A registry with only `library/busybox:latest` in it: quick, and nothing is asked of the Debian mirror.
#[must_use]
pub fn tiny_registry() -> Registry {
    Registry::from_storage(&cache::once("busybox-registry-1", |part| {
        let registry = Registry::empty();
        busybox().push(&registry, "library/busybox", "latest");
        crate::registry::copy_storage(&registry.storage(), part);
    }))
}

/// The storage of [`registry`], to begin others with.
#[must_use]
pub fn storage() -> PathBuf {
    cache::once("base-registry-1", |part| {
        let registry = tiny_registry();
        push_debian(&registry, &debian_tar());
        crate::registry::copy_storage(&registry.storage(), part);
    })
}

/// Pushes the root file system `tar` as `library/debian:bookworm`.
pub fn push_debian(registry: &Registry, tar: &Path) -> String {
    let mut image = Image::of(vec![fs::read(tar).expect("the base's tar")]);
    image.config["Cmd"] = json!(["bash"]);
    image.push(registry, "library/debian", "bookworm")
}

/// The root file system of `debian:bookworm`.
#[must_use]
pub fn debian_tar() -> PathBuf {
    cache::once("bookworm.tar", |part| {
        let status =
            Command::new(repository().join("scripts/base-image")).arg(part).status().expect("sh");
        assert!(status.success(), "scripts/base-image failed\nhelp: is a Debian mirror reachable?");
    })
}

/// The hosts that the base's own package sources name: tests name none.
#[must_use]
pub fn mirror_hosts() -> Vec<String> {
    let mut hosts = BTreeSet::new();
    let file = fs::File::open(debian_tar()).expect("the base's tar");
    for mut entry in tar::Archive::new(file).entries().expect("a tar").flatten() {
        let name = entry.path().expect("a path").to_string_lossy().into_owned();
        if name.contains("etc/apt/sources.list") && entry.size() > 0 {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).expect("text");
            let uris = text.split_whitespace().filter_map(|word| word.split_once("://"));
            hosts.extend(uris.filter_map(|(_, rest)| rest.split('/').next().map(str::to_owned)));
        }
    }
    hosts.into_iter().collect()
}

/// A policy part that lets steps reach exactly the base's own package sources.
#[must_use]
pub fn mirror_policy() -> String {
    let mirrors =
        mirror_hosts().into_iter().map(|host| format!("[[network.mirror]]\nhost = \"{host}\"\n"));
    format!("[network]\nallow = []\n{}", mirrors.collect::<String>())
}

/// Debian's static busybox with links for its applets, users, and a world-writable /tmp.
#[must_use]
pub fn busybox() -> Image {
    let program = fs::read("/bin/busybox").expect("busybox-static is installed (scripts/setup)");
    let list = Command::new("/bin/busybox").arg("--list").output().expect("busybox runs").stdout;
    let mut tar = Tarball::new()
        .dir("bin/", 0o755)
        .dir("etc/", 0o755)
        .dir("tmp/", 0o1777)
        .dir("root/", 0o700);
    tar = tar.dir("usr/", 0o755).dir("usr/bin/", 0o755).file("bin/busybox", 0o755, program);
    for applet in String::from_utf8_lossy(&list).lines().filter(|name| *name != "busybox") {
        tar = tar.symlink(&format!("bin/{applet}"), "busybox");
    }
    tar = tar.file(
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n",
    );
    tar = tar.file("etc/group", 0o644, "root:x:0:\nuser:x:1000:\n");
    Image::of(vec![tar.finish()])
}
