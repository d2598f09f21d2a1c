//! Several platforms: one index, each image with its statements, and programs of other processors.

use std::fs;

use serde_json::{Value, json};
use touchmark_tests::{
    base, blobs, cache,
    image::{INDEX, Image, push_index},
    referrers, snapshot,
    tarball::Tarball,
};

use crate::scene::Scene;

/// A scene with `multi`: busybox for three platforms. Its programs are this machine's; nothing runs them on
/// another platform.
fn scene() -> Scene {
    let scene = Scene::new();
    let busybox = base::busybox();
    let here = touchmark_tests::image::architecture();
    let platforms = [here, "s390x", "arm/v7", "toaster"];
    let entries = platforms.map(|one| busybox.push_for(&scene.registry, "library/multi", one));
    push_index(&scene.registry, "library/multi", "latest", &entries);
    scene
}

/// The stage that runs programs does so on this machine; what depends on the target comes last.
const CROSS: &str = "FROM --platform=$BUILDPLATFORM multi AS build\n\
    RUN cat /proc/sys/kernel/random/uuid > /once\n\
    ARG TARGETPLATFORM\n\
    RUN echo made for $TARGETPLATFORM > /target\n\
    FROM multi\n\
    COPY --from=build /once /target /\n\
    ENTRYPOINT [\"/app\"]\n";

fn config(scene: &Scene, manifest: &Value) -> Value {
    let config = manifest["config"]["digest"].as_str().unwrap();
    serde_json::from_slice(&scene.registry.blob("app", config)).unwrap()
}

/// What the last layer of `manifest` holds at `path`.
fn file(scene: &Scene, digest: &str, path: &str) -> String {
    let layers = blobs::unpack_every_blob(&scene.registry, "app", digest);
    String::from_utf8(blobs::topmost(&layers, path).unwrap().contents.clone()).unwrap()
}

#[test]
fn several_platforms_become_one_index_that_verifies() {
    let scene = scene();
    scene.home.make_keys();
    scene.dockerfile(CROSS);
    let here = format!("linux/{}", touchmark_tests::image::architecture());
    let more =
        ["-o", "type=oci,dest=layout,tar=false", "--iidfile", "iid", "--metadata-file", "meta"];
    let asked = format!("{here},linux/s390x");
    // `arm` is linux/arm/v7, and what is asked for twice is built once.
    let platforms = ["--platform", &asked, "--platform=arm", "--platform", "local"];
    let output = scene.push_signed(&[&platforms[..], &more].concat()).succeeded();
    assert!(output.mentions("[linux/s390x stage-1 2/2] COPY"), "{output:?}");
    assert!(output.mentions(&format!("[{here}->s390x build 3/3] RUN echo")), "{output:?}");

    let (digest, index) = scene.registry.manifest("app", "1").unwrap();
    assert_eq!(index["mediaType"], INDEX);
    let entries = index["manifests"].as_array().unwrap();
    let platforms: Vec<&Value> = entries.iter().map(|entry| &entry["platform"]).collect();
    let expected = [
        json!({"architecture": touchmark_tests::image::architecture(), "os": "linux"}),
        json!({"architecture": "s390x", "os": "linux"}),
        json!({"architecture": "arm", "os": "linux", "variant": "v7"}),
    ];
    assert_eq!(platforms, expected.iter().collect::<Vec<_>>());
    let mut once = Vec::new();
    for (entry, platform) in entries.iter().zip([&here, "linux/s390x", "linux/arm/v7"]) {
        let manifest = entry["digest"].as_str().unwrap();
        let (_, image) = scene.registry.manifest("app", manifest).unwrap();
        let config = config(&scene, &image);
        assert_eq!(config["architecture"], entry["platform"]["architecture"]);
        assert_eq!(config.get("variant"), entry["platform"].get("variant"));
        assert_eq!(file(&scene, manifest, "target"), format!("made for {platform}\n"));
        once.push(file(&scene, manifest, "once"));
        let predicate = referrers::predicate(
            &scene.registry,
            "app",
            manifest,
            "https://slsa.dev/provenance/v1",
        );
        assert_eq!(predicate["buildDefinition"]["externalParameters"]["platform"], platform);
    }
    assert!(once.iter().all(|other| *other == once[0]), "the shared step ran twice: {once:?}");

    let puts = scene.registry.requests();
    let puts: Vec<&String> = puts.iter().filter(|line| line.starts_with("PUT ")).collect();
    assert_eq!(puts.last().unwrap().as_str(), "PUT /v2/app/manifests/1", "the tag moves last");
    assert_eq!(fs::read_to_string(scene.home.path("iid")).unwrap(), digest);
    let metadata = fs::read_to_string(scene.home.path("meta")).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["containerimage.digest"], digest);
    assert_eq!(metadata["containerimage.descriptor"]["mediaType"], INDEX);
    verifies(&scene, &digest, entries);
}

/// By touchmark from the registry and from the layout, and by cosign.
fn verifies(scene: &Scene, index: &str, entries: &[Value]) {
    let image = scene.registry.image("app:1");
    let verify = ["verify", "--policy", "touchmark.toml", "--key", "cosign.pub"];
    let output = scene.home.run(&[&verify[..], &[&image]].concat()).succeeded();
    assert!(output.mentions("each of the 3 platforms has what was asked for"), "{output:?}");
    let output = scene.home.run(&[&verify[..], &["oci:layout", "--format", "json"]].concat());
    let verdict: Value = serde_json::from_str(&output.succeeded().stdout).unwrap();
    let platforms = verdict["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 3);
    for platform in platforms {
        for role in ["signature", "provenance", "sbom", "hardening"] {
            assert_eq!(platform[role], "own", "{platform}");
        }
    }
    let sbom =
        scene.home.run(&["sbom", &image, "--policy", "touchmark.toml", "--key", "cosign.pub"]);
    assert!(sbom.succeeded().says("of an index: the sbom of its image for linux/").code == 0);
    let cosign = cache::dir().join("cosign");
    for digest in [index, entries[1]["digest"].as_str().unwrap()] {
        let image = format!("{}@{digest}", scene.registry.image("app"));
        let mut command = scene.home.command(&cosign);
        command.args(["verify", "--key", "cosign.pub", "--insecure-ignore-tlog"]);
        command.args(["--allow-insecure-registry", &image]);
        let _ = scene.home.finish(command).succeeded();
    }
    // Without the statements about one platform, its inventory is missing and nothing else makes up for it.
    let tag = entries[1]["digest"].as_str().unwrap().replace(':', "-");
    let (list, _) = scene.registry.manifest("app", &tag).expect("the fallback tag");
    scene.registry.delete_manifest("app", &list);
    let output = scene.home.run(&[&verify[..], &[&image]].concat()).returned(1);
    assert!(output.mentions("linux/s390x has no sbom"), "{output:?}");
}

#[test]
fn one_platform_is_a_plain_manifest() {
    let scene = scene();
    scene.dockerfile(
        "FROM multi AS only-copied\nFROM multi\nCOPY --from=only-copied /etc/group /g\n",
    );
    let _ = scene.push_unsigned(&["--platform", "linux/arm", "--harden", "off"]).succeeded();
    let (_, manifest) = scene.registry.manifest("app", "1").unwrap();
    assert_eq!(manifest["mediaType"], touchmark_tests::image::MANIFEST);
    let config = config(&scene, &manifest);
    assert_eq!((&config["architecture"], &config["variant"]), (&json!("arm"), &json!("v7")));
}

#[test]
fn a_step_for_a_processor_without_emulator_names_its_line_and_the_remedies() {
    let scene = scene();
    scene.dockerfile("FROM multi\nCOPY Dockerfile /\nRUN true\n");
    let output = scene.build(&["--platform", "local,linux/toaster"]).returned(1);
    snapshot::assert("platform-no-emulator", &scene.home.told(&output));
}

#[test]
fn a_word_that_is_no_platform_is_refused() {
    let scene = Scene::new();
    scene.dockerfile("FROM scratch\n");
    let output = scene.build(&["--platform", "linux/amd64,toaster"]).returned(2);
    snapshot::assert("platform-unknown-word", &scene.home.told(&output));
}

/// An ELF program that ends with exit code 0, as far as it is ever run.
fn elf(machine: u8, code: &[u8]) -> Vec<u8> {
    let size = 120 + u64::try_from(code.len()).unwrap();
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    out.extend([machine, 0, 1, 0, 0, 0]);
    for word in [0x40_0078_u64, 64, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, 0x40_0000, 0x40_0000, size, size, 0x1_0000] {
        out.extend(u64::to_le_bytes(word));
    }
    out.extend(code);
    out
}

#[test]
fn an_emulator_that_is_installed_runs_steps_without_root() {
    let scene = Scene::new();
    // li a7, 93; li a0, 0; ecall
    let shell = elf(243, b"\x93\x08\xd0\x05\x13\x05\x00\x00\x73\x00\x00\x00");
    let tar = Tarball::new().dir("bin/", 0o755).file("bin/sh", 0o755, shell);
    let entry = Image::of(vec![tar.finish()]).push_for(&scene.registry, "library/tiny", "riscv64");
    push_index(&scene.registry, "library/tiny", "latest", &[entry]);
    scene.dockerfile("FROM tiny\nRUN true\n");
    // It emulates nothing, but the kernel does not know that: whatever it is given to run succeeds.
    let own = match touchmark_tests::image::architecture() {
        "amd64" => elf(62, b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"),
        _ => elf(183, b"\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4"),
    };
    let emulator = scene.home.write("bin/qemu-riscv64-static", own);
    scene.home.give(&emulator, 0o755);
    let args = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--harden", "off"];
    let mut command =
        scene.home.touchmark(&[&args[..], &["--platform=linux/riscv64", "ctx"]].concat());
    let bin = scene.home.path("bin");
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
    let output = scene.home.finish(command);
    if output.code == 0 {
        assert!(output.mentions("RUN true"), "{output:?}");
    } else {
        // Before Linux 6.7 a user namespace has no binfmt_misc of its own.
        assert!(output.mentions("as root: systemctl restart systemd-binfmt"), "{output:?}");
    }
}
