//! The image that the clients are run from. It is built by touchmark itself, once per machine: what it takes to install
//! pip, Node and the like through inspection was then proven, too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use touchmark_tests::{
    base, cache,
    home::Home,
    registry::{Registry, copy_storage},
    repository,
};

const FOLDER: &str = "tests/e2e/clients/tools";

/// A registry with `library/debian`, `library/web` and `library/languages`.
pub(crate) fn registry() -> Registry {
    Registry::from_storage(&made().join("storage"))
}

/// What stand-ins serve: paths that begin with the host, and bytes.
pub(super) fn served() -> Vec<(String, Vec<u8>)> {
    let root = made().join("files");
    let mut files = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = format!("/{}", path.strip_prefix(&root).unwrap().display());
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files
}

fn made() -> PathBuf {
    let folder = repository().join(FOLDER);
    let recipe = ["Dockerfile", "zip.php"].map(|name| fs::read(folder.join(name)).unwrap());
    let name = format!("clients-{}", &touchmark_tests::digest(&recipe.concat())[7..19]);
    cache::once(&name, |part| {
        cache::forget_others("clients-", &name);
        fs::create_dir(part).unwrap();
        build(part);
    })
}

fn build(part: &Path) {
    let (home, registry) = (Home::new(), base::registry());
    home.copy(&repository().join(FOLDER), "ctx");
    home.write("ctx/cargo", cargo());
    home.give(&home.path("ctx/cargo"), 0o755);
    home.policy(&registry, "[network]\n");
    let first = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--no-sign"];
    let build = |args: &[&str]| {
        let _ = home.run(&[&first[..], &["--harden", "off"], args, &["ctx"]].concat()).succeeded();
    };
    for target in ["web", "languages"] {
        let image = registry.image(&format!("library/{target}:latest"));
        build(&["--push", "-t", &image, "--target", target]);
    }
    build(&["-o", "type=local,dest=files", "--target", "files"]);
    copy_storage(&home.path("files"), &part.join("files"));
    copy_storage(&registry.storage(), &part.join("storage"));
}

/// The very cargo that runs these tests: it is a program without libraries of its own.
fn cargo() -> Vec<u8> {
    let output = Command::new("rustup").args(["which", "cargo"]).output();
    let found = output.ok().filter(|output| output.status.success());
    let found = found.map(|output| String::from_utf8(output.stdout).unwrap().trim().to_owned());
    let path = found.or_else(|| std::env::var("CARGO").ok()).expect("a cargo");
    fs::read(path).expect("cargo can be read")
}
