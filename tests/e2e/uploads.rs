//! What a push sends, and how often.

use touchmark_tests::blobs;

use crate::scene::Scene;

#[test]
fn no_layer_is_sent_twice_and_one_of_a_base_on_the_same_registry_never() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n");
    let (first, other) = (scene.registry.image("app:1"), scene.registry.image("team/other:1"));
    let args = ["--push", "--no-sign", "--harden", "off", "-t", &first, "-t", &other];
    let _ = scene.build(&args).succeeded();
    let layers = blobs::unpack_every_blob(&scene.registry, "app", "1");
    assert_eq!(layers.len(), 3);
    assert_eq!(scene.registry.tag("app", "1"), scene.registry.tag("team/other", "1"));
    let count = |verb: &str, what: &str, digest: &str| {
        let escaped = digest.replace(':', "%3A");
        let about = |request: &&String| request.contains(digest) || request.contains(&escaped);
        let requests = scene.registry.requests();
        let found = requests.iter().filter(|one| one.starts_with(verb) && one.contains(what));
        found.filter(about).count()
    };
    for (number, layer) in layers.iter().enumerate() {
        let own = usize::from(number > 0);
        // The base was pushed to its repository before.
        assert_eq!(count("PUT", "/v2/app/", &layer.digest), own, "layer {number}");
        assert_eq!(count("POST", "/v2/app/blobs/uploads/?mount", &layer.digest), 1 - own);
        assert_eq!(count("PUT", "/v2/team/other/", &layer.digest), 0, "layer {number}");
        assert_eq!(count("POST", "/v2/team/other/blobs/uploads/?mount", &layer.digest), 1);
    }
}
