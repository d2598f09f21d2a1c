//! Build contexts that are not a directory: standard input, repositories, archives; and named contexts.

use std::{fs, time::Duration};

use serde_json::Value;
use touchmark_tests::{
    blobs::{self, BlobEntry},
    git_origin::{COMMITTED, GitOrigin},
    referrers,
    run::{self, Output},
    snapshot,
    tarball::Tarball,
};

use crate::scene::Scene;

const COPIES: &str = "FROM scratch\nCOPY . /out/\n";

/// Builds with `input` as standard input, and pushes as `app:1`.
#[track_caller]
fn from_stdin(scene: &Scene, input: &[u8], args: &[&str]) -> Output {
    scene.home.write("input", input);
    let image = scene.registry.image("app:1");
    let first = ["build", "--policy", "touchmark.toml", "--harden", "off", "--push", "--no-sign"];
    let all = [&first[..], &["-t", &image], args].concat();
    let touchmark = scene.home.touchmark(&[]).get_program().to_owned();
    let mut shell = scene.home.command("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" < input"]).arg(touchmark).args(all);
    scene.home.finish(shell)
}

/// Builds the context `context` and pushes it as `app:1`.
#[track_caller]
fn push(scene: &Scene, args: &[&str]) -> Output {
    let image = scene.registry.image("app:1");
    let first = ["build", "--policy", "touchmark.toml", "--harden", "off", "--push", "-t", &image];
    scene.home.run(&[&first[..], args].concat())
}

fn entries(scene: &Scene) -> Vec<BlobEntry> {
    let layers = blobs::unpack_every_blob(&scene.registry, "app", "1");
    layers.into_iter().flat_map(|layer| layer.entries).collect()
}

/// `path mode uid` of everything in the image, in order of the paths.
fn listing(scene: &Scene) -> Vec<String> {
    let line = |entry: &BlobEntry| format!("{} {:o} {}", entry.path, entry.mode, entry.uid);
    let mut lines: Vec<String> = entries(scene).iter().map(line).collect();
    lines.sort();
    lines
}

fn provenance(scene: &Scene) -> Value {
    let digest = scene.registry.tag("app", "1").expect("pushed");
    referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE)
}

fn dependency(provenance: &Value, name: &str) -> Value {
    let all = provenance["buildDefinition"]["resolvedDependencies"].as_array().expect("a list");
    let found = all.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not listed: {all:#?}")).clone()
}

fn archive() -> Vec<u8> {
    Tarball::new()
        .file("Dockerfile", 0o644, COPIES)
        .file(".dockerignore", 0o644, "hidden\n")
        .file("hidden", 0o644, "")
        .file("tool", 0o4755, "x")
        .finish()
}

#[test]
fn an_archive_or_a_dockerfile_on_standard_input_is_the_context() {
    let scene = Scene::new();
    let _ = from_stdin(&scene, &archive(), &["-"]).succeeded();
    let copied =
        ["out 755 0", "out/.dockerignore 644 0", "out/Dockerfile 644 0", "out/tool 4755 0"];
    assert_eq!(listing(&scene), copied);
    let _ = from_stdin(&scene, b"FROM scratch\nCOPY <<E /f\nx\nE\n", &["-"]).succeeded();
    assert_eq!(listing(&scene), ["f 644 0"]);
    scene.home.write("ctx/a", "a");
    let _ = from_stdin(&scene, COPIES.as_bytes(), &["-f", "-", "ctx"]).succeeded();
    assert_eq!(listing(&scene), ["out 755 0", "out/a 644 0"]);
    let work = scene.home.dir().join("home/.local/share/touchmark/work");
    assert_eq!(fs::read_dir(work).unwrap().count(), 0, "what was unpacked is gone");
}

#[test]
fn a_commit_of_a_repository_is_the_context_and_dates_the_image() {
    let tree = [("Dockerfile", "FROM nothing\n"), ("sub/Dockerfile", COPIES), ("sub/run!", "#!\n")];
    let origin = GitOrigin::start(&[("/a.tar", archive())], &tree);
    let scene = Scene::new();
    scene.home.make_keys();
    let url = format!("http://user:hunter2@{}/team/app.git#v1:sub", origin.host());
    let output = push(&scene, &["--sign-key", "cosign.key", &url]).succeeded();
    assert_eq!(listing(&scene), ["out 755 0", "out/Dockerfile 644 0", "out/run 755 0"]);
    let provenance = provenance(&scene);
    let context = dependency(&provenance, "context");
    assert_eq!(context["uri"], format!("git+http://{}/team/app.git", origin.host()));
    assert_eq!(context["digest"]["gitCommit"], origin.commit());
    assert_eq!(context["annotations"]["subdirectory"], "sub");
    let epoch = &provenance["buildDefinition"]["internalParameters"]["sourceDateEpoch"];
    assert_eq!(epoch, COMMITTED);
    assert!(!output.mentions("hunter2") && !provenance.to_string().contains("hunter2"));

    let url = format!("http://{}/a.tar", origin.host());
    let _ = push(&scene, &["--sign-key", "cosign.key", &url]).succeeded();
    let archive = dependency(&self::provenance(&scene), "context archive");
    assert_eq!(archive["uri"], url.as_str());
    let digest = touchmark_tests::digest(&self::archive());
    assert_eq!(archive["digest"]["sha256"], &digest[7..]);
}

#[test]
fn what_is_no_context_is_told_in_whole_messages() {
    let origin = GitOrigin::start(&[("/text", b"hello\n".to_vec())], &[("f", "")]);
    let scene = Scene::new();
    let climbs = Tarball::new().file("Dockerfile", 0o644, COPIES).file("../evil", 0o644, "x");
    let leads_out = Tarball::new().symlink("Dockerfile", "/etc/passwd");
    let repository = |more: &str| format!("http://{}/team/app.git{more}", origin.host());
    let mut told = String::new();
    let mut tell = |what: &str, output: Output| {
        let text = scene.home.told(&output).replace(origin.commit(), "COMMIT");
        told.push_str(&format!("### {what}\n{text}\n"));
    };
    tell("both are standard input", from_stdin(&scene, b"", &["-f", "-", "-"]));
    tell("empty standard input", from_stdin(&scene, b"", &["-"]));
    tell("a program", from_stdin(&scene, b"\x7fELF\x02\x01\0\0", &["-"]));
    tell("a Dockerfile and --file", from_stdin(&scene, COPIES.as_bytes(), &["-f", "x", "-"]));
    tell("an archive that climbs", from_stdin(&scene, &climbs.finish(), &["-"]));
    tell("a Dockerfile that leads out", from_stdin(&scene, &leads_out.finish(), &["-"]));
    tell("no such tag", push(&scene, &["--no-sign", &repository("#v9")]));
    tell("no such directory", push(&scene, &["--no-sign", &repository("#v1:sub")]));
    tell("another commit", push(&scene, &["--no-sign", &repository("?tag=v1&commit=123456")]));
    tell("an unknown key", push(&scene, &["--no-sign", &repository("?depth=1")]));
    tell("no Dockerfile", push(&scene, &["--no-sign", &repository("")]));
    let missing = format!("http://{}/nope.tar", origin.host());
    tell("not found", push(&scene, &["--no-sign", &missing]));
    scene.dockerfile("FROM scratch\n");
    tell("not a pair", push(&scene, &["--no-sign", "--build-context", "x", "ctx"]));
    tell("no directory", push(&scene, &["--no-sign", "--build-context", "x=nope", "ctx"]));
    snapshot::assert("contexts-refused", &told);
}

#[test]
fn named_contexts_stand_for_bases_stages_and_sources() {
    let archive = Tarball::new().file("packed", 0o640, "p").finish();
    let origin = GitOrigin::start(&[("/a.tar", archive)], &[("versioned", "v")]);
    let scene = Scene::new();
    scene.home.write("more/kept", "k");
    scene.home.write("more/hidden", "h");
    scene.home.write("more/.dockerignore", "hidden\n");
    let layout = ["--harden", "off", "--no-sign", "-o", "type=oci,tar=false,dest=layout"];
    scene.dockerfile("FROM busybox\nENV FROM_LAYOUT=1\n");
    let _ = scene.build(&layout).succeeded();
    scene.dockerfile(
        "FROM shell AS build\nRUN --mount=from=more,target=/m echo $FROM_LAYOUT > /env && ls /m >> /env\n\
         FROM unreachable AS stage\nRUN false\n\
         FROM more\nCOPY --from=build /env /env\nCOPY --from=archive / /a/\nCOPY --from=stage / /s/\n",
    );
    scene.home.make_keys();
    let (packed, versioned) = (
        format!("archive=http://{}/a.tar", origin.host()),
        format!("stage=http://{}/team/app.git", origin.host()),
    );
    let args = ["--harden", "off", "--build-context", "shell=oci-layout://layout"];
    let more = ["--build-context", "more=more", "--build-context", &packed];
    let rest = ["--build-context", &versioned, "--build-context", "never=http://127.0.0.1:1/x"];
    let _ = scene.push_signed(&[&args[..], &more, &rest].concat()).succeeded();
    let found = listing(&scene);
    let expected = [
        ".dockerignore 644 0",
        "a 755 0",
        "a/packed 640 0",
        "env 644 0",
        "kept 644 0",
        "s 755 0",
        "s/versioned 644 0",
    ];
    assert_eq!(found, expected);
    let env = entries(&scene).into_iter().find(|entry| entry.path == "env").unwrap();
    assert_eq!(String::from_utf8_lossy(&env.contents), "1\nkept\n");
    let provenance = provenance(&scene);
    let _ = dependency(&provenance, "context:more");
    assert_eq!(dependency(&provenance, "app.git")["digest"]["gitCommit"], origin.commit());
    assert!(dependency(&provenance, "a.tar")["digest"]["sha256"].is_string());
}

#[test]
fn what_a_killed_build_fetched_is_swept_by_the_next() {
    let scene = Scene::new();
    scene.home.write("input", "FROM busybox\nRUN echo begun && sleep 60\n");
    let touchmark = scene.home.touchmark(&[]).get_program().to_owned();
    let mut shell = scene.home.command("sh");
    shell.args(["-c", "exec \"$0\" build --progress plain --policy touchmark.toml - < input"]);
    shell.arg(touchmark);
    let mut running = run::start(shell);
    running.until(Duration::from_secs(120), |output| output.mentions("] begun").then_some(()));
    let work = scene.home.dir().join("home/.local/share/touchmark/work");
    let left = |expected| assert_eq!(fs::read_dir(&work).unwrap().count(), expected);
    let _ = running.kill();
    left(1);
    let _ = scene.build_only("FROM busybox\n").succeeded();
    left(0);
}
