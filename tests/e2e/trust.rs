//! Whose word counts: base images that must be signed, marks by cosign, and verdicts that cannot be.

use std::{fs, path::PathBuf};

use serde_json::Value;
use touchmark_tests::{cache, example::Example, home::Home, referrers};

use crate::scene::Scene;

const NO_LOG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;

/// Signs with `cosign.key` of `home`, as cosign 3 does without a transparency log.
fn cosign_signs(home: &Home, image: &str) {
    home.write("no-log.json", NO_LOG);
    let mut command = home.command(cosign());
    let config = ["--signing-config", "no-log.json", "--allow-http-registry"];
    command.args(["sign", "--key", "cosign.key"]).args(config).arg(image);
    let _ = home.finish(command).succeeded();
}

fn cosign() -> PathBuf {
    cache::dir().join("cosign")
}

#[test]
fn a_base_image_of_a_registry_that_wants_signatures_is_refused_without_one() {
    let scene = Scene::new();
    scene.home.make_keys();
    let policy = fs::read_to_string(scene.home.path("touchmark.toml")).unwrap();
    let host = scene.registry.host();
    let asks = policy.replace(
        &format!("mirror = \"{host}\""),
        &format!("mirror = \"{host}\", require-signature = {{ key = \"cosign.pub\" }}"),
    );
    assert_ne!(asks, policy);
    scene.home.write("touchmark.toml", asks);
    scene.dockerfile("FROM busybox\nRUN echo built\n");
    let output = scene.build(&[]).returned(1);
    let output = output
        .says("the base image 'docker.io/library/busybox:latest' is not signed by the key 'cosign.pub'")
        .says("Dockerfile:1:6")
        .says("take require-signature from \"docker.io\" in the policy");
    assert!(!output.mentions("built"), "no step ran: {output:?}");
    cosign_signs(&scene.home, &scene.registry.image("library/busybox:latest"));
    let _ = scene.build(&[]).succeeded();
    // Another key's signature is none.
    let stranger = Home::new();
    stranger.make_keys();
    scene.home.write("cosign.pub", fs::read(stranger.path("cosign.pub")).unwrap());
    let _ = scene.build(&[]).returned(1).says("signed by another key");
    fs::remove_file(scene.home.path("cosign.pub")).unwrap();
    let _ = scene.build(&[]).returned(2).says("cosign.pub cannot be read");
}

#[test]
fn what_cosign_signed_has_a_signature_and_nothing_else() {
    let scene = Scene::new();
    scene.home.make_keys();
    let image = scene.registry.image("library/busybox:latest");
    cosign_signs(&scene.home, &image);
    let verify = |more: &[&str]| {
        scene.home.run(&[&["verify", &image, "--key", "cosign.pub"], more].concat())
    };
    assert!(verify(&[]).returned(1).mentions("no provenance among the evidence"));
    let _ = verify(&["--require", "signature"]).succeeded();
    let _ = verify(&["--require", "signature,sbom"]).returned(1);
}

#[test]
fn a_json_verdict_is_a_document_on_every_way_out() {
    let home = Home::new();
    home.make_keys();
    let cases = [
        ("127.0.0.1:1/app:1", "cosign.pub", 3, "environment"),
        ("oci:nowhere", "cosign.pub", 1, "failed"),
        ("oci:nowhere", "nokey.pub", 2, "usage"),
    ];
    for (image, key, code, kind) in cases {
        let args = ["verify", image, "--key", key, "--format", "json"];
        let output = home.run(&args).returned(code);
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(document["passed"], false);
        assert_eq!(document["image"], Value::Null);
        assert_eq!(document["error"]["kind"], kind, "{document}");
    }
}

#[test]
fn a_tar_file_and_a_directory_are_found_by_either_word() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\n");
    let out = ["--sign-key", "cosign.key", "-t", "app:1"];
    let tar = ["-o", "type=oci,dest=out.tar"];
    let directory = ["-o", "type=oci,dest=out,tar=false"];
    let _ = scene.build(&[&out[..], &tar, &directory].concat()).succeeded();
    for image in
        ["oci:out.tar", "oci:out.tar:1", "oci-archive:out.tar", "oci:out", "oci-archive:out"]
    {
        let _ = scene.home.run(&["verify", image, "--key", "cosign.pub"]).succeeded();
    }
    let _ = scene
        .home
        .run(&["verify", "out.tar", "--key", "cosign.pub"])
        .returned(2)
        .says("write oci:out.tar");
}

#[test]
fn the_policy_says_which_builders_count() {
    let example = Example::pushed();
    let home = Home::new();
    example.lend_key(&home);
    let verify = |policy: &str| {
        home.write("v.toml", format!("[verify]\nkeys = [\"cosign.pub\"]\n{policy}\n"));
        home.run(&["verify", &example.image(), "--policy", "v.toml"])
    };
    let _ = verify("").succeeded();
    let _ =
        verify("builders = [\"https://touchmark.dev/builder/rootless-mirrors/v1\"]").succeeded();
    let other = verify("builders = [\"https://b.example\"]").returned(1);
    assert!(other.mentions("not by 'https://b.example'"));
    let _ = verify("sources = [\"git+https://git.example/*\"]").returned(1);
    let _ = verify("hermetic = true").succeeded();
    let keyless = "[[verify.identity]]\nsubject = \"a\"\nissuer = \"b\"";
    let _ = verify(keyless).returned(2).says("keyless");
}

#[test]
fn a_proxy_that_nobody_declared_is_told_to_nobody() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nARG SHOWN\nRUN echo step\n");
    let secret = "http://user:hidden-word@proxy.example:3128";
    let output = scene
        .push_signed(&["--build-arg", &format!("FTP_PROXY={secret}"), "--build-arg", "SHOWN=yes"])
        .succeeded();
    assert!(!output.mentions("hidden-word") && !output.mentions("is not used"), "{output:?}");
    let digest = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    let parameters = &provenance["buildDefinition"]["externalParameters"];
    assert_eq!(parameters["buildArgs"], serde_json::json!({"SHOWN": "yes"}));
    assert!(!provenance.to_string().contains("hidden-word"));
}

#[test]
fn a_root_user_is_refused_where_the_policy_says_so() {
    let scene = Scene::with_policy("[harden]\nuser = \"require-nonroot\"\n");
    let start = "FROM busybox\nENTRYPOINT [\"/bin/true\"]\nUSER";
    scene.dockerfile(&format!("{start} root:staff\n"));
    let _ = scene.build(&[]).returned(1).says("Dockerfile:3:").says("USER is 'root:staff'");
    scene.dockerfile("FROM busybox\nENTRYPOINT [\"/bin/true\"]\n");
    let _ = scene.build(&[]).returned(1).says("would begin as root");
    scene.dockerfile(&format!("{start} 65532\n"));
    let output = scene.build(&[]);
    assert!(!output.mentions("would begin as root"), "{output:?}");
}
