//! `docker touchmark`: called as Docker calls its plugins.

use std::os::unix::fs::symlink;

use touchmark_tests::{cache, run::Output};

use crate::scene::Scene;

fn as_docker(scene: &Scene, args: &[&str]) -> Output {
    let plugin = scene.home.path("docker-touchmark");
    if !plugin.exists() {
        symlink(cache::touchmark(), &plugin).unwrap();
    }
    let mut command = scene.home.command(plugin);
    command.args(args);
    scene.home.finish(command)
}

#[test]
fn docker_finds_it_and_builds_with_it() {
    let scene = Scene::new();
    let asked = as_docker(&scene, &["docker-cli-plugin-metadata"]).succeeded();
    assert!(asked.stdout.contains("\"SchemaVersion\":\"0.1.0\""), "{asked:?}");
    scene.dockerfile("FROM busybox\nRUN echo built\n");
    let flags = ["--progress", "plain", "--policy", "touchmark.toml"];
    let line = [&["--log-level", "info", "touchmark", "build"][..], &flags, &["ctx"]].concat();
    assert!(as_docker(&scene, &line).succeeded().mentions("2/2] built"));
    let help = as_docker(&scene, &["touchmark", "build", "--help"]).succeeded();
    assert!(help.stdout.contains("Usage: docker touchmark build "), "{help:?}");
    assert!(help.stdout.contains("--no-cache-filter"), "{help:?}");
}

#[test]
fn every_shell_gets_its_completion() {
    let scene = Scene::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = scene.home.run(&["completion", shell]).succeeded();
        assert!(script.stdout.contains("no-cache-filter"), "{shell}");
    }
}
