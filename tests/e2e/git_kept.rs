//! What git fetched in a step is kept with everything else: it is there without its server, and beside the image.

use std::fs;

use touchmark_tests::{home::Home, smart_git::SmartGit};

use crate::{clients::tools, scene::Scene};

const BUILD: [&str; 6] =
    ["build", "--progress", "plain", "--policy", "touchmark.toml", "--no-sign"];
const OUTPUT: [&str; 5] = ["--iidfile", "id", "-o", "type=oci,dest=out.tar", "ctx"];

/// A step that clones from `origin` through inspection.
fn scene(origin: &SmartGit) -> Scene {
    let scene = Scene { home: Home::new(), registry: tools::registry() };
    let mirror = format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"git.example\"\nupstream = \"http://{}\"\n\
         methods = [\"GET\", \"HEAD\", \"POST\"]\n",
        origin.host()
    );
    scene.home.policy(&scene.registry, &mirror);
    scene.home.make_keys();
    scene.dockerfile(
        "FROM web AS source\nRUN git clone -q https://git.example/team/app.git /app\n\
         FROM scratch\nCOPY --from=source /app/file /file\n",
    );
    scene
}

fn digest(home: &Home) -> String {
    let id = fs::read_to_string(home.path("id")).unwrap();
    fs::remove_file(home.path("id")).unwrap();
    id
}

#[test]
fn a_clone_is_done_again_without_its_server_and_never_with_other_bytes() {
    let origin = SmartGit::start(&[("file", "text\n")], Vec::new());
    let scene = scene(&origin);
    let build = |terms: &[&str]| scene.home.run(&[&BUILD[..], terms, &OUTPUT].concat());
    let _ = build(&["--lock"]).succeeded();
    let first = digest(&scene.home);
    // The branch moves: held to its commit, a clone is refused; the old one is done again out of the store.
    let old = origin.commit().to_owned();
    let new = origin.advance(&[("file", "more text\n")]);
    let drift = build(&["--locked", "--no-cache"]).returned(1);
    let what = "error: https://git.example/team/app.git/git-upload-pack is not what it was\n";
    let told = format!(
        "  touchmark.lock: {old}\n  found: {new}\n\
         help: if the new bytes are meant, write the lock file anew: touchmark build --lock\n"
    );
    assert!(drift.mentions(what) && drift.mentions(&told), "{drift:?}");
    let _ = build(&["--no-cache"]).succeeded();
    assert_ne!(digest(&scene.home), first);
    drop(origin);
    for kind in ["step", "record"] {
        let filter = format!("type={kind}");
        let _ = scene.home.run(&["cache", "prune", "--force", "--filter", &filter]).succeeded();
    }
    let _ = build(&["--locked", "--offline", "--no-cache"]).succeeded();
    assert_eq!(digest(&scene.home), first);
    // One byte of each answer is another one.
    let lock = fs::read_to_string(scene.home.path("ctx/touchmark.lock")).unwrap();
    let pinned = lock.split("[[file]]").filter(|table| table.contains("/git-upload-pack"));
    let digests: Vec<&str> = pinned
        .filter_map(|table| table.split_once("digest = \"sha256:")?.1.split('"').next())
        .collect();
    assert!(digests.len() >= 2, "{lock}");
    for hex in digests {
        let blob = format!("home/.local/share/touchmark/content/blobs/sha256/{hex}");
        let blob = scene.home.dir().join(blob);
        let whole = fs::read(&blob).unwrap();
        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 1;
        fs::write(&blob, altered).unwrap();
        let refused = build(&["--locked", "--offline", "--no-cache"]).returned(1);
        assert!(refused.mentions("git-upload-pack is damaged in the store"), "{refused:?}");
        fs::write(&blob, whole).unwrap();
    }
}

#[test]
fn an_image_with_a_clone_is_rebuilt_from_what_lies_beside_it() {
    let origin = SmartGit::start(&[("file", "text\n")], Vec::new());
    let scene = scene(&origin);
    let _ = scene.push_signed(&[]).succeeded();
    let image = scene.registry.image("app:1");
    let materials = |verb: &str| {
        let args = ["materials", verb, &image, "--policy", "touchmark.toml", "--key", "cosign.pub"];
        scene.home.run(&args)
    };
    let pushed = materials("push").succeeded();
    assert!(pushed.mentions("3 files with"), "{pushed:?}");
    drop(origin);
    let _ = scene.home.run(&["cache", "prune", "--all", "--force"]).succeeded();
    let _ = materials("pull").succeeded();
    let rebuilt = scene.home.run(&[
        "rebuild",
        &image,
        "ctx",
        "--policy",
        "touchmark.toml",
        "--key",
        "cosign.pub",
    ]);
    let _ = rebuilt.succeeded();
}

#[test]
fn a_repository_that_is_added_is_held_to_its_commit() {
    let origin = SmartGit::start(&[("file", "text\n")], Vec::new());
    let scene = scene(&origin);
    scene.dockerfile("FROM scratch\nADD https://git.example/team/app.git#main /app\n");
    let build = |terms: &[&str]| scene.home.run(&[&BUILD[..], terms, &OUTPUT].concat());
    let _ = build(&["--lock"]).succeeded();
    let _ = build(&["--locked", "--no-cache"]).succeeded();
    let new = origin.advance(&[("file", "more text\n")]);
    let drift = build(&["--locked"]).returned(1);
    let what = "error: git+https://git.example/team/app.git is not what it was\n";
    let told = format!(
        "  touchmark.lock: {}\n  found: {new}\n\
         help: if the new bytes are meant, write the lock file anew: touchmark build --lock\n",
        origin.commit()
    );
    assert!(drift.mentions(what) && drift.mentions(&told), "{drift:?}");
}

/// A step that adds a branch of `origin`.
fn adding(origin: &SmartGit) -> Scene {
    let scene = scene(origin);
    scene.dockerfile("FROM scratch\nADD https://git.example/team/app.git#main /app\n");
    scene
}

#[test]
fn a_repository_that_is_added_is_there_without_its_server() {
    let origin = SmartGit::start(&[("file", "text\n"), ("dir/other", "more\n")], Vec::new());
    let scene = adding(&origin);
    let build = |terms: &[&str]| scene.home.run(&[&BUILD[..], terms, &OUTPUT].concat());
    let _ = build(&["--lock"]).succeeded();
    let first = digest(&scene.home);
    // Held to the lock, the old commit is added again though the branch has moved.
    let old = origin.commit().to_owned();
    let _ = origin.advance(&[("file", "new text\n")]);
    let _ = build(&["--no-cache"]).succeeded();
    let moved = digest(&scene.home);
    assert_ne!(moved, first);
    drop(origin);
    for kind in ["step", "record"] {
        let filter = format!("type={kind}");
        let _ = scene.home.run(&["cache", "prune", "--force", "--filter", &filter]).succeeded();
    }
    let _ = build(&["--locked", "--offline", "--no-cache"]).succeeded();
    assert_eq!(digest(&scene.home), first);
    let _ = build(&["--offline", "--no-cache"]).succeeded();
    assert_eq!(digest(&scene.home), moved, "a name leads where it led last");
    // One byte of each pack is another one.
    let blobs = scene.home.dir().join("home/.local/share/touchmark/content/blobs/sha256");
    let mut altered = 0;
    for blob in fs::read_dir(blobs).unwrap() {
        let path = blob.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(b"PACK") {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            altered += 1;
        }
    }
    assert_eq!(altered, 2);
    let refused = build(&["--locked", "--offline", "--no-cache"]).returned(1);
    assert!(refused.mentions("is damaged (its bytes now have the digest"), "{refused:?}");
    let gone = build(&["--locked", "--offline", "--no-cache"]).returned(1);
    let told =
        format!("error: git+https://git.example/team/app.git at {old} is not in the store\n");
    assert!(gone.mentions(&told), "{gone:?}");
    assert!(gone.mentions("help: build once without --offline, which brings what is missing"));
}

#[test]
fn an_image_with_an_added_repository_is_rebuilt_from_what_lies_beside_it() {
    let origin = SmartGit::start(&[("file", "text\n")], Vec::new());
    let scene = adding(&origin);
    let _ = scene.push_signed(&[]).succeeded();
    let image = scene.registry.image("app:1");
    let policy = ["--policy", "touchmark.toml", "--key", "cosign.pub"];
    let run = |args: &[&str]| scene.home.run(&[args, &policy].concat());
    let pushed = run(&["materials", "push", &image]).succeeded();
    assert!(pushed.mentions("1 files with"), "{pushed:?}");
    drop(origin);
    let _ = scene.home.run(&["cache", "prune", "--all", "--force"]).succeeded();
    let _ = run(&["materials", "pull", &image]).succeeded();
    let _ = run(&["rebuild", &image, "ctx"]).succeeded();
}

#[test]
fn a_context_in_a_repository_is_pinned_and_there_without_its_server() {
    let tree = [("Dockerfile", "FROM scratch\nCOPY file /file\n"), ("file", "text\n")];
    let origin = SmartGit::start(&tree, Vec::new());
    let scene = scene(&origin);
    let context = format!("http://{}/team/app.git#main", origin.host());
    let output = [&OUTPUT[..4], &[context.as_str()]].concat();
    let build = |terms: &[&str]| scene.home.run(&[&BUILD[..], terms, &output].concat());
    let _ = build(&["--lock"]).succeeded();
    let first = digest(&scene.home);
    let lock = fs::read_to_string(scene.home.path("touchmark.lock")).unwrap();
    let uri = format!("git+http://{}/team/app.git", origin.host());
    let old = origin.commit().to_owned();
    assert!(lock.contains(&format!("url = \"{uri}\"\ncommit = \"{old}\"\n")), "{lock}");
    let offline = |terms: &[&str]| build(&[&["--offline", "--no-cache"], terms].concat());
    let _ = offline(&["--locked"]).succeeded();
    assert_eq!(digest(&scene.home), first);
    let new = origin.advance(&[("file", "new text\n"), tree[0]]);
    let drift = build(&["--locked"]).returned(1);
    let told = format!(
        "error: {uri} is not what it was\n  touchmark.lock: {old}\n  found: {new}\n\
         help: if the new bytes are meant, write the lock file anew: touchmark build --lock\n"
    );
    assert!(drift.mentions(&told), "{drift:?}");
    drop(origin);
    let _ = offline(&[]).succeeded();
    assert_ne!(digest(&scene.home), first, "a name leads where it led last");
}
