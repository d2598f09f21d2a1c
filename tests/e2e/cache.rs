//! Nothing changed, nothing runs.

use touchmark_tests::{blobs, example::Example};

use crate::scene::Scene;

/// The random number that the last RUN wrote: another one means that the step ran again.
fn number(scene: &Scene) -> Vec<u8> {
    let layers = blobs::unpack_every_blob(&scene.registry, "app", "1");
    blobs::topmost(&layers, "number").expect("written by the step").contents.clone()
}

const RANDOM: &str = "FROM busybox\nARG SALT=none\nCOPY data /data\nRUN cat /proc/sys/kernel/random/uuid > /number\n";

#[test]
fn a_second_build_executes_no_run() {
    let scene = Scene::new();
    scene.dockerfile(RANDOM);
    scene.home.write("ctx/data", "one");
    let _ = scene.push_unsigned(&[]).succeeded();
    let first = number(&scene);
    let _ = scene.push_unsigned(&[]).succeeded();
    assert_eq!(number(&scene), first, "the step ran again");

    // Touched, not changed: contents count, times do not.
    scene.home.write("ctx/data", "one");
    let _ = scene.push_unsigned(&[]).succeeded();
    assert_eq!(number(&scene), first, "a new time stamp was taken for a change");

    scene.home.write("ctx/data", "two");
    let _ = scene.push_unsigned(&[]).succeeded();
    assert_ne!(number(&scene), first, "a changed file was not noticed");
}

#[test]
fn no_cache_runs_again_and_a_build_argument_that_a_step_sees_is_a_change() {
    let scene = Scene::new();
    scene.dockerfile(RANDOM);
    scene.home.write("ctx/data", "one");
    let _ = scene.push_unsigned(&[]).succeeded();
    let first = number(&scene);
    let _ = scene.push_unsigned(&["--build-arg", "SALT=pepper"]).succeeded();
    let salted = number(&scene);
    assert_ne!(salted, first);
    let _ = scene.push_unsigned(&["--no-cache"]).succeeded();
    assert_ne!(number(&scene), first);
}

#[test]
fn the_cache_survives_the_worker() {
    let scene = Scene::new();
    scene.dockerfile(RANDOM);
    scene.home.write("ctx/data", "one");
    let _ = scene.push_unsigned(&[]).succeeded();
    let first = number(&scene);
    scene.home.stop_worker();
    let _ = scene.push_unsigned(&[]).succeeded();
    assert_eq!(number(&scene), first);
}

#[test]
fn a_damaged_index_costs_time_and_one_warning() {
    let scene = Scene::new();
    scene.dockerfile(RANDOM);
    scene.home.write("ctx/data", "one");
    let _ = scene.push_unsigned(&[]).succeeded();
    let first = number(&scene);
    // With its journal it would be whole again: the journal of so small an index has all of it.
    for file in ["index.db", "index.db-wal"] {
        let index = "../home/.local/share/touchmark/index";
        scene.home.write(&format!("{index}/{file}"), "not a database");
    }
    let warned = scene.push_unsigned(&[]).succeeded();
    assert!(warned.mentions("was put aside and begun anew"), "{warned:?}");
    let second = number(&scene);
    assert_ne!(second, first);
    let quiet = scene.push_unsigned(&[]).succeeded();
    assert!(!quiet.mentions("put aside"), "{quiet:?}");
    assert_eq!(number(&scene), second, "the new index is used");
}

#[test]
fn the_example_again_executes_no_run() {
    let example = Example::pushed();
    let (first, second) = (example.output("first"), example.output("second"));
    assert!(!second.mentions("Unpacking gcc"), "a RUN was executed\n{second:?}");
    assert!(first.mentions("Unpacking gcc"), "or this test proves nothing\n{first:?}");
}
