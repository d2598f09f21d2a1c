//! Where a result goes: files, archives, layouts, daemons; several at once, all or none.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink},
    path::Path,
    process::Command,
};

use serde_json::Value;
use touchmark_tests::{blobs, run::Output, snapshot};

use crate::scene::Scene;

/// A stage with what makes a file system hard to carry.
const STAGE: &str = "FROM busybox AS all\n\
    RUN mkdir -p /d/e && echo hi > /d/e/f && ln /d/e/f /d/g && ln -s /d/g /d/l && mkfifo /d/p \
    && chown -R 5:6 /d && chmod 4755 /d/e/f\n\
    FROM scratch\nCOPY --from=all /d /d\n";

/// Builds without hardening and without a key.
#[track_caller]
fn build(scene: &Scene, args: &[&str]) -> Output {
    scene.build(&[&["--no-sign", "--harden", "off"], args].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a written file")).expect("JSON")
}

/// What is in the working directory.
fn left(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.home.path("")).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn files_belong_to_the_user_in_a_directory_and_to_everybody_in_a_tar() {
    let scene = Scene::new();
    scene.dockerfile(STAGE);
    scene.home.write("out/kept", "mine\n");
    scene.home.write("out/d/e/f", "old\n");
    symlink("/etc", scene.home.path("out/d/l")).unwrap();
    let args = ["-o", "out", "-o", "type=tar,dest=files.tar", "--provenance"];
    let _ = build(&scene, &args).succeeded();

    let own = scene.home.account().uid;
    let stat = |name: &str| fs::symlink_metadata(scene.home.path("out").join(name)).unwrap();
    assert_eq!(fs::read_to_string(scene.home.path("out/d/e/f")).unwrap(), "hi\n");
    assert_eq!(stat("d/e/f").mode() & 0o7777, 0o4755);
    assert_eq!((stat("d/e/f").uid(), stat("d/e/f").ino()), (own, stat("d/g").ino()));
    assert_eq!(fs::read_link(scene.home.path("out/d/l")).unwrap(), Path::new("/d/g"));
    assert!(stat("d/p").file_type().is_fifo());
    assert_eq!(fs::read_to_string(scene.home.path("out/kept")).unwrap(), "mine\n");

    let tar = fs::read(scene.home.path("files.tar")).unwrap();
    let entries = blobs::list(&tar);
    let found = |path: &str| entries.iter().find(|entry| entry.path == path).unwrap();
    assert_eq!((found("d/e/f").uid, found("d/e/f").gid, found("d/e/f").mode), (5, 6, 0o4755));
    assert_eq!(found("d/g").link.as_deref(), Some("d/e/f"));

    let provenance = json(&scene.home.path("out/provenance.json"));
    assert_eq!(provenance["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(provenance["subject"][0]["name"], "d/e/f");
    assert_eq!(provenance["subject"][1]["digest"], provenance["subject"][0]["digest"]);
    let names = left(&scene);
    assert_eq!(names, ["ctx", "files.tar", "out", "touchmark.toml"], "{names:?}");
}

#[test]
fn one_build_goes_to_several_places_in_several_forms() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\nCMD [\"/made\"]\n");
    let image = scene.registry.image("app:1");
    let _ = build(
        &scene,
        &[
            &["-t", &image, "-t", "second", "--iidfile", "iid", "--metadata-file", "m.json"][..],
            &["--annotation", "org.opencontainers.image.title=app", "--annotation"],
            &["manifest-descriptor:example.note=here"],
            &["-o", "type=docker,dest=docker.tar", "-o", "type=oci,dest=oci.tar"],
            &["-o", "type=oci,dest=zstd,tar=false,compression=zstd,force-compression=true"],
        ]
        .concat(),
    )
    .succeeded();
    let skopeo = |args: &[&str]| {
        let output = Command::new("skopeo").args(args).current_dir(scene.home.path("")).output();
        let output = output.expect("skopeo is there (scripts/setup --test)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let config = |place: &str| skopeo(&["inspect", "--config", place]);
    let docker = config("docker-archive:docker.tar:docker.io/library/second:latest");
    assert_eq!(docker["config"]["Cmd"], serde_json::json!(["/made"]));
    assert_eq!(docker, config("oci-archive:oci.tar:1"));
    assert_eq!(docker, config("oci:zstd:1"), "every form has the same configuration and layers");
    let raw = skopeo(&["inspect", "--raw", "oci:zstd:1"]);
    for layer in raw["layers"].as_array().unwrap() {
        let kind = layer["mediaType"].as_str().unwrap();
        assert_eq!(kind, "application/vnd.oci.image.layer.v1.tar+zstd", "the base's layer too");
    }
    assert_eq!(raw["annotations"]["org.opencontainers.image.title"], "app");

    let index = json(&scene.home.path("zstd/index.json"));
    assert_eq!(index["manifests"][0]["annotations"]["example.note"], "here");
    let metadata = json(&scene.home.path("m.json"));
    assert_eq!(metadata["containerimage.digest"], index["manifests"][0]["digest"], "the last one");
    assert_eq!(metadata["containerimage.descriptor"]["annotations"]["example.note"], "here");
    assert_eq!(metadata["image.name"], format!("{image},docker.io/library/second:latest"));
    let iid = fs::read_to_string(scene.home.path("iid")).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], iid);
    assert_eq!(raw["config"]["digest"], iid);
}

#[test]
fn standard_output_gets_the_archive_and_nothing_else() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo talk\nFROM scratch\nCOPY Dockerfile /\n");
    // Each platform in a directory of its own; nothing has to run for it.
    let both = ["--platform", "linux/amd64,linux/arm64", "-o", "both"];
    let _ = build(&scene, &both).succeeded();
    for directory in ["both/linux_amd64", "both/linux_arm64"] {
        assert!(scene.home.path(directory).join("Dockerfile").is_file(), "{directory}");
    }
    for (more, wanted) in [("-o -", "Dockerfile"), ("-q -o type=docker,dest=-", "manifest.json")] {
        let touchmark = touchmark_tests::cache::touchmark();
        let line = format!(
            "{} build --no-sign --policy touchmark.toml {more} ctx > all.tar",
            touchmark.display()
        );
        let mut command = scene.home.command("sh");
        command.args(["-c", &line]);
        let _ = scene.home.finish(command).succeeded();
        let names: Vec<String> = blobs::list(&fs::read(scene.home.path("all.tar")).unwrap())
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
}

#[test]
fn nothing_is_left_when_one_of_the_places_fails() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let dead = "127.0.0.1:1/app:1";
    let more = "\"127.0.0.1:1\" = { plain-http = true }\n";
    let policy = fs::read_to_string(scene.home.path("touchmark.toml")).unwrap();
    scene.home.write(
        "touchmark.toml",
        policy.replace("[registries]\n", &format!("[registries]\n{more}")),
    );
    let args = ["-o", "out", "-o", "type=oci,dest=o.tar", "-o", "type=oci,dest=l,tar=false"];
    let name = format!("type=registry,name={dead}");
    let _ = build(&scene, &[&args[..], &["-o", &name]].concat()).returned(3);
    assert_eq!(left(&scene), ["ctx", "touchmark.toml"]);
}

#[test]
fn places_that_cannot_work_fail_before_anything_runs() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo must not run\n");
    scene.home.write("file", "");
    for (name, args) in [
        ("output-below-a-file", ["-o", "type=oci,dest=file/o.tar"]),
        ("output-no-docker", ["-o", "type=docker,context=default"]),
        ("output-no-containerd", ["-o", "type=containerd,address=/nowhere/c.sock"]),
    ] {
        let output = build(&scene, &args);
        assert!(!output.mentions("must not run"), "{output:?}");
        if name == "output-no-docker" && Path::new("/var/run/docker.sock").exists() {
            continue;
        }
        snapshot::assert(name, &scene.home.told(&output));
    }
}

/// The worker's own containerd stands in for the machine's: it is the real thing, in a namespace that
/// touchmark does not use.
#[test]
fn an_image_is_loaded_into_containerd_and_unpacked() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let socket = "/run/touchmark-containerd/containerd.sock";
    let output = format!("type=containerd,address={socket},namespace=other,name=app:2");
    let _ = build(&scene, &["-o", &output]).succeeded();
    // A second time: everything is there already.
    let _ = build(&scene, &["-o", &output]).succeeded();
    let status = scene.home.run(&["worker", "status"]).succeeded();
    let pid = status.stdout.lines().find_map(|line| line.split_once("process ")).unwrap().1.trim();
    let mut check = scene.home.command("nsenter");
    check.args(["-t", pid, "-U", "-m", "--preserve-credentials", "ctr", "-a", socket]);
    check.args(["-n", "other", "images", "check"]);
    let listed = scene.home.finish(check).succeeded();
    let line = listed.stdout.lines().find(|line| line.starts_with("docker.io/library/app:2"));
    let line = line.unwrap_or_else(|| panic!("the image has no name there\n{listed:?}"));
    assert!(line.contains("complete") && line.trim_end().ends_with("true"), "{line}");
}
