//! Caches between machines: each home is a machine of its own, with one registry for all.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;
use touchmark_tests::{
    home::Home,
    impostor::{Impostor, Reply},
    referrers,
    registry::Registry,
    run::Output,
    snapshot,
};

use crate::scene::Scene;

/// Each step writes something else whenever it runs, so equal images were not built twice.
const DOCKERFILE: &str = "FROM busybox AS fetch\n\
     RUN timeout 10 wget -O /file http://packages.example.org/file\n\
     RUN cat /proc/sys/kernel/random/uuid > /number\n\
     FROM busybox\n\
     COPY own /own\n\
     COPY --from=fetch /file /number /\n\
     RUN cat /number /proc/sys/kernel/random/uuid > /last && chmod 4755 /last\n";

/// What the Dockerfile's steps fetch from.
fn mirror(asked: &Arc<AtomicUsize>) -> (Impostor, String) {
    let count = asked.clone();
    let mirror = Impostor::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::Whole(200, vec![], b"precious bytes\n".to_vec())
    });
    let policy = format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}\"\n",
        mirror.host()
    );
    (mirror, policy)
}

/// Another machine with the same keys and the same context.
fn machine(scene: &Scene, policy: &str) -> Home {
    let home = Home::new();
    home.policy(&scene.registry, policy);
    for name in ["cosign.key", "cosign.pub"] {
        let path = home.write(name, fs::read(scene.home.path(name)).expect("made before"));
        home.give(&path, 0o600);
    }
    home.copy(&scene.home.path("ctx"), "ctx");
    home
}

/// Builds `ctx` and pushes it, signed, as `name`.
#[track_caller]
fn push(home: &Home, registry: &Registry, name: &str, more: &[&str]) -> Output {
    let image = registry.image(name);
    let first = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--push"];
    let key = ["--sign-key", "cosign.key", "-t", &image];
    home.run(&[&first[..], &key, more, &["ctx"]].concat()).succeeded()
}

fn dependencies(registry: &Registry, repository: &str, digest: &str) -> Value {
    let said = referrers::predicate(registry, repository, digest, referrers::PROVENANCE);
    said["buildDefinition"]["resolvedDependencies"].clone()
}

#[test]
fn two_machines_with_one_cache_make_the_same_image_and_say_the_same() {
    let asked = Arc::default();
    let (_mirror, policy) = mirror(&asked);
    let scene = Scene::with_policy(&policy);
    scene.home.make_keys();
    scene.home.write("ctx/own", "own\n");
    scene.dockerfile(DOCKERFILE);
    let cache = scene.registry.image("team/cache:main");
    let to = format!("type=registry,ref={cache},mode=max");
    let _ = push(
        &scene.home,
        &scene.registry,
        "app:1",
        &["--cache-to", &to, "--cache-to", "type=inline"],
    );
    let first = scene.registry.tag("app", "1").unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let (_, manifest) = scene.registry.manifest("team/cache", "main").expect("written");
    assert_eq!(manifest["artifactType"], "application/vnd.touchmark.cache.v1");
    let second = machine(&scene, &policy);
    let before = scene.registry.requests().len();
    let built = push(&second, &scene.registry, "other:1", &["--cache-from", &cache]);
    assert_eq!(built.stderr.matches("CACHED").count(), 5, "{built:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "a step ran again\n{built:?}");
    assert_eq!(scene.registry.tag("other", "1"), Some(first.clone()));
    let said = dependencies(&scene.registry, "other", &first);
    assert_eq!(said, dependencies(&scene.registry, "app", &first));
    assert!(said.to_string().contains("packages.example.org/file"), "{said:#}");
    // The registry takes the layers from where they are; what hardening and the inventory came to is in the cache.
    let requests = scene.registry.requests();
    let fetched = requests[before..]
        .iter()
        .filter(|request| request.starts_with("GET") && request.contains("team/cache/blobs/"));
    let base = |request: &&String| request.contains("GET /v2/library/busybox/blobs/");
    assert_eq!(requests[before..].iter().filter(base).count(), 1, "the base's configuration");
    assert_eq!(
        fetched.count(),
        3,
        "the index, the signature and the inventory: {:#?}",
        &requests[before..]
    );

    // What a step needs is fetched, and what it does is remembered here.
    second.write(
        "ctx/Dockerfile",
        format!("{DOCKERFILE}RUN test -s /last -a -s /file && cat /own\n"),
    );
    let image = scene.registry.image("app:1");
    let third = machine(&scene, &policy);
    third.write(
        "ctx/Dockerfile",
        format!("{DOCKERFILE}RUN test -s /last -a -s /file && cat /own\n"),
    );
    let run =
        ["build", "--progress", "plain", "--policy", "touchmark.toml", "--sign-key", "cosign.key"];
    let more =
        third.run(&[&run[..], &["--cache-from", &image, "--cache-from", &cache, "ctx"]].concat());
    let more = more.succeeded();
    assert!(more.stderr.matches("CACHED").count() == 5 && more.mentions("own"), "{more:?}");
}

#[test]
fn a_directory_holds_a_cache_and_cache_mounts_where_they_are_asked_for() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile(
        "FROM busybox\n\
         RUN --mount=type=cache,id=pkg,target=/c echo from the first > /c/seen\n\
         RUN cat /proc/sys/kernel/random/uuid > /number\n",
    );
    let to = "type=local,dest=cache,mounts=pkg,compression=zstd";
    let _ = push(&scene.home, &scene.registry, "app:1", &["--cache-to", to]);
    let _ = push(&scene.home, &scene.registry, "app:1", &["--cache-to", to]);
    let second = machine(&scene, "");
    second.copy(&scene.home.path("cache"), "cache");
    let from = ["--cache-from", "type=local,src=cache,mounts=all"];
    let built = push(&second, &scene.registry, "app:2", &from);
    assert_eq!(scene.registry.tag("app", "2"), scene.registry.tag("app", "1"), "{built:?}");

    let third = machine(&scene, "");
    third.copy(&scene.home.path("cache"), "cache");
    third.write(
        "ctx/Dockerfile",
        "FROM busybox\nRUN --mount=type=cache,id=pkg,target=/c cat /c/seen\n",
    );
    let built = push(&third, &scene.registry, "app:3", &from);
    assert!(built.mentions("from the first"), "{built:?}");
}

/// Refuses each in a build that ends well all the same.
#[test]
fn a_cache_that_nobody_trusted_stands_for_is_refused_and_the_build_goes_on() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /number\n");
    let cache = scene.registry.image("cache:1");
    let to = format!("type=registry,ref={cache}");
    let _ = push(&scene.home, &scene.registry, "app:1", &["--cache-to", &to]);
    let first = scene.registry.tag("app", "1").unwrap();
    let build = |home: &Home, from: &[&str]| {
        let mut args = vec!["build", "--progress", "plain", "--policy", "touchmark.toml"];
        from.iter().for_each(|from| args.extend(["--cache-from", *from]));
        let output = home.run(&[&args[..], &["--no-sign", "ctx"]].concat()).succeeded();
        // Random bytes are compressed to more or fewer.
        let told = home.told(&output);
        let lines = told.lines().filter(|line| !line.contains(" B in "));
        let told = lines.map(|line| format!("{line}\n")).collect::<String>();
        // The name of a key that was made a moment ago.
        let named = told.split_once("another key (").and_then(|(_, rest)| rest.split_once(')'));
        named.map_or(told.clone(), |(key, _)| told.replace(key, "KEY"))
    };
    // Another machine with a key of its own.
    let stranger = Home::new();
    stranger.policy(&scene.registry, "[sign]\nkey = \"cosign.key\"\n");
    stranger.copy(&scene.home.path("ctx"), "ctx");
    let missing = scene.registry.image("none:1");
    let nobody = build(&stranger, &[&cache]);
    stranger.make_keys();
    let base = scene.registry.image("library/busybox:latest");
    let told = build(&stranger, &[&cache, &missing, &base, "type=local,src=nowhere"]);
    snapshot::assert("shared-cache-nobody-trusted", &nobody);
    snapshot::assert("shared-cache-refused", &told);

    // The policy believes the first machine's key.
    let friend = machine(&scene, "[cache]\ntrust = [{ key = \"team.pub\" }]\n");
    friend.write("team.pub", fs::read(scene.home.path("cosign.pub")).unwrap());
    friend.write("cosign.key", fs::read(stranger.path("cosign.key")).unwrap());
    let pushed = push(&friend, &scene.registry, "app:2", &["--cache-from", &cache]);
    assert_eq!(scene.registry.tag("app", "2"), Some(first), "{pushed:?}");

    // A layer whose bytes are others: found out when it is fetched, and the step runs.
    let (_, manifest) = scene.registry.manifest("cache", "1").unwrap();
    scene.registry.corrupt(manifest["layers"][0]["digest"].as_str().unwrap());
    let third = machine(&scene, "");
    let more =
        "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /number\nRUN test -s /number\n";
    third.write("ctx/Dockerfile", more);
    let pushed = push(&third, &scene.registry, "other:2", &["--cache-from", &cache]);
    assert!(pushed.mentions("does not give a layer that it names"), "{pushed:?}");
    assert!(pushed.mentions("the build goes on without it"), "{pushed:?}");

    // The signature is gone.
    let digest = scene.registry.tag("cache", "1").unwrap();
    let list = scene.registry.tag("cache", &digest.replace(':', "-")).unwrap();
    scene.registry.delete_manifest("cache", &list);
    let unsigned = build(&machine(&scene, "[sign]\nkey = \"cosign.key\"\n"), &[&cache]);
    snapshot::assert("shared-cache-unsigned", &unsigned);
}

#[test]
fn a_cache_that_cannot_be_written_costs_the_cache_and_not_the_build() {
    let scene = Scene::new();
    scene.home.make_keys();
    scene.dockerfile("FROM busybox\nRUN true\n");
    scene.home.write("file", "");
    let told = push(&scene.home, &scene.registry, "app:1", &["--cache-to", "type=local,dest=file"]);
    assert!(told.mentions("the shared cache file was not written"), "{told:?}");
    let needed = ["--cache-to", "type=local,dest=file,ignore-error=false"];
    let _ = scene.push_signed(&needed).returned(1).says("the shared cache was not written");
    let _ = scene
        .push_unsigned(&["--cache-to", "type=inline"])
        .returned(2)
        .says("--cache-to writes only signed caches, and --no-sign signs nothing");
    let _ = scene
        .build(&["--cache-to", "type=local,dest=c"])
        .returned(2)
        .says("there is no key to sign the shared cache with");
    let only = ["--cache-to", "type=inline", "--sign-key", "cosign.key"];
    let told = scene.build(&only).succeeded();
    assert!(told.mentions("the image is not pushed"), "{told:?}");
}
