//! Dockerfiles that cannot be built, each with its whole message.

use touchmark_tests::snapshot;

use crate::scene::Scene;

/// Builds `dockerfile`, expects `code` and each of `told`, compares the whole message.
fn rejects(name: &str, dockerfile: &str, code: i32, told: &[&str]) {
    let scene = Scene::new();
    let output = scene.build_only(dockerfile).returned(code);
    for text in told {
        assert!(output.mentions(text), "not said: {text}\n{output:?}");
    }
    snapshot::assert(name, &scene.home.told(&output));
}

#[test]
fn unknown_instruction() {
    let text = "FROM busybox\nRNU echo hello\n";
    rejects(
        "dockerfile-unknown-instruction",
        text,
        2,
        &["unknown instruction", "Dockerfile:2:1", "^^^", "RUN"],
    );
}

#[test]
fn missing_stage() {
    let text = "FROM busybox AS build\nRUN true\nFROM busybox\nCOPY --from=bulid /a /a\n";
    rejects("dockerfile-missing-stage", text, 2, &["bulid", "build", "Dockerfile:4"]);
}

#[test]
fn missing_file() {
    let text = "FROM busybox\nCOPY not-there.txt /\n";
    rejects("dockerfile-missing-file", text, 1, &["not-there.txt", "Dockerfile:2"]);
}

#[test]
fn a_run_that_exits_with_7() {
    let text = "FROM busybox\nRUN echo before\nRUN echo about to fail; exit 7\n";
    rejects("dockerfile-run-exit-7", text, 1, &["Dockerfile:3", "7", "about to fail"]);
}

#[test]
fn all_faults_of_a_file_at_once() {
    let text = "FROM busybox\nRNU one\nCOPPY two /\nEXPOSE 80\n";
    rejects("dockerfile-several-faults", text, 2, &["RNU", "COPPY"]);
}

#[test]
fn no_dockerfile_at_all() {
    let scene = Scene::new();
    scene.home.write("ctx/other", "x");
    let output = scene.build(&[]).returned(2);
    assert!(output.mentions("Dockerfile"), "{output:?}");
    snapshot::assert("dockerfile-none", &scene.home.told(&output));
}

#[test]
fn unknown_target() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox AS build\nRUN true\n");
    let output = scene.build(&["--target", "biuld"]).returned(2);
    assert!(output.mentions("build"), "{output:?}");
    snapshot::assert("dockerfile-unknown-target", &scene.home.told(&output));
}

#[test]
fn a_doubt_is_shown_once_and_an_argument_that_nothing_takes_is_named() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nARG TAKEN\nCMD ['a']\n");
    let args = ["--harden", "off", "--build-arg", "TAKEN=1", "--build-arg", "TAEKN=2"];
    let output = scene.build(&args).succeeded();
    assert_eq!(output.stderr.matches("warning[JSONArgsRecommended]").count(), 1, "{output:?}");
    assert!(output.mentions("warning: the build argument 'TAEKN' is not used"), "{output:?}");
    assert!(!output.mentions("argument 'TAKEN'"), "{output:?}");
}

#[test]
fn the_step_that_failed_is_named_and_not_the_one_that_was_stopped_for_it() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox AS slow\nRUN sleep 5\nFROM busybox AS bad\nRUN sleep 1; exit 3\n\
         FROM scratch\nCOPY --from=slow / /\nCOPY --from=bad / /\n",
    );
    let output = scene.build(&["--jobs", "2"]).returned(1);
    assert!(output.mentions("RUN ended with exit code 3\n --> Dockerfile:4:1"), "{output:?}");
}
