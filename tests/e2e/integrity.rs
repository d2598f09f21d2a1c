//! What an index of the build says of a file is held against what was fetched.

use touchmark_tests::{
    digest,
    impostor::{Impostor, Reply},
    referrers,
};

use crate::scene::Scene;

const INDEX: &str = "http://index.example/simple/thing/";
const WHEEL: &str = "http://index.example/files/thing-1.0-py3-none-any.whl";

/// An index that names the wheel "right", and beside it what is served in its place.
fn mirror(served: &'static str) -> Impostor {
    Impostor::start(move |request| {
        let hash = &digest(b"right")[7..];
        let link = format!("<a href=\"/files/thing-1.0-py3-none-any.whl#sha256={hash}\">thing</a>");
        let body = if request.path.ends_with(".whl") { served.to_owned() } else { link };
        Reply::Whole(200, vec![], body.into_bytes())
    })
}

/// The index is fetched by one step, the file by the next, with a client that compares nothing.
fn scene(mirror: &Impostor) -> Scene {
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"index.example\"\nupstream = \"http://{}\"\n",
        mirror.host()
    ));
    scene.home.make_keys();
    scene.dockerfile(&format!(
        "FROM busybox AS fetch\nRUN wget -q -O /index {INDEX}\nRUN wget -q -O /wheel {WHEEL}\n\
         FROM scratch\nCOPY --from=fetch /wheel /wheel\n"
    ));
    scene
}

/// What provenance says of the wheel.
fn verified(scene: &Scene) -> String {
    let image = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &image, referrers::PROVENANCE);
    let list = provenance["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let wheel = list.iter().find(|one| one["uri"] == WHEEL).unwrap();
    wheel["annotations"]["verified-by"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_index_that_vouches_for_a_file_is_noted_and_remembered() {
    let mirror = mirror("right");
    let scene = scene(&mirror);
    let _ = scene.push_signed(&[]).succeeded();
    assert_eq!(verified(&scene), format!("sha256 in {INDEX}"));
    drop(mirror);
    let _ = scene.push_signed(&["--label", "again=yes"]).succeeded();
    assert_eq!(verified(&scene), format!("sha256 in {INDEX}"));
}

#[test]
fn a_file_that_its_index_contradicts_ends_the_build_whatever_its_client_compared() {
    let mirror = mirror("wrong");
    let output = scene(&mirror).push_signed(&[]).returned(1);
    let first =
        format!("error: {WHEEL} is not the file that its index names\n --> Dockerfile:3:1\n");
    let rest = format!(
        "  {INDEX}: {}\n  fetched: {}\nhelp: a client that checks what it fetches refuses this file; find out who \
         altered it on its way, or why the mirror's index does not fit its files\n",
        digest(b"right"),
        digest(b"wrong")
    );
    assert!(output.mentions(&first) && output.mentions(&rest), "{output:?}\n{first}{rest}");
}
