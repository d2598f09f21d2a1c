//! The worker: started on demand, described, stopped without a trace.

use touchmark_tests::{account::Account, home::Home, leftovers};

use crate::scene::Scene;

#[test]
fn it_starts_on_demand_and_stops_without_a_trace() {
    let scene = Scene::new();
    assert_eq!(leftovers::processes(scene.home.dir()), []);
    let _ = scene.build_only("FROM busybox\nRUN true\n").succeeded();
    assert!(
        !leftovers::processes(scene.home.dir()).is_empty(),
        "the worker stays for the next build"
    );
    let status = scene.home.run(&["worker", "status"]).succeeded();
    for word in ["containerd", "runc", "rootlesskit"] {
        assert!(status.stdout.contains(word), "no version of {word}\n{status:?}");
    }
    scene.home.stop_worker();
    assert_eq!(leftovers::mounts(scene.home.dir()), Vec::<String>::new());
}

#[test]
fn stopping_what_does_not_run_is_no_fault() {
    let home = Home::new();
    let _ = home.run(&["worker", "stop"]).succeeded();
    let status = home.run(&["worker", "status"]);
    assert!(status.mentions("not running"), "{status:?}");
}

#[test]
fn a_missing_program_is_named_with_its_remedy() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN true\n");
    let mut command = scene.home.touchmark(&["build", "--policy", "touchmark.toml", "ctx"]);
    command.env("PATH", "/nowhere");
    let output = scene.home.finish(command);
    // Where the programs lie in the places that are always looked at, nothing is missing.
    if output.code != 0 {
        let output = output.returned(3);
        assert!(output.mentions("apt-get install"), "{output:?}");
    }
}

#[test]
fn root_may_build_too() {
    let Some(root) = Account::root() else { return };
    let scene = Scene { home: Home::of(root), registry: touchmark_tests::base::tiny_registry() };
    scene.home.policy(&scene.registry, "");
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nRUN id -u > /made\n");
    let _ = scene.push_signed(&[]).succeeded();
    let image = scene.registry.image("app:1");
    let _ = scene.home.run(&["verify", &image, "--key", "cosign.pub"]).succeeded();
}
