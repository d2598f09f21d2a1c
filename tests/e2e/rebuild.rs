//! An image is built again from its provenance, offline, and compared bit for bit.

use touchmark_tests::impostor::{Impostor, Reply};

use crate::scene::Scene;

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

    let rebuild = [&["rebuild", "--json", &image, "ctx"][..], &with].concat();
    let again = scene.home.run(&rebuild).succeeded();
    assert!(again.mentions("identical: sha256:"), "{again:?}");
    let document: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(document["identical"], true, "{document:#}");

    scene.home.write("ctx/data", "onE\n");
    let changed = scene.home.run(&rebuild).returned(1);
    assert!(changed.mentions("data: byte 2: 0x65 became 0x45"), "{changed:?}");
    scene.dockerfile("FROM busybox\n");
    let other = scene.home.run(&rebuild).returned(1);
    assert!(other.mentions("Dockerfile is not the one that was built"), "{other:?}");
}
