//! Policies and contexts that cannot be read.

use touchmark_tests::snapshot;

use crate::scene::Scene;

#[test]
fn unreadable_policy() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\n");
    if scene.home.account().uid == 0 {
        return; // root reads everything
    }
    scene.home.give(&scene.home.path("touchmark.toml"), 0o000);
    let output = scene.build(&[]).returned(2);
    assert!(output.mentions("touchmark.toml"), "{output:?}");
    snapshot::assert("policy-unreadable", &scene.home.told(&output));
}

#[test]
fn unknown_policy_key() {
    let scene = Scene::with_policy("[harden]\nlevle = \"strict\"\n");
    scene.dockerfile("FROM busybox\n");
    let output = scene.build(&[]).returned(2);
    assert!(
        output.mentions("levle") && output.mentions("level"),
        "a suggestion is made\n{output:?}"
    );
    snapshot::assert("policy-unknown-key", &scene.home.told(&output));
}

#[test]
fn a_registry_that_the_policy_does_not_name() {
    let scene = Scene::new();
    let output = scene.build_only("FROM registry.example/team/app:1\n").returned(1);
    assert!(output.mentions("registry.example") && output.mentions("[registries]"), "{output:?}");
    snapshot::assert("policy-registry-refused", &scene.home.told(&output));
}

#[test]
fn a_context_that_is_not_there() {
    let scene = Scene::new();
    let output = scene.home.run(&["build", "nowhere"]).returned(2);
    assert!(output.mentions("nowhere"), "{output:?}");
    snapshot::assert("context-missing", &scene.home.told(&output));
}

#[test]
fn an_unknown_flag() {
    let scene = Scene::new();
    let output = scene.home.run(&["build", "--tagg", "x", "ctx"]).returned(2);
    assert!(output.mentions("--tag"), "a suggestion is made\n{output:?}");
}

#[test]
fn a_file_behind_a_link_that_leaves_the_context_is_not_read() {
    let scene = Scene::new();
    scene.home.write("outside", "not part of the context\n");
    scene.dockerfile("FROM busybox\nCOPY link /copied\nRUN cat /copied\n");
    std::os::unix::fs::symlink("../outside", scene.home.path("ctx/link")).unwrap();
    let output = scene.build(&[]);
    assert!(
        !output.mentions("not part of the context"),
        "a file outside the context was read\n{output:?}"
    );
    assert_ne!(output.code, 0, "{output:?}");
}
