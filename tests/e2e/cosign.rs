//! cosign 3.1 believes what touchmark signs, offline, with the public key.

use std::path::PathBuf;

use touchmark_tests::{cache, example::Example, home::Home, run::Output};

/// cosign as `scripts/setup --test` unpacked it.
fn cosign() -> PathBuf {
    let path = cache::dir().join("cosign");
    assert!(path.is_file(), "no cosign at {}\nhelp: run scripts/setup --test", path.display());
    path
}

fn check(args: &[&str]) -> Output {
    let example = Example::pushed();
    let stranger = Home::new();
    example.lend_key(&stranger);
    let image = format!("{}@{}", example.registry.image("hello"), example.digest());
    let mut command = stranger.command(cosign());
    command.args(args).args([
        "--key",
        "cosign.pub",
        "--insecure-ignore-tlog",
        "--allow-insecure-registry",
        &image,
    ]);
    stranger.finish(command)
}

#[test]
fn the_signature_verifies() {
    let output = check(&["verify"]).succeeded();
    assert!(output.mentions("sha256"), "{output:?}");
}

#[test]
fn the_provenance_verifies() {
    let _ = check(&["verify-attestation", "--type", "slsaprovenance1"]).succeeded();
}

#[test]
fn the_sbom_verifies() {
    let _ = check(&["verify-attestation", "--type", "spdxjson"]).succeeded();
}

#[test]
fn an_image_that_nobody_signed_does_not() {
    let example = Example::pushed();
    let stranger = Home::new();
    example.lend_key(&stranger);
    let mut command = stranger.command(cosign());
    let image = example.registry.image("library/busybox:latest");
    command.args([
        "verify",
        "--key",
        "cosign.pub",
        "--insecure-ignore-tlog",
        "--allow-insecure-registry",
        &image,
    ]);
    assert_ne!(stranger.finish(command).code, 0);
}

#[test]
fn cosigns_own_key_pair_signs_a_build() {
    let scene = crate::scene::Scene::new();
    let mut command = scene.home.command(cosign());
    command.args(["generate-key-pair"]);
    let _ = scene.home.finish(command).succeeded();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let _ = scene.push_signed(&[]).succeeded();
    let _ = scene
        .home
        .run(&["verify", &scene.registry.image("app:1"), "--key", "cosign.pub"])
        .succeeded();
}
