//! A policy that is proposed from a build, and the table of what the build fetched.

use touchmark_tests::impostor::{Impostor, Reply};

use crate::scene::Scene;

#[test]
fn a_proposed_policy_lets_the_same_build_pass_and_nothing_else() {
    let mirror = Impostor::start(|request| match request.path.as_str() {
        "/hub/pool/file" | "/hub/other" => Reply::Whole(200, vec![], b"precious\n".to_vec()),
        _ => Reply::Whole(404, vec![], b"no\n".to_vec()),
    });
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}/hub\"\n",
        mirror.host()
    ));
    scene.home.make_keys();
    let step = |path: &str| {
        format!("FROM busybox\nRUN timeout 10 wget -O- http://packages.example.org{path}\n")
    };
    scene.dockerfile(&step("/pool/file"));
    let _ = scene.push_signed(&[]).succeeded();
    let image = scene.registry.image("app:1");

    let table = ["provenance", &image, "--policy", "touchmark.toml", "--key", "cosign.pub"];
    let shown = scene.home.run(&[&table[..], &["--materials"]].concat()).succeeded();
    let row =
        shown.stdout.lines().find(|line| line.starts_with("packages.example.org via 127.0.0.1"));
    let row = row.unwrap_or_else(|| panic!("no row of the mirror\n{shown:?}"));
    assert!(row.contains("files") && row.contains("1 ") && row.contains("9 B"), "{row}");
    let json = [&table[..], &["--materials", "--format", "json"]].concat();
    let json: serde_json::Value =
        serde_json::from_str(&scene.home.run(&json).succeeded().stdout).unwrap();
    assert_eq!((&json["total"]["count"], &json["hermetic"]), (&3.into(), &true.into()), "{json:#}");

    let init = ["policy", "init", &image, "--policy", "touchmark.toml", "--key", "cosign.pub"];
    let _ = scene.home.run(&[&init[..], &["-o", "tight.toml"]].concat()).succeeded();
    let _ = scene.home.run(&["policy", "check", "tight.toml"]).succeeded();
    let build = ["build", "--progress", "plain", "--policy", "tight.toml", "--no-cache", "ctx"];
    let _ = scene.home.run(&build).succeeded();
    scene.dockerfile(&step("/other"));
    let refused = scene.home.run(&build).returned(1);
    assert!(refused.mentions("does not allow the path '/other'"), "{refused:?}");
    // A policy that is there is not replaced.
    let again = scene.home.run(&[&init[..], &["-o", "tight.toml"]].concat()).returned(1);
    assert!(again.mentions("help: "), "{again:?}");
}
