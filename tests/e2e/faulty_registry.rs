//! A registry that fails now and then, or always: the right image or one clear message, never a wrong one, never a
//! hang; and afterwards all is well.

use std::time::Duration;

use touchmark_tests::{
    base,
    faulty_proxy::{
        Fault::{self, *},
        FaultyProxy,
    },
    home::Home,
    impostor::Request,
    registry::Registry,
    run::Running,
    snapshot,
    tarball::Tarball,
    worker_state,
};

use crate::scene::Scene;

/// Far more than any of these builds needs: whoever takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A proxy with faults and the base image that only its build uses, so that its layers are really fetched.
struct Case {
    name: &'static str,
    proxy: FaultyProxy,
}

impl Case {
    fn new(
        registry: &Registry,
        name: &'static str,
        faults: &[Fault],
        every: usize,
        may: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        let mut image = base::busybox();
        let own = Tarball::new().file("case", 0o644, name.repeat(1000));
        image.layers.push(own.finish());
        image.push(registry, &format!("library/{name}"), "latest");
        Self { name, proxy: FaultyProxy::before(&registry.host(), faults.to_vec(), every, may) }
    }

    /// Starts a build with all that can be said about an image, which is pushed to `host`.
    fn start(&self, home: &Home, host: &str) -> Running {
        let name = self.name;
        home.write(&format!("{name}/data"), name);
        let steps = "RUN seq 20000 > /numbers\nCOPY data /data\n";
        home.write(&format!("{name}/Dockerfile"), format!("FROM {name}\n{steps}"));
        let policy = format!(
            "[registries]\n\"docker.io\" = {{ mirror = \"{host}\" }}\n\
             \"{host}\" = {{ plain-http = true, idle-seconds = 1 }}\n[network]\nallow = []\n"
        );
        home.write(&format!("{name}/policy.toml"), policy);
        let policy = format!("{name}/policy.toml");
        let (tag, id) = (format!("{host}/app:{name}"), format!("{name}.id"));
        let first = ["build", "--progress", "plain", "--policy", &policy, "--iidfile", &id];
        let push = ["--push", "--sign-key", "cosign.key", "-t", &tag, name];
        home.start(&[&first[..], &push].concat())
    }
}

fn any(_: &Request) -> bool {
    true
}

fn of(kinds: &'static [&'static str]) -> impl Fn(&Request) -> bool {
    move |request| {
        let line = format!("{} {}", request.method, request.path);
        kinds.iter().any(|kind| kind.split(' ').all(|part| line.contains(part)))
    }
}

/// Builds all cases at once through their proxies; what each said.
fn build_all(scene: &Scene, cases: &[Case]) -> Vec<touchmark_tests::run::Output> {
    let start = |case: &Case| case.start(&scene.home, &case.proxy.host());
    let builds: Vec<Running> = cases.iter().map(start).collect();
    builds.into_iter().map(|build| build.wait(LIMIT)).collect()
}

/// The worker holds nothing, and a build without faults succeeds.
fn assert_healthy(scene: &Scene) {
    assert_eq!(worker_state::held(&scene.home), Vec::<String>::new());
    let plain = scene.build_only("FROM busybox\nRUN echo well > /state && cat /state\n");
    assert!(plain.succeeded().mentions("well"));
}

#[test]
fn a_fault_now_and_then_changes_nothing() {
    let scene = Scene::new();
    let registry = &scene.registry;
    let cases = [
        Case::new(registry, "gone", &[Dropped, AnswerLost], 10, any),
        Case::new(
            registry,
            "busy",
            &[Answers(429, Some(0)), Answers(500, None), Answers(503, Some(1))],
            10,
            any,
        ),
        Case::new(registry, "cut", &[CutByLength, CutInChunks], 2, of(&["GET "])),
        Case::new(registry, "half", &[HalfAsWhole], 2, of(&["GET /blobs/"])),
        Case::new(registry, "silent", &[Silent, StopsInBody], 10, any),
        Case::new(registry, "flipped", &[RequestFlipped], 4, of(&["PUT /"])),
    ];
    scene.home.make_keys();
    let outputs = build_all(&scene, &cases);

    // The same without faults and with nothing at hand, on another machine as it were.
    let calm = Home::new();
    for name in ["cosign.key", "cosign.pub"] {
        calm.write(name, std::fs::read(scene.home.path(name)).unwrap());
    }
    let straight: Vec<Running> =
        cases.iter().map(|case| case.start(&calm, &registry.host())).collect();
    for ((case, output), straight) in cases.iter().zip(outputs).zip(straight) {
        let faults = case.proxy.faults();
        assert!(output.code == 0 && !faults.is_empty(), "{}, {faults:?}: {output:?}", case.name);
        let pushed = registry.tag("app", case.name);
        let image = registry.image(&format!("app:{}", case.name));
        let verify =
            ["verify", &image, "--key", "cosign.pub", "--require", "signature,sbom,provenance"];
        let _ = scene.home.run(&verify).succeeded();
        let _ = straight.wait(LIMIT).succeeded();
        assert_eq!(registry.tag("app", case.name), pushed, "{}: {faults:?}", case.name);
    }
    assert_healthy(&scene);
}

#[test]
fn a_fault_that_stays_is_told_in_one_message() {
    let scene = Scene::new();
    let registry = &scene.registry;
    let cases = [
        Case::new(registry, "pull-silent", &[Silent], 1, of(&["GET /manifests/"])),
        Case::new(registry, "pull-busy", &[Answers(429, Some(0))], 1, of(&["GET /blobs/"])),
        Case::new(registry, "pull-half", &[HalfAsWhole], 1, of(&["GET /manifests/"])),
        Case::new(registry, "pull-flipped", &[AnswerFlipped], 1, of(&["GET /blobs/"])),
        Case::new(registry, "push-dropped", &[Dropped], 1, of(&["PUT /blobs/"])),
        Case::new(registry, "push-silent", &[Silent], 1, of(&["PUT /manifests/sha256:"])),
        Case::new(registry, "push-503", &[Answers(503, None)], 1, of(&["POST /blobs/"])),
        Case::new(registry, "push-flipped", &[RequestFlipped], 1, of(&["PUT /blobs/"])),
        Case::new(registry, "tag-lost", &[AnswerLost], 1, of(&["PUT /manifests/tag-lost"])),
    ];
    scene.home.make_keys();
    let outputs = build_all(&scene, &cases);
    for (case, output) in cases.iter().zip(&outputs) {
        let name = format!("faulty-{}", case.name);
        assert!(!case.proxy.faults().is_empty(), "{name}: {output:?}");
        // What went before it depends on how busy the machine is.
        let told = scene.home.told(output);
        let message = told.find("error: ").map_or("", |at| &told[at..]);
        snapshot::assert(&name, &format!("exit code {}\n{message}", output.code));
    }
    // Lists of referrers apart, which hang on digests. Of that one only the last answer of all was lost.
    let tags = registry.tags("app");
    let moved: Vec<&String> = tags.iter().filter(|tag| !tag.starts_with("sha256-")).collect();
    assert_eq!(moved, ["tag-lost"]);
    assert_healthy(&scene);
}
