//! An image is built again from its provenance, offline, and compared bit for bit; the result can be signed.

use std::fs;

use serde_json::{Value, json};
use touchmark_tests::{
    base, cache,
    git_origin::GitOrigin,
    image::push_index,
    impostor::{Impostor, Reply},
    referrers,
};

use crate::scene::Scene;

const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
const BIT_IDENTICAL: &str = "https://touchmark.dev/rebuild/bit-identical/v1";

/// `cosign verify-attestation` of a test result.
fn cosign(scene: &Scene, digest: &str) {
    let mut command = scene.home.command(cache::dir().join("cosign"));
    let image = format!("{}@{digest}", scene.registry.image("app"));
    command.args(["verify-attestation", "--type", TEST_RESULT, "--key", "cosign.pub"]);
    command.args(["--insecure-ignore-tlog", "--allow-insecure-registry", &image]);
    let _ = scene.home.finish(command).succeeded();
}

#[test]
fn an_image_is_rebuilt_from_provenance_and_materials_and_a_change_is_named() {
    let mirror = Impostor::start(|_| Reply::Whole(200, vec![], b"precious\n".to_vec()));
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}\"\n",
        mirror.host()
    ));
    scene.home.make_keys();
    scene.home.write("ctx/data", "one\n");
    scene.dockerfile(
        "FROM busybox AS get\nARG FLAVOUR\nRUN wget -O /f http://packages.example.org/f && echo $FLAVOUR >> /f\n\
         FROM busybox\nCOPY --from=get /f /f\nCOPY data /data\n",
    );
    let _ = scene.push_signed(&["--build-arg", "FLAVOUR=lemon", "--label", "a=b c"]).succeeded();
    let image = scene.registry.image("app:1");
    let with = ["--policy", "touchmark.toml", "--key", "cosign.pub"];
    let _ = scene.home.run(&[&["materials", "push", &image][..], &with].concat()).succeeded();
    drop(mirror);
    let _ = scene.home.run(&["cache", "prune", "--all", "--force"]).succeeded();

    let verify = [&["verify", &image, "--require", "signature,rebuild"][..], &with].concat();
    assert!(scene.home.run(&verify).returned(1).mentions("no rebuild among the evidence"));
    let attest = ["--attest", "--sign-key", "cosign.key"];
    let rebuild = [&["rebuild", "--json", &image, "ctx"][..], &with, &attest].concat();
    let again = scene.home.run(&rebuild).succeeded();
    assert!(again.mentions("identical: sha256:"), "{again:?}");
    let document: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(document["identical"], true, "{document:#}");
    attested(&scene, document["image"].as_str().unwrap());
    assert!(scene.home.run(&verify).succeeded().mentions("built again bit for bit by touchmark"));

    scene.home.write("ctx/data", "onE\n");
    let changed = scene.home.run(&rebuild).returned(1);
    assert!(changed.mentions("data: byte 2: 0x65 became 0x45"), "{changed:?}");
    assert!(changed.mentions("nothing was attested, because another source"), "{changed:?}");
    scene.dockerfile("FROM busybox\n");
    let other = scene.home.run(&rebuild).returned(1);
    assert!(other.mentions("Dockerfile is not the one that was built"), "{other:?}");
}

/// The statement says what was followed and what went in, and cosign believes it.
fn attested(scene: &Scene, digest: &str) {
    let said = referrers::predicate(&scene.registry, "app", digest, TEST_RESULT);
    assert_eq!(
        (&said["result"], &said["passedTests"]),
        (&json!("PASSED"), &json!([BIT_IDENTICAL]))
    );
    assert_eq!(said["touchmarkRebuild"]["rebuilt"], digest, "{said:#}");
    let all = referrers::of(&scene.registry, "app", digest);
    let provenance = all.iter().find(|one| one.predicate_type() == referrers::PROVENANCE).unwrap();
    let inputs =
        provenance.statement["predicate"]["buildDefinition"]["resolvedDependencies"].clone();
    let configuration = said["configuration"].as_array().unwrap();
    let followed = configuration[1]["digest"]["sha256"].as_str().unwrap();
    assert_eq!(format!("sha256:{followed}"), provenance.blob);
    for input in inputs.as_array().unwrap() {
        let digest = |one: &Value| (one["name"].clone(), one["digest"].clone());
        assert!(
            configuration.iter().any(|one| digest(one) == digest(input)),
            "{input:#}\n{said:#}"
        );
    }
    cosign(scene, digest);
}

#[test]
fn each_image_of_an_index_is_rebuilt_and_a_difference_is_attested_as_one() {
    let scene = Scene::new();
    let here = touchmark_tests::image::architecture();
    let busybox = base::busybox();
    let platforms = [here, "s390x"];
    let entries = platforms.map(|one| busybox.push_for(&scene.registry, "library/multi", one));
    push_index(&scene.registry, "library/multi", "latest", &entries);
    scene.home.make_keys();
    scene.home.write("ctx/data", "one\n");
    scene.dockerfile("FROM multi\nCOPY data /data\n");
    let both = format!("linux/{here},linux/s390x");
    let image = scene.registry.image("app:1");
    let out = "type=registry,compression=gzip,compression-level=9,force-compression=true";
    let push = ["-o", out, "--sign-key", "cosign.key", "-t", &image, "--platform", &both];
    let _ = scene.build(&push).succeeded();
    let with = ["--policy", "touchmark.toml", "--key", "cosign.pub"];
    let attest = ["--attest", "--sign-key", "cosign.key"];
    let rebuild = [&["rebuild", "--json", &image, "ctx"][..], &with].concat();
    let again = scene.home.run(&[&rebuild[..], &attest].concat()).succeeded();
    let document: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(document["images"][1]["platform"], "linux/s390x");
    assert_eq!(document["images"][1]["identical"], true, "{document:#}");
    cosign(&scene, document["image"].as_str().unwrap());
    let verify = ["verify", &image, "--require", "provenance,rebuild", "--format", "json"];
    let verified = scene.home.run(&[&verify[..], &with].concat()).succeeded();
    let verdict: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert!(verdict["platforms"].as_array().unwrap().iter().all(|one| one["rebuild"] == "own"));

    // What cannot be built here leaves the other, and nobody stands for the whole.
    scene.registry.delete_manifest("library/multi", entries[1]["digest"].as_str().unwrap());
    let _ = scene.home.run(&["cache", "prune", "--all", "--force"]).succeeded();
    let part = scene.home.run(&[&rebuild[..], &attest].concat()).returned(1);
    assert!(
        part.mentions("could not be built here") && part.mentions("not rebuilt here: linux/s390x")
    );
    assert!(part.mentions("nothing was attested about the index"), "{part:?}");
    push_index(
        &scene.registry,
        "library/multi",
        "latest",
        &[
            busybox.push_for(&scene.registry, "library/multi", here),
            busybox.push_for(&scene.registry, "library/multi", "s390x"),
        ],
    );

    // A step that gives something else each time.
    scene.dockerfile("FROM --platform=$BUILDPLATFORM multi AS r\nRUN cat /proc/sys/kernel/random/uuid > /u\nFROM multi\nCOPY --from=r /u /\n");
    let _ = scene.push_signed(&["--platform", &both]).succeeded();
    let file = "--attest=found.json";
    let changed = [&rebuild[..], &[file, "--sign-key", "cosign.key"]].concat();
    let output = scene.home.run(&changed).returned(1);
    assert!(output.mentions("layer") && output.mentions("became"), "{output:?}");
    let bundle = fs::read_to_string(scene.home.path("found.json")).unwrap();
    let said = referrers::payload(&serde_json::from_str(&bundle).unwrap());
    assert_eq!(said["predicate"]["result"], "FAILED");
    assert_eq!(said["predicate"]["failedTests"], json!([BIT_IDENTICAL]));
    assert!(said["predicate"]["touchmarkRebuild"]["words"].as_str().unwrap().contains(": byte "));
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(said["subject"][0]["digest"]["sha256"], document["image"].as_str().unwrap()[7..]);
}

#[test]
fn the_source_is_fetched_from_its_repository_as_far_as_the_policy_allows() {
    let origin = GitOrigin::start(
        &[],
        &[("sub/Dockerfile", "FROM busybox\nCOPY run /\n"), ("sub/run!", "#!\n")],
    );
    let scene = Scene::new();
    scene.home.make_keys();
    let git = |args: &[&str]| {
        let mut command = scene.home.command("git");
        command.args(args);
        let _ = scene.home.finish(command).succeeded();
    };
    git(&["clone", "--quiet", &format!("http://{}/team/app.git", origin.host()), "tree"]);
    git(&["-C", "tree", "remote", "set-url", "origin", "http://files.example/team/app.git"]);
    let image = scene.registry.image("app:1");
    let push = ["--push", "--sign-key", "cosign.key", "-t", &image, "tree/sub"];
    let build = ["build", "--progress", "plain", "--policy", "touchmark.toml"];
    let _ = scene.home.run(&[&build[..], &push].concat()).succeeded();

    let rebuild = ["rebuild", &image, "--policy", "touchmark.toml", "--key", "cosign.pub"];
    let refused = scene.home.run(&rebuild).returned(1);
    assert!(
        refused.mentions("files.example") && refused.mentions("touchmark rebuild IMAGE CONTEXT")
    );
    let mirror = format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"files.example\"\nupstream = \"http://{}\"\n",
        origin.host()
    );
    scene.home.policy(&scene.registry, &mirror);
    let attest = ["--attest=found.json", "--sign-key", "cosign.key"];
    let again = scene.home.run(&[&rebuild[..], &attest].concat()).succeeded();
    assert!(again.mentions("identical: sha256:"), "{again:?}");
    let bundle = fs::read_to_string(scene.home.path("found.json")).unwrap();
    let said = referrers::payload(&serde_json::from_str(&bundle).unwrap());
    let inputs = said["predicate"]["configuration"].as_array().unwrap();
    let context = inputs.iter().find(|one| one["name"] == "context").unwrap();
    assert_eq!(context["uri"], "git+http://files.example/team/app.git");
    assert_eq!(context["digest"]["gitCommit"], origin.commit());

    // Who stands in the commit needs nobody.
    drop(origin);
    let mut command =
        scene.home.touchmark(&["rebuild", &image, "--policy", "../../touchmark.toml"]);
    command.current_dir(scene.home.path("tree/sub"));
    let _ = scene.home.finish(command).succeeded();
}
