//! A step that runs says why.

use touchmark_tests::{base, run::Output};

use crate::scene::Scene;

const DOCKERFILE: &str = "FROM busybox AS build\n\
    ARG VERSION\n\
    ARG API_TOKEN\n\
    WORKDIR /src\n\
    COPY src .\n\
    RUN cat * > /out\n\
    FROM busybox\n\
    COPY --from=build /out /out\n";

/// Why steps ran, a line each.
fn told(output: &Output) -> String {
    let lines = output.stderr.lines().filter(|line| line.contains(" runs because "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_changed_is_told_from_what_to_what_but_never_a_secret() {
    let scene = Scene::new();
    scene.home.write("ctx/src/main.c", "one\n");
    scene.home.write("ctx/src/other.c", "other\n");
    scene.dockerfile(DOCKERFILE);
    let args =
        |version: &str, token: &str| [format!("VERSION={version}"), format!("API_TOKEN={token}")];
    let build = |version: &str, token: &str| {
        let [version, token] = args(version, token);
        scene.build(&["--build-arg", &version, "--build-arg", &token]).succeeded()
    };
    let first = build("1.2", "t0ps3cret");
    assert_eq!(told(&first), "", "no step of the first build has anything to be compared with");
    assert_eq!(told(&build("1.2", "t0ps3cret")), "");

    scene.home.write("ctx/src/main.c", "two\n");
    scene.home.write("ctx/src/new.c", "new\n");
    let changed = build("1.2", "t0ps3cret");
    assert_eq!(
        told(&changed),
        "[build 3/4] runs because src/main.c changed: sha256:2c8b08da5ce6… -> sha256:27dd8ed44a83…\n\
         [build 3/4] runs because src/new.c is new\n\
         [build 4/4] runs because the result of [build 3/4] changed\n\
         [stage-1 2/2] runs because the result of [build 4/4] changed"
    );

    let rebuilt = build("1.3", "an0ther");
    assert_eq!(
        told(&rebuilt),
        "[build 4/4] runs because the build argument API_TOKEN changed\n\
         [build 4/4] runs because the build argument VERSION changed: 1.2 -> 1.3"
    );
    for output in [&first, &changed, &rebuilt] {
        assert!(!output.stderr.contains("t0ps3cret") && !output.stderr.contains("an0ther"));
    }
}

#[test]
fn a_base_that_moved_and_a_step_that_is_new_are_told() {
    let scene = Scene::new();
    let dockerfile = "FROM busybox\nRUN echo a > /a\nRUN echo b > /b\n";
    let _ = scene.build_only(dockerfile).succeeded();
    let inserted = "FROM busybox\nRUN echo a > /a\nRUN echo c > /c\nRUN echo b > /b\n";
    assert_eq!(
        told(&scene.build_only(inserted).succeeded()),
        "[stage-0 3/4] runs because there is no earlier build of this step\n\
         [stage-0 4/4] runs because the result of [stage-0 3/4] changed"
    );
    let moved = base::busybox();
    let tar = touchmark_tests::tarball::Tarball::new().file("moved", 0o644, "moved\n").finish();
    let moved =
        touchmark_tests::image::Image { layers: [moved.layers, vec![tar]].concat(), ..moved };
    let _ = moved.push(&scene.registry, "library/busybox", "latest");
    let rebuilt = told(&scene.build_only(inserted).succeeded());
    let first = rebuilt.lines().next().unwrap_or_default();
    let says = "[stage-0 2/4] runs because the base image docker.io/library/busybox:latest changed: sha256:";
    assert!(first.starts_with(says) && first.contains("… -> sha256:"), "{rebuilt}");
    let policy = ["--policy", "touchmark.toml"];
    let args = ["build", "--no-cache", "--progress", "rawjson", policy[0], policy[1], "ctx"];
    let again = scene.home.run(&args).succeeded();
    let missed = |line: &&str| line.contains("\"type\":\"missed\"");
    let missed: Vec<&str> = again.stderr.lines().filter(missed).collect();
    assert_eq!(missed.len(), 3, "{again:?}");
    assert!(missed.iter().all(|line| line.contains("\"reason\":\"cache-not-read\"")), "{missed:?}");
}
