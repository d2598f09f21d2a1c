//! Policies and contexts that cannot be read.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use touchmark_tests::{account::Account, snapshot};

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

#[test]
fn a_file_that_the_user_may_not_read() {
    let scene = Scene::new();
    // Another user's file: only root can make one. The steps of a build never see whose it is.
    if Account::root().is_none() {
        return;
    }
    scene.dockerfile("FROM busybox\nCOPY . /app\n");
    let secret = scene.home.path("ctx/secret");
    fs::write(&secret, "of somebody else\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let output = scene.build(&[]).returned(1);
    snapshot::assert("context-unreadable-file", &scene.home.told(&output));
}

/// A writer fills a file with one byte after the other, in place. Whatever is read while it does so, the
/// layer holds one state of the file, or there is no image.
#[test]
fn a_file_that_changes_while_it_is_copied_is_never_torn() {
    const SIZE: usize = 4 << 20;
    let scene = Scene::new();
    scene.dockerfile("FROM scratch\nCOPY data /data\n");
    let data = scene.home.write("ctx/data", vec![0; SIZE]);
    let done = AtomicBool::new(false);
    let outcomes: Vec<bool> = thread::scope(|scope| {
        scope.spawn(|| {
            let mut byte = 0_u8;
            while !done.load(Ordering::Relaxed) {
                byte = byte.wrapping_add(1);
                let mut file = fs::OpenOptions::new().write(true).open(&data).unwrap();
                for _ in 0..SIZE >> 16 {
                    file.write_all(&[byte; 1 << 16]).unwrap();
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        let outcomes = (0..3).map(|_| one_state_or_none(&scene)).collect();
        done.store(true, Ordering::Relaxed);
        outcomes
    });
    assert!(outcomes.contains(&false), "the writer never met the reader: this test shows nothing");
}

/// Builds once; says whether there is an image.
fn one_state_or_none(scene: &Scene) -> bool {
    let output = scene.build(&["--harden", "off", "--no-cache", "-o", "type=local,dest=out"]);
    if output.code != 0 {
        assert!(output.mentions("changed while it was"), "{output:?}");
        assert!(!scene.home.path("out/data").exists(), "half a result");
        return false;
    }
    let copied = fs::read(scene.home.path("out/data")).unwrap();
    assert!(copied.iter().all(|byte| *byte == copied[0]), "a torn file");
    fs::remove_file(scene.home.path("out/data")).unwrap();
    true
}
