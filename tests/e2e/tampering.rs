//! What an attacker with write access to the registry can do, and that none of it verifies.

use serde_json::{Value, json};
use touchmark_tests::{
    example::{self, Example},
    home::Home,
    image::MANIFEST,
    referrers,
    run::Output,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn verify(example: &Example, reference: &str) -> Output {
    let stranger = Home::new();
    example.lend_key(&stranger);
    stranger.run(&["verify", &example.registry.image(reference), "--key", "cosign.pub"])
}

/// Pushes the example with one field of its configuration changed as `hello:tampered`.
fn another_user(example: &Example) -> String {
    let registry = &example.registry;
    let (_, mut manifest) = registry.manifest(example::REPOSITORY, "1").unwrap();
    let old = manifest["config"]["digest"].as_str().unwrap().to_owned();
    let mut config: Value =
        serde_json::from_slice(&registry.blob(example::REPOSITORY, &old)).unwrap();
    config["config"]["User"] = json!("0:0");
    let config = config.to_string().into_bytes();
    manifest["config"]["size"] = json!(config.len());
    manifest["config"]["digest"] = json!(registry.put_blob(example::REPOSITORY, &config));
    registry.put_manifest(
        example::REPOSITORY,
        "tampered",
        MANIFEST,
        manifest.to_string().as_bytes(),
    )
}

/// Copies the fallback tag of one image to another: the old statements now stand beside the new image.
fn lend_statements(example: &Example, from: &str, to: &str) {
    let (_, index) =
        example.registry.manifest(example::REPOSITORY, &from.replace(':', "-")).unwrap();
    let bytes = index.to_string();
    example.registry.put_manifest(
        example::REPOSITORY,
        &to.replace(':', "-"),
        INDEX,
        bytes.as_bytes(),
    );
}

/// Rewrites the fallback tag: `keep` decides which statements stay.
fn drop_statements(example: &Example, keep: impl Fn(&str) -> bool) {
    let digest = example.digest();
    let all = referrers::of(&example.registry, example::REPOSITORY, &digest);
    let tag = digest.replace(':', "-");
    let (_, mut index) = example.registry.manifest(example::REPOSITORY, &tag).unwrap();
    let entries = index["manifests"].as_array_mut().unwrap();
    entries.retain(|entry| {
        let referrer =
            all.iter().find(|one| Some(one.manifest.as_str()) == entry["digest"].as_str());
        referrer.is_some_and(|one| keep(one.predicate_type()))
    });
    example.registry.put_manifest(example::REPOSITORY, &tag, INDEX, index.to_string().as_bytes());
}

#[test]
fn a_changed_configuration_has_no_signature() {
    let example = Example::pushed();
    another_user(&example);
    let output = verify(&example, "hello:tampered").returned(1);
    assert!(output.mentions("signature"), "the report says what is missing\n{output:?}");
}

#[test]
fn statements_of_the_real_image_do_not_help_a_changed_one() {
    let example = Example::pushed();
    let changed = another_user(&example);
    lend_statements(&example, &example.digest(), &changed);
    let output = verify(&example, "hello:tampered").returned(1);
    assert!(output.mentions("subject"), "the reason is named: another image\n{output:?}");
}

#[test]
fn an_sbom_is_no_signature() {
    let example = Example::pushed();
    drop_statements(&example, |kind| kind == referrers::SBOM);
    let output = verify(&example, "hello:1").returned(1);
    assert!(output.mentions("signature"), "{output:?}");
}

#[test]
fn each_missing_statement_fails() {
    for missing in [referrers::SIGNATURE, referrers::PROVENANCE, referrers::SBOM] {
        let example = Example::pushed();
        drop_statements(&example, |kind| kind != missing);
        let _ = verify(&example, "hello:1").returned(1);
    }
}

#[test]
fn an_altered_payload_fails() {
    let example = Example::pushed();
    let digest = example.digest();
    let signature = referrers::of(&example.registry, example::REPOSITORY, &digest)
        .into_iter()
        .find(|one| one.predicate_type() == referrers::SIGNATURE)
        .unwrap();
    let (_, mut manifest) =
        example.registry.manifest(example::REPOSITORY, &signature.manifest).unwrap();
    let bundle = example.registry.blob(example::REPOSITORY, &signature.blob);
    let mut bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    // One letter of the base64 text: still base64, other bytes.
    let swapped = if payload.contains('A') {
        payload.replacen('A', "B", 1)
    } else {
        payload.replacen('B', "A", 1)
    };
    bundle["dsseEnvelope"]["payload"] = json!(swapped);
    let bytes = bundle.to_string().into_bytes();
    manifest["layers"][0]["digest"] = json!(example.registry.put_blob(example::REPOSITORY, &bytes));
    manifest["layers"][0]["size"] = json!(bytes.len());
    let document = manifest.to_string().into_bytes();
    let forged = touchmark_tests::digest(&document);
    example.registry.put_manifest(example::REPOSITORY, &forged, MANIFEST, &document);

    let tag = digest.replace(':', "-");
    let (_, mut index) = example.registry.manifest(example::REPOSITORY, &tag).unwrap();
    for entry in index["manifests"].as_array_mut().unwrap() {
        if entry["digest"] == json!(signature.manifest) {
            entry["digest"] = json!(forged);
            entry["size"] = json!(document.len());
        }
    }
    example.registry.put_manifest(example::REPOSITORY, &tag, INDEX, index.to_string().as_bytes());
    let _ = verify(&example, "hello:1").returned(1);
}

#[test]
fn another_key_fails() {
    let example = Example::pushed();
    let stranger = Home::new();
    stranger.make_keys();
    let output = stranger.run(&["verify", &example.image(), "--key", "cosign.pub"]).returned(1);
    assert!(output.mentions("key"), "{output:?}");
}

#[test]
fn the_verdict_of_a_tampered_image_in_full() {
    let example = Example::pushed();
    let changed = another_user(&example);
    lend_statements(&example, &example.digest(), &changed);
    let stranger = Home::new();
    example.lend_key(&stranger);
    let image = example.registry.image("hello:tampered");
    let output = stranger.run(&["verify", &image, "--key", "cosign.pub"]).returned(1);
    touchmark_tests::snapshot::assert("verify-tampered", &stranger.told(&output));
}
