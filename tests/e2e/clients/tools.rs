//! The image that the clients are run from. It is built by touchmark itself, once per machine: what it takes to install
//! pip, Node and the like through inspection was then proven, too.

use std::{fs, path::Path, process::Command};

use touchmark_tests::{base, cache, home::Home, registry::Registry, repository};

const FOLDER: &str = "tests/e2e/clients/tools";

/// A registry with `library/debian:bookworm` and `library/web:latest`.
pub(super) fn registry() -> Registry {
    let dockerfile = fs::read(repository().join(FOLDER).join("Dockerfile")).unwrap();
    let name = format!("clients-{}", &touchmark_tests::digest(&dockerfile)[7..19]);
    Registry::from_storage(&cache::once(&name, |part| {
        cache::forget_others("clients-", &name);
        build(part);
    }))
}

fn build(part: &Path) {
    let (home, registry) = (Home::new(), base::registry());
    home.copy(&repository().join(FOLDER), "ctx");
    home.write("ctx/cargo", cargo());
    home.give(&home.path("ctx/cargo"), 0o755);
    home.policy(&registry, "[network]\n");
    let image = registry.image("library/web:latest");
    let args = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--no-sign"];
    let output = ["--harden", "off", "--push", "-t", &image, "--target", "web", "ctx"];
    let _ = home.run(&[&args[..], &output].concat()).succeeded();
    touchmark_tests::registry::copy_storage(&registry.storage(), part);
}

/// The very cargo that runs these tests: it is a program without libraries of its own.
fn cargo() -> Vec<u8> {
    let output = Command::new("rustup").args(["which", "cargo"]).output();
    let found = output.ok().filter(|output| output.status.success());
    let found = found.map(|output| String::from_utf8(output.stdout).unwrap().trim().to_owned());
    let path = found.or_else(|| std::env::var("CARGO").ok()).expect("a cargo");
    fs::read(path).expect("cargo can be read")
}
