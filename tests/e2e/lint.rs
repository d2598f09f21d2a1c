//! Looking at a Dockerfile: `touchmark lint`, `--check`, `--call`, and what a build says on its way.

use touchmark_tests::{base, blobs, home::Home, repository, snapshot};

use crate::scene::Scene;

const DOUBTFUL: &str = "# VERSION is the version\nARG VERSION=1\n# base begins\nFROM busybox AS Base\n\
    ARG VERSION\nENV NAME=$VERSOIN TOKEN=x\nRUN --mount=type=secret,id=key,required true\nFROM base\n\
    CMD echo $VERSION\n";

#[test]
fn questions_need_neither_worker_nor_registry() {
    let home = Home::new();
    home.write("ctx/Dockerfile", DOUBTFUL);
    let lint = home.run(&["lint", "ctx/Dockerfile"]).returned(1);
    snapshot::assert("lint-text", &home.told(&lint));
    let check = home.run(&["build", "--check", "ctx"]).returned(1);
    assert_eq!(check.stdout, lint.stdout.replace("ctx/Dockerfile", "Dockerfile"));
    let json = home.run(&["lint", "--strict", "--format", "json", "ctx/Dockerfile"]).returned(1);
    snapshot::assert("lint-json", &home.told(&json));
    for question in ["targets", "outline"] {
        let table = home.run(&["build", "--call", question, "ctx"]).succeeded();
        let form = format!("{question},format=json");
        let json = home.run(&["build", "--call", &form, "ctx"]).succeeded();
        let both = home.told(&table) + &home.told(&json);
        snapshot::assert(&format!("call-{question}"), &both);
    }
    assert!(!home.dir().join("home/.local/share/touchmark").exists(), "a worker was started");
}

#[test]
fn errors_are_shown_with_the_warnings_beside_them() {
    let home = Home::new();
    home.write("ctx/Dockerfile", "FROM busybox AS Base\nRNU true\nEXPOSE 80/TCP\n");
    let lint = home.run(&["lint", "ctx/Dockerfile"]).returned(2);
    snapshot::assert("lint-errors", &home.told(&lint));
    let sarif = home.run(&["lint", "--format", "sarif", "ctx/Dockerfile"]).returned(2);
    let log: serde_json::Value = serde_json::from_str(&sarif.stdout).unwrap();
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 3, "{log:#}");
}

#[test]
fn a_rule_explains_itself() {
    let home = Home::new();
    let page = home.run(&["lint", "--explain", "UndefinedVar"]).succeeded();
    assert!(page.stdout.starts_with("# UndefinedVar\n"), "{page:?}");
    let typo = home.run(&["lint", "--explain", "UndefinedVra"]).returned(2);
    assert!(typo.mentions("did you mean UndefinedVar?"), "{typo:?}");
}

#[test]
fn a_warning_ends_the_build_where_the_file_wants_it() {
    let scene = Scene::new();
    let text =
        "FROM busybox AS Unused\nENV A=$NOBODY\nFROM busybox\nENV HOME_DIR=$HOEM\nRUN echo ran\n";
    let built = scene.build_only(text).succeeded();
    assert!(built.mentions("warning[StageNameCasing]") && built.mentions("ran"), "{built:?}");
    assert!(built.mentions("'HOEM' is not set") && !built.mentions("NOBODY' is"), "{built:?}");
    let stopped = scene.build_only(&format!("# check=error=true\n{text}")).returned(1);
    assert!(!stopped.mentions("echo ran"), "{stopped:?}");
    snapshot::assert("lint-error-true", &scene.home.told(&stopped));
    let skip = "BUILDKIT_DOCKERFILE_CHECK=skip=all";
    let skipped = scene.build(&["--build-arg", skip]).succeeded();
    assert!(!skipped.mentions("warning["), "{skipped:?}");
}

#[test]
fn a_file_of_the_corpus_is_built_and_its_step_is_run() {
    let scene = Scene { home: Home::new(), registry: base::registry() };
    scene.home.policy(&scene.registry, "");
    scene.home.copy(&repository().join("tests/corpus/windows-escape"), "ctx");
    let built = scene.push_unsigned(&["--harden", "off"]).succeeded();
    assert!(built.mentions("] two"), "{built:?}");
    let layers = blobs::unpack_every_blob(&scene.registry, "app", "1");
    let file = blobs::topmost(&layers, "srv/a\\b").expect("copied");
    assert_eq!(file.contents, b"a backslash\n");
}
