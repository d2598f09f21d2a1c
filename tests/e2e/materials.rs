//! What a build fetched is kept beside its image and can be brought back.

use touchmark_tests::impostor::{Impostor, Reply};

use crate::scene::Scene;

#[test]
fn materials_go_beside_the_image_and_come_back_for_who_trusts_its_provenance() {
    let mirror = Impostor::start(|request| match request.path.as_str() {
        "/a" | "/same" => Reply::Whole(200, vec![], b"precious\n".to_vec()),
        _ => Reply::Whole(404, vec![], b"no\n".to_vec()),
    });
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}\"\n",
        mirror.host()
    ));
    scene.home.make_keys();
    scene.dockerfile(
        "FROM busybox\nRUN wget -O- http://packages.example.org/a\n\
         RUN wget -O- http://packages.example.org/same\n",
    );
    let _ = scene.push_signed(&[]).succeeded();
    let image = scene.registry.image("app:1");
    let materials = |verb: &str| {
        let args = ["materials", verb, &image, "--policy", "touchmark.toml", "--key", "cosign.pub"];
        scene.home.run(&args)
    };
    let pushed = materials("push").succeeded();
    assert!(pushed.mentions("2 files with 9 B are beside the image"), "{pushed:?}");

    let _ = scene.home.run(&["cache", "prune", "--all", "--force"]).succeeded();
    let gone = materials("push").returned(1);
    assert!(gone.mentions("http://packages.example.org/same"), "{gone:?}");
    // Who trusts nobody gets nothing.
    let pull = ["materials", "pull", &image, "--policy", "touchmark.toml"];
    assert!(scene.home.run(&pull).returned(2).mentions("--key"));
    let pulled = materials("pull").succeeded();
    assert!(pulled.mentions("2 files with 9 B"), "{pulled:?}");
    // All of it is here again; the registry has it already.
    let _ = materials("push").succeeded();
    // The artifact is no evidence, and does not get into the way of it.
    let verify = ["verify", &image, "--policy", "touchmark.toml", "--key", "cosign.pub"];
    let _ = scene.home.run(&verify).succeeded();
}
