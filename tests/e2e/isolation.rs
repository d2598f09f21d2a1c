//! A step is never the invoking user and never host root, and finds nothing of the home.

use std::{fs, time::Duration};

use touchmark_tests::{account::Account, base, home::Home, leftovers};

use crate::scene::Scene;

/// While a step sleeps, its host user ids are looked at from outside.
fn uids_of_a_sleeping_step(home: Home) {
    let registry = base::tiny_registry();
    home.policy(&registry, "");
    // The odd number is what the process is found by: it must be this test's own.
    let mark = format!(
        "7.{:09}",
        u64::from(std::process::id()) * 1000 + u64::from(home.account().uid) % 1000
    );
    home.write("ctx/Dockerfile", format!("FROM busybox\nRUN exec sleep {mark}\n"));
    let mut build =
        home.start(&["build", "--progress", "plain", "--policy", "touchmark.toml", "ctx"]);
    let own = i32::try_from(build.pid()).unwrap();
    let step = build.until(Duration::from_secs(120), |_| {
        let found = leftovers::uids_of(&format!("sleep {mark}"));
        found.into_iter().find(|(pid, uids)| *pid != own && uids.len() == 4)
    });
    let (start, length) = home.account().subordinate_ids();
    for uid in &step.1 {
        assert_ne!(*uid, 0, "the step is host root");
        assert_ne!(*uid, home.account().uid, "the step is the invoking user");
        assert!(
            (start..start + length).contains(uid),
            "{uid} is no subordinate id of {:?}",
            home.account()
        );
    }
    let _ = build.wait(Duration::from_secs(60)).succeeded();
}

#[test]
fn a_step_runs_under_a_subordinate_id() {
    uids_of_a_sleeping_step(Home::new());
}

#[test]
fn a_step_of_a_build_that_root_started_is_not_host_root() {
    let Some(root) = Account::root() else { return };
    uids_of_a_sleeping_step(Home::of(root));
}

#[test]
fn the_step_sees_itself_as_a_nested_root() {
    let scene = Scene::new();
    let output = scene
        .build_only("FROM busybox\nRUN echo \"map=$(tr -s ' ' < /proc/self/uid_map)\"; echo \"i am $(id -u):$(id -g)\"\n")
        .succeeded();
    assert!(output.stderr.contains("i am 0:0"), "{output:?}");
    let shown = output.stderr.lines().filter_map(|line| line.split_once("map="));
    let map =
        shown.map(|(_, map)| map).find(|map| !map.contains("uid_map")).expect("the map is shown");
    let fields: Vec<u32> = map.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    assert_eq!(fields.first(), Some(&0), "{map}");
    // Read inside, the second field is an id of the worker's namespace, where 0 is the invoking user.
    assert_ne!(fields.get(1), Some(&0), "the step's root is the worker's root: {map}");
}

#[test]
fn no_file_of_the_home_can_be_read() {
    let scene = Scene::new();
    let secret = scene.home.dir().join("home/secret");
    fs::write(&secret, "the quick brown fox\n").unwrap();
    scene.home.give(&secret, 0o644);
    scene.home.make_keys();
    let key = scene.home.path("cosign.key");
    let dockerfile = format!(
        "FROM busybox\nRUN cat {secret} || echo no-file\nRUN cat /proc/1/root{secret} || echo no-proc\n\
         RUN ls /tmp/tm-* || echo no-listing\nRUN cat {key} /proc/*/root{key} || echo no-key\n",
        secret = secret.display(),
        key = key.display()
    );
    let output = scene.build_only(&dockerfile).succeeded();
    assert!(!output.mentions("the quick brown fox"), "a step read the user's file\n{output:?}");
    assert!(!output.mentions("PRIVATE KEY-"), "a step read the signing key\n{output:?}");
    for mark in ["no-file", "no-proc", "no-listing", "no-key"] {
        assert!(output.mentions(mark), "{mark}\n{output:?}");
    }
}

#[test]
fn nothing_of_the_builder_is_in_a_steps_environment() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN env | sort | sed 's/^/env:/'\n");
    let mut command = scene.home.touchmark(&[
        "build",
        "--progress",
        "plain",
        "--policy",
        "touchmark.toml",
        "ctx",
    ]);
    command.env("SECRET_TOKEN", "swordfish");
    let output = scene.home.finish(command).succeeded();
    assert!(!output.mentions("swordfish") && !output.mentions("COSIGN_PASSWORD"), "{output:?}");
    assert!(output.mentions("env:PATH="), "{output:?}");
}

#[test]
fn setuid_programs_work_inside_a_step() {
    let scene = Scene::new();
    let output = scene
        .build_only(
            "FROM busybox\nRUN cp /bin/busybox /bin/id-s && chmod 4755 /bin/busybox && su user -s /bin/sh -c 'id -u'\n",
        )
        .succeeded();
    assert!(output.mentions("1000"), "{output:?}");
}
