//! The same input gives the same image, whoever builds it and when.

use touchmark_tests::{
    base,
    example::{self, Example},
    home::Home,
};

use crate::scene::Scene;

#[test]
fn the_example_from_another_empty_home_is_the_same_image() {
    let example = Example::pushed();
    let registry = base::registry();
    let home = Home::new();
    example::prepare(&home, &registry);
    let _ = example::build_and_push(&home, &registry, "hello:1");
    assert_eq!(registry.tag(example::REPOSITORY, "1"), Some(example.digest()));
}

#[test]
fn times_owners_and_order_of_the_context_do_not_matter() {
    let dockerfile =
        "FROM busybox\nCOPY . /data/\nRUN touch /made && mkdir /also && date > /dev/null\n";
    let digests = [0, 1].map(|round| {
        let scene = Scene::new();
        let names = if round == 0 { ["a", "b", "c"] } else { ["c", "b", "a"] };
        for name in names {
            scene.home.write(&format!("ctx/{name}"), name);
        }
        scene.dockerfile(dockerfile);
        let _ = scene.push_unsigned(&[]).succeeded();
        scene.registry.tag("app", "1").expect("pushed")
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn without_cache_the_digest_stays() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let _ = scene.push_unsigned(&[]).succeeded();
    let first = scene.registry.tag("app", "1");
    let output = scene.push_unsigned(&["--no-cache"]).succeeded();
    assert_eq!(scene.registry.tag("app", "1"), first, "{output:?}");
}

#[test]
fn source_date_epoch_dates_the_image() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN echo made > /made\n");
    let image = scene.registry.image("app:1");
    let args = ["build", "--policy", "touchmark.toml", "--push", "--no-sign", "-t", &image, "ctx"];
    let mut command = scene.home.touchmark(&args);
    command.env("SOURCE_DATE_EPOCH", "1600000000");
    let _ = scene.home.finish(command).succeeded();
    let (_, manifest) = scene.registry.manifest("app", "1").unwrap();
    let config = scene.registry.blob("app", manifest["config"]["digest"].as_str().unwrap());
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["created"], "2020-09-13T12:26:40Z");
}
