//! Keys that cannot be used, and one that should be kept better.

use touchmark_tests::snapshot;

use crate::scene::Scene;

fn scene() -> Scene {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    scene
}

#[test]
fn wrong_password() {
    let scene = scene();
    let image = scene.registry.image("app:1");
    let args = [
        "build",
        "--policy",
        "touchmark.toml",
        "--push",
        "--sign-key",
        "cosign.key",
        "-t",
        &image,
        "ctx",
    ];
    let mut command = scene.home.touchmark(&args);
    command.env("COSIGN_PASSWORD", "wrong");
    let output = scene.home.finish(command);
    assert_ne!(output.code, 0);
    assert!(output.mentions("password") && !output.mentions("correct horse"), "{output:?}");
    assert_eq!(scene.registry.tags("app"), Vec::<String>::new(), "nothing was pushed");
    snapshot::assert("key-wrong-password", &scene.home.told(&output));
}

#[test]
fn a_key_that_everybody_can_read_is_a_warning() {
    let scene = scene();
    scene.home.give(&scene.home.path("cosign.key"), 0o644);
    let output = scene.push_signed(&[]).succeeded().says("warning");
    assert!(output.mentions("cosign.key") && output.mentions("chmod"), "{output:?}");
}

#[test]
fn a_missing_key_and_a_file_that_is_no_key() {
    let scene = scene();
    let image = scene.registry.image("app:1");
    let push = |key: &str| scene.build(&["--push", "--sign-key", key, "-t", &image]);
    let missing = push("nowhere.key");
    assert_ne!(missing.code, 0);
    snapshot::assert("key-missing", &scene.home.told(&missing));
    scene.home.write("not-a.key", "hello\n");
    let strange = push("not-a.key");
    assert_ne!(strange.code, 0);
    snapshot::assert("key-not-a-key", &scene.home.told(&strange));
    assert_eq!(scene.registry.tags("app"), Vec::<String>::new(), "nothing was pushed");
}

#[test]
fn generated_keys_are_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = scene();
    let key = scene.home.path("cosign.key");
    let meta = std::fs::metadata(&key).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let output = scene.home.run(&["key", "generate"]);
    assert_ne!(output.code, 0, "an existing key was overwritten\n{output:?}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
}
