//! Hostile layers in a base image: nothing is written outside the root, and the entry is named.

use touchmark_tests::{
    home::Home, image::Image, registry::Registry, run::Output, snapshot, tarball::Tarball,
};

/// `FROM` an image whose one layer is `tar`.
fn build_from(tar: Tarball) -> (Home, Output) {
    let registry = Registry::empty();
    Image::of(vec![tar.finish()]).push(&registry, "library/hostile", "latest");
    let home = Home::new();
    home.policy(&registry, "");
    home.write("ctx/Dockerfile", "FROM hostile\nCOPY Dockerfile /copied\n");
    // A snapshot is needed, or nobody would unpack the layer.
    let args = [
        "build",
        "--progress",
        "plain",
        "--policy",
        "touchmark.toml",
        "-o",
        "type=oci,dest=out.tar",
        "ctx",
    ];
    let output =
        home.run(&[&args[..args.len() - 1], &["--harden", "off", "--no-sign", "ctx"]].concat());
    (home, output)
}

#[test]
fn a_name_with_dots_does_not_leave_the_root() {
    let (home, output) =
        build_from(Tarball::new().file("../../../../../tmp/tm-escaped", 0o644, "out"));
    let output = output.returned(1);
    assert!(output.mentions("../../../../../tmp/tm-escaped"), "the entry is named\n{output:?}");
    assert!(!std::path::Path::new("/tmp/tm-escaped").exists());
    snapshot::assert("layer-dot-dot", &home.told(&output));
}

#[test]
fn absolute_names_and_links_stay_inside() {
    let tar = Tarball::new()
        .file("/tmp/tm-absolute", 0o644, "inside")
        .symlink("etc", "/tmp")
        .hard_link("passwd", "/etc/passwd");
    let (home, output) = build_from(tar);
    assert!(!std::path::Path::new("/tmp/tm-absolute").exists());
    // A hard link to what the layers do not have is a fault; the name alone is not.
    let output = output.returned(1);
    snapshot::assert("layer-absolute-link", &home.told(&output));
}

#[test]
fn a_link_is_not_written_through() {
    let outside = tempfile::Builder::new().prefix("tm-outside-").tempdir_in("/tmp").unwrap();
    let place = outside.path().to_string_lossy().into_owned();
    let tar = Tarball::new().symlink("link", &place).file("link/written", 0o644, "out");
    let (_, output) = build_from(tar);
    assert!(!outside.path().join("written").exists(), "a layer wrote outside its root\n{output:?}");
}

#[test]
fn a_link_upwards_is_not_written_through() {
    let tar = Tarball::new().symlink("up", "../../../../../../../../tmp").file(
        "up/tm-through",
        0o644,
        "out",
    );
    let (_, output) = build_from(tar);
    assert!(
        !std::path::Path::new("/tmp/tm-through").exists(),
        "a layer wrote outside its root\n{output:?}"
    );
}

#[test]
fn a_path_of_a_thousand_folders() {
    let deep = "d/".repeat(1000);
    let (home, output) = build_from(Tarball::new().file(&format!("{deep}file"), 0o644, "deep"));
    // Either way is right, as long as it ends and says so.
    if output.code != 0 {
        let output = output.returned(1);
        snapshot::assert("layer-deep-path", &home.told(&output));
    }
}

#[test]
fn a_layer_whose_tar_is_cut() {
    let mut tar = Tarball::new().file("data", 0o644, vec![1; 100_000]).finish();
    tar.truncate(40_000);
    let registry = Registry::empty();
    Image::of(vec![tar]).push(&registry, "library/hostile", "latest");
    let home = Home::new();
    home.policy(&registry, "");
    home.write("ctx/Dockerfile", "FROM hostile\nCOPY Dockerfile /copied\nRUN [\"/copied\"]\n");
    let output = home
        .run(&["build", "--progress", "plain", "--policy", "touchmark.toml", "ctx"])
        .returned(1);
    snapshot::assert("layer-cut-tar", &home.told(&output));
}
