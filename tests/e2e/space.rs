//! What builds leave on the disk, and making room while others build.

use std::{fs, thread, time::Duration};

use serde_json::Value;
use touchmark_tests::{home::Home, run::Output};

use crate::scene::Scene;

const LIMIT: Duration = Duration::from_secs(120);

/// Two layers of 3 MB that compress badly, one of them below a cache mount's step.
const STEPS: &str = "FROM busybox AS one\nRUN head -c 3000000 /dev/urandom > /one\n\
     FROM busybox\nCOPY --from=one /one /copied\n\
     RUN --mount=type=cache,target=/c,uid=7 head -c 2000000 /dev/urandom > /c/file; cp /c/file /two\n";

fn listed(home: &Home, more: &[&str]) -> Value {
    let listed = home.run(&[&["cache", "du", "--format", "json"], more].concat()).succeeded();
    serde_json::from_str(&listed.stdout).unwrap()
}

fn bytes(home: &Home, more: &[&str]) -> u64 {
    listed(home, more)["bytes"]["total"].as_u64().unwrap()
}

#[track_caller]
fn prune(home: &Home, more: &[&str]) -> Output {
    home.run(&[&["cache", "prune", "--force"], more].concat()).succeeded()
}

#[test]
fn everything_is_listed_with_what_it_is_and_goes_by_choice() {
    let scene = Scene::new();
    scene.dockerfile(STEPS);
    let _ = scene.push_unsigned(&[]).succeeded();
    let all = scene.home.run(&["cache", "du", "--verbose"]).succeeded();
    for text in ["RUN head -c 3000000", "busybox", "COPY --from=one", "/c, owner 7:0"] {
        assert!(all.stdout.contains(text), "{text}: {all:?}");
    }
    let total = bytes(&scene.home, &[]);
    assert!((16_000_000..40_000_000).contains(&total), "{all:?}");
    let mounts = bytes(&scene.home, &["--filter", "type=mount"]);
    assert!((2_000_000..2_100_000).contains(&mounts), "{mounts}");

    let asked = scene.home.run(&["cache", "prune"]).returned(2);
    assert!(asked.mentions("help: add --force"), "{asked:?}");
    let none = prune(&scene.home, &["--filter", "unused-for=24h"]);
    assert_eq!(none.stdout, "Total: 0 B\n");
    let mount = prune(&scene.home, &["--filter", "type=mount"]);
    assert!(mount.stdout.ends_with("Total: 2.0 MB\n"), "{mount:?}");
    assert_eq!(bytes(&scene.home, &["--filter", "type=mount"]), 0);
    let _ = prune(&scene.home, &["--max-used-space", "8MB"]);
    assert!(bytes(&scene.home, &[]) <= 8_000_000);
    let again = scene.push_unsigned(&[]).succeeded();
    assert!(again.mentions("=> pushed"), "a hit whose layer is gone is a miss: {again:?}");
}

#[test]
fn everything_can_be_removed_by_its_user() {
    let scene = Scene::new();
    scene.dockerfile(STEPS);
    let _ = scene.build(&[]).succeeded();
    scene.home.stop_worker();
    let _ = prune(&scene.home, &["--all"]);
    let left = listed(&scene.home, &["--filter", "type=step", "--filter", "inuse=false"]);
    assert_eq!(left["items"].as_array().unwrap().len(), 0, "{left}");
    scene.home.stop_worker();
    let mut remove = scene.home.command("rm");
    remove.args(["-rf", "../home/.local/share/touchmark"]);
    let _ = scene.home.finish(remove).succeeded();
    let _ = scene.build(&[]).succeeded();
}

#[test]
fn a_running_build_keeps_what_it_uses() {
    let scene = Scene::new();
    let text = "FROM busybox AS one\nRUN head -c 3000000 /dev/urandom > /one\n\
         FROM busybox AS two\nRUN echo two > /two\nRUN sleep 3\n\
         FROM busybox\nCOPY --from=two /two /two\nCOPY --from=one /one /one\nRUN ls -l /one /two\n";
    scene.home.write("long/Dockerfile", text);
    scene.dockerfile(text);
    // What the running build finds made by another one is what it may lose.
    let _ = scene.build(&["--target", "one"]).succeeded();
    let image = scene.registry.image("app:1");
    let running = scene.start("long", &["--push", "--no-sign", "-t", &image]);
    thread::sleep(Duration::from_secs(2));
    for _ in 0..3 {
        let _ = prune(&scene.home, &["--all"]);
    }
    let output = running.wait(LIMIT).succeeded();
    assert!(output.mentions("=> pushed"), "{output:?}");
    let again = scene.push_unsigned(&[]).succeeded();
    assert!(again.mentions("6 of 6 steps cached"), "{again:?}");
}

#[test]
fn a_killed_prune_leaves_a_cache_that_works() {
    let scene = Scene::new();
    scene.dockerfile(STEPS);
    let _ = scene.build(&[]).succeeded();
    for pause in [40, 60, 80, 100] {
        let running = scene.home.start(&["cache", "prune", "--force"]);
        thread::sleep(Duration::from_millis(pause));
        drop(running.kill());
        let _ = scene.push_unsigned(&[]).succeeded();
    }
    let _ = prune(&scene.home, &[]);
    let trash = scene.home.path("../home/.local/share/touchmark/trash");
    assert_eq!(fs::read_dir(trash).unwrap().count(), 0);
}

#[test]
fn a_cap_of_the_user_holds_after_each_build() {
    let scene = Scene::new();
    scene.home.write("../home/.config/touchmark/config.toml", "[cache]\nmax-size = \"12MB\"\n");
    for number in 0..4 {
        scene.dockerfile(&format!(
            "FROM busybox\nRUN head -c 3000000 /dev/urandom > /f && echo {number}\n"
        ));
        let _ = scene.push_unsigned(&[]).succeeded();
    }
    let total = bytes(&scene.home, &[]);
    let table = scene.home.run(&["cache", "du", "--verbose"]);
    assert!(total <= 12_000_000, "{table:?}");
    scene.home.write("../home/.config/touchmark/config.toml", "[cache]\nmax-size = \"much\"\n");
    let _ = scene.build(&[]).returned(2).says("'much' is no size");
}
