//! What a build used is in its provenance: bases, fetched files, context, arguments.

use serde_json::Value;
use touchmark_tests::{
    blobs,
    example::{self, Example},
    referrers,
};

use crate::scene::Scene;

fn dependencies(provenance: &Value) -> Vec<Value> {
    provenance["buildDefinition"]["resolvedDependencies"].as_array().expect("a list").clone()
}

/// Lines `name version architecture sha256` of the packages stage: what apt fetched, with the digest that the
/// archive's signed `Packages` file gives for it.
fn fetched_by_apt(example: &Example) -> Vec<[String; 4]> {
    let layers = blobs::unpack_every_blob(&example.registry, "packages", "1");
    let list = blobs::topmost(&layers, "packages.txt").expect("written by the audit stage");
    let text = String::from_utf8(list.contents.clone()).expect("text");
    let fields = |line: &str| {
        let fields: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        fields.try_into().unwrap_or_else(|fields| panic!("apt has no digest for {fields:?}"))
    };
    text.lines().map(fields).collect()
}

#[test]
fn every_deb_that_apt_fetched_is_listed_with_the_digest_of_packages() {
    let example = Example::pushed();
    let fetched = fetched_by_apt(&example);
    assert!(fetched.len() > 10 && fetched.iter().any(|[name, ..]| name == "gcc"), "{fetched:?}");
    for (repository, digest) in [
        (example::REPOSITORY, example.digest()),
        // The same stage again, all of it from the cache: the record must not get lost.
        ("packages", example.registry.tag("packages", "1").expect("pushed")),
    ] {
        let provenance =
            referrers::predicate(&example.registry, repository, &digest, referrers::PROVENANCE);
        let listed = dependencies(&provenance);
        for [name, version, _, sha256] in &fetched {
            let found = listed.iter().any(|one| {
                one["digest"]["sha256"] == sha256.as_str()
                    && one.to_string().contains(&format!("/{name}_"))
            });
            assert!(
                found,
                "{repository}: {name} {version} ({sha256}) is not in resolvedDependencies"
            );
        }
    }
}

#[test]
fn the_bases_are_listed_by_digest() {
    let example = Example::pushed();
    let base = example.registry.tag("library/debian", "bookworm").expect("in the registry");
    let provenance = referrers::predicate(
        &example.registry,
        example::REPOSITORY,
        &example.digest(),
        referrers::PROVENANCE,
    );
    let listed = dependencies(&provenance);
    let found = listed
        .iter()
        .any(|one| one["digest"]["sha256"] == base[7..] && one.to_string().contains("debian"));
    assert!(found, "the base {base} is not listed: {listed:#?}");
}

#[test]
fn arguments_builder_times_and_the_hardening_report_are_there() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nARG FLAVOUR=plain\nRUN echo $FLAVOUR > /flavour\n");
    let _ = scene.push_signed(&["--build-arg", "FLAVOUR=lemon"]).succeeded();
    let digest = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    let definition = &provenance["buildDefinition"];
    assert!(
        definition["buildType"].as_str().is_some_and(|kind| kind.starts_with("https://")),
        "{definition:#}"
    );
    assert!(definition["externalParameters"].to_string().contains("lemon"), "{definition:#}");
    let details = &provenance["runDetails"];
    assert!(details["builder"]["id"].as_str().is_some_and(|id| id.contains("://")), "{details:#}");
    for time in ["startedOn", "finishedOn"] {
        assert!(
            details["metadata"][time].as_str().is_some_and(|text| text.ends_with('Z')),
            "{details:#}"
        );
    }
    assert!(details["byproducts"].to_string().contains("hardening"), "{details:#}");
}

#[test]
fn a_context_without_git_is_listed_by_its_digest_and_the_digest_follows_the_files() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nCOPY data /data\n");
    let mut seen = Vec::new();
    for data in ["one", "two", "one"] {
        scene.home.write("ctx/data", data);
        let _ = scene.push_signed(&[]).succeeded();
        let digest = scene.registry.tag("app", "1").unwrap();
        let provenance =
            referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
        let context = dependencies(&provenance).into_iter().find(|one| one["name"] == "context");
        seen.push(context.expect("the context is listed")["digest"].to_string());
    }
    assert_eq!(seen[0], seen[2], "the same files, another digest");
    assert_ne!(seen[0], seen[1], "other files, the same digest");
}

#[test]
fn a_git_context_is_listed_by_its_commit_and_dates_the_image() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nCOPY data /data\n");
    scene.home.write("ctx/data", "kept in git\n");
    let script = "git init -q ctx && cd ctx && git add . && \
                  git -c user.name=T -c user.email=t@mail.example commit -q -m first --date='2020-02-02T02:02:02Z' && \
                  git rev-parse HEAD";
    let mut git = scene.home.command("sh");
    git.args(["-c", script]).env("GIT_COMMITTER_DATE", "2020-02-02T02:02:02Z");
    let commit = scene.home.finish(git).succeeded().stdout.trim().to_owned();
    let _ = scene.push_signed(&[]).succeeded();
    let (digest, manifest) = scene.registry.manifest("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    assert!(
        dependencies(&provenance).iter().any(|one| one["digest"].to_string().contains(&commit)),
        "{provenance:#}"
    );
    let config = scene.registry.blob("app", manifest["config"]["digest"].as_str().unwrap());
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["created"], "2020-02-02T02:02:02Z");
}
