//! The main job: a multi-stage Dockerfile becomes a signed image that a stranger can verify.

use serde_json::Value;
use touchmark_tests::{
    example::{self, Example},
    home::Home,
    referrers,
};

use crate::scene::Scene;

#[test]
fn a_stranger_verifies_the_example_with_the_public_key_alone() {
    let example = Example::pushed();
    let stranger = Home::new();
    example.lend_key(&stranger);
    let output = stranger.run(&["verify", &example.image(), "--key", "cosign.pub"]).succeeded();
    for word in ["signature", "provenance", "sbom"] {
        assert!(
            output.stdout.to_lowercase().contains(word),
            "the table has no row for {word}\n{output:?}"
        );
    }

    let image = format!("{}@{}", example.registry.image("hello"), example.digest());
    let output =
        stranger.run(&["verify", &image, "--key", "cosign.pub", "--format", "json"]).succeeded();
    let verdict: Value =
        serde_json::from_str(&output.stdout).expect("standard output is one JSON document");
    assert_eq!(verdict["schemaVersion"], 1, "{verdict:#}");
    assert!(
        output.stdout.contains(&example.digest()),
        "the verdict names the image's digest\n{output:?}"
    );
}

#[test]
fn every_statement_is_about_the_pushed_image() {
    let example = Example::pushed();
    let digest = example.digest();
    let all = referrers::of(&example.registry, example::REPOSITORY, &digest);
    for wanted in [referrers::SIGNATURE, referrers::PROVENANCE, referrers::SBOM] {
        assert!(
            all.iter().any(|one| one.predicate_type() == wanted),
            "no statement of type {wanted}"
        );
    }
    let hex = digest.trim_start_matches("sha256:");
    for referrer in all {
        assert_eq!(referrer.statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(referrer.statement["subject"][0]["digest"]["sha256"], hex);
    }
}

#[test]
fn the_configuration_is_what_the_dockerfile_says() {
    let example = Example::pushed();
    let (_, manifest) = example.registry.manifest(example::REPOSITORY, "1").unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config: Value =
        serde_json::from_slice(&example.registry.blob(example::REPOSITORY, config)).unwrap();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/local/bin/hello"]));
    assert_eq!(config["config"]["Cmd"], serde_json::json!(["world"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.title"], "hello");
    let layers = manifest["layers"].as_array().unwrap().len();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), layers);
}

#[test]
fn the_tag_moves_last() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let _ = scene.push_signed(&[]).succeeded();
    let requests = scene.registry.requests();
    let puts: Vec<&String> =
        requests.iter().filter(|request| request.starts_with("PUT /v2/app/")).collect();
    assert!(puts.len() >= 6, "image, config, layers and statements are put: {puts:#?}");
    assert!(puts.last().unwrap().ends_with("/manifests/1"), "something follows the tag: {puts:#?}");
}

#[test]
fn an_oci_layout_holds_the_same_set_and_verifies_without_a_registry() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let _ = scene.push_signed(&[]).succeeded();
    let _ =
        scene.build(&["--sign-key", "cosign.key", "-o", "type=oci,dest=layout.tar"]).succeeded();
    let alone = &scene.home;
    let output =
        alone.run(&["verify", "oci-archive:layout.tar", "--key", "cosign.pub"]).succeeded();
    let digest = scene.registry.tag("app", "1").unwrap();
    let output_json = alone
        .run(&["verify", "oci-archive:layout.tar", "--key", "cosign.pub", "--format", "json"])
        .succeeded();
    assert!(
        output_json.stdout.contains(&digest),
        "another image than the pushed one\n{output:?}\n{output_json:?}"
    );
}

#[test]
fn only_the_stages_that_the_target_needs_are_built() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox AS broken\nRUN exit 9\nFROM busybox AS good\nRUN echo good > /good\nFROM broken\nRUN true\n",
    );
    let output = scene.push_unsigned(&["--target", "good"]).succeeded();
    assert!(!output.mentions("exit 9"), "the broken stage was touched\n{output:?}");
    assert!(scene.registry.tag("app", "1").is_some());
}

#[test]
fn standard_output_holds_data_only() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo talk\n");
    let output = scene.push_unsigned(&[]).succeeded();
    assert!(
        !output.stdout.contains("talk"),
        "a step's output is talk, which goes to standard error\n{output:?}"
    );
    assert!(output.stderr.contains("talk"), "the step's output is shown\n{output:?}");
}
