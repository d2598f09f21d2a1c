//! Registries that are down, deny, lie or stop in the middle: whole messages, and never a wrong image.

use serde_json::json;
use touchmark_tests::{
    base,
    home::Home,
    image::{self, MANIFEST},
    impostor::{Impostor, Reply},
    registry::free_port,
    run::Output,
    snapshot,
    tarball::Tarball,
};

use crate::scene::Scene;

/// `FROM <host>/broken:1` in a home whose policy lets it; returns what was said.
fn build_from(host: &str) -> (Home, Output) {
    let home = Home::new();
    let policy =
        format!("[registries]\n\"{host}\" = {{ plain-http = true }}\n[network]\nallow = []\n");
    home.write("touchmark.toml", policy);
    home.write("ctx/Dockerfile", format!("FROM {host}/broken:1\nRUN true\n"));
    let output = home.run(&["build", "--progress", "plain", "--policy", "touchmark.toml", "ctx"]);
    (home, output)
}

fn json_reply(body: &serde_json::Value) -> Reply {
    Reply::Whole(200, vec![format!("Content-Type: {MANIFEST}")], body.to_string().into_bytes())
}

/// A registry with one image of one layer; `layer` answers when the layer's blob is asked for.
fn serving(layer: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) -> Impostor {
    let tar = Tarball::new().dir("bin/", 0o755).file("bin/data", 0o644, vec![7; 200_000]).finish();
    let blob = image::gzip(&tar);
    let config = image::Image::of(vec![tar]).config_bytes();
    let manifest = image::manifest(&config, &[image::layer_descriptor(&blob)]);
    let config_digest = touchmark_tests::digest(&config);
    Impostor::start(move |request| match request.path.as_str() {
        "/v2/" => Reply::Whole(200, vec![], b"{}".to_vec()),
        path if path.contains("/manifests/") => json_reply(&manifest),
        path if path.ends_with(&config_digest) => Reply::Whole(200, vec![], config.clone()),
        path if path.contains("/blobs/") => layer(&blob),
        _ => Reply::Whole(404, vec![], b"{}".to_vec()),
    })
}

#[test]
fn registry_down() {
    let host = format!("127.0.0.1:{}", free_port());
    let (home, output) = build_from(&host);
    let output = output.returned(3);
    assert!(output.mentions(&host), "{output:?}");
    snapshot::assert("registry-down", &home.told(&output));
}

#[test]
fn registry_that_asks_for_credentials() {
    let denying = Impostor::start(|_| {
        let body =
            json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
        let headers = vec!["WWW-Authenticate: Basic realm=\"private\"".to_owned()];
        Reply::Whole(401, headers, body.to_string().into_bytes())
    });
    let (home, output) = build_from(&denying.host());
    assert!(output.code != 0 && output.mentions("docker login"), "{output:?}");
    snapshot::assert("registry-401", &home.told(&output));
}

#[test]
fn unknown_image() {
    let registry = base::tiny_registry();
    let (home, output) = build_from(&registry.host());
    let output = output.returned(1);
    assert!(output.mentions("broken:1"), "{output:?}");
    snapshot::assert("registry-unknown-image", &home.told(&output));
}

#[test]
fn a_manifest_of_100_megabytes_is_not_swallowed() {
    let greedy = Impostor::start(|request| match request.path.as_str() {
        path if path.contains("/manifests/") => {
            Reply::Endless(vec![format!("Content-Type: {MANIFEST}")], 100 << 20)
        }
        _ => Reply::Whole(200, vec![], b"{}".to_vec()),
    });
    let (home, output) = build_from(&greedy.host());
    let output = output.returned(1);
    assert!(output.mentions("larger than"), "the limit is named\n{output:?}");
    snapshot::assert("registry-huge-manifest", &home.told(&output));
}

#[test]
fn a_blob_with_another_digest() {
    let lying = serving(|blob| {
        let mut other = blob.to_vec();
        *other.last_mut().unwrap() ^= 1;
        Reply::Whole(200, vec![], other)
    });
    let (home, output) = build_from(&lying.host());
    let output = output.returned(1);
    assert!(output.mentions("digest"), "{output:?}");
    snapshot::assert("registry-wrong-digest", &home.told(&output));
}

#[test]
fn a_layer_that_ends_in_the_middle() {
    let stopping = serving(|blob| Reply::Truncated(200, vec![], blob.to_vec(), blob.len() / 2));
    let (home, output) = build_from(&stopping.host());
    assert!(output.code != 0, "{output:?}");
    snapshot::assert("registry-truncated-layer", &home.told(&output));
}

/// The same faults in a stored image: the bytes on the registry's disk have rotted.
#[test]
fn a_rotten_blob_of_a_real_registry() {
    let scene = Scene::new();
    let (_, manifest) = scene.registry.manifest("library/busybox", "latest").unwrap();
    scene.registry.corrupt(manifest["layers"][0]["digest"].as_str().unwrap());
    let output = scene.build_only("FROM busybox\nRUN true\n").returned(1);
    assert!(output.mentions("digest"), "{output:?}");
}

#[test]
fn an_image_for_another_platform() {
    let registry = base::tiny_registry();
    let (digest, manifest) = registry.manifest("library/busybox", "latest").unwrap();
    let entry = json!({
        "mediaType": MANIFEST, "digest": digest, "size": manifest.to_string().len(),
        "platform": {"os": "linux", "architecture": "riscv64"},
    });
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]});
    registry.put_manifest("library/busybox", "riscv", kind, index.to_string().as_bytes());
    let home = Home::new();
    home.policy(&registry, "");
    home.write("ctx/Dockerfile", "FROM busybox:riscv\nRUN true\n");
    let output = home.run(&["build", "--policy", "touchmark.toml", "ctx"]).returned(1);
    assert!(output.mentions("riscv64"), "the platforms that are there are listed\n{output:?}");
    snapshot::assert("registry-other-platform", &home.told(&output));
}
