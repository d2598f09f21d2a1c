//! Twenty builds at once on one worker, to one repository: each image is what a lone build makes of it, whatever
//! becomes of the others.

use std::{fs, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use touchmark_tests::{home::Home, leftovers, run::Running, worker_state};

use crate::scene::Scene;

const LIMIT: Duration = Duration::from_secs(240);

/// Of a kind's builds each is the same; all share a step that is slow enough for others to come while it runs.
fn dockerfile(kind: usize) -> String {
    format!(
        "FROM busybox AS shared\nRUN seq 30000 > /numbers && sleep 0.2\nCOPY data /data\n\
         FROM busybox AS own\nRUN seq {kind}0000 > /own && sleep 0.1\n\
         FROM busybox\nCOPY --from=shared /numbers /data /\nCOPY --from=own /own /own\nRUN cat /own /data > /both\n"
    )
}

fn prepare(home: &Home) {
    for kind in 0..4 {
        home.write(&format!("kind{kind}/data"), format!("{kind}\n").repeat(1000));
        home.write(&format!("kind{kind}/Dockerfile"), dockerfile(kind));
    }
}

fn start(scene: &Scene, home: &Home, number: usize, name: &str) -> Running {
    let (image, folder) =
        (scene.registry.image(&format!("app:{name}")), format!("kind{}", number % 4));
    let first = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--push"];
    home.start(&[&first[..], &["--sign-key", "cosign.key", "-t", &image, &folder]].concat())
}

#[test]
fn twenty_builds_at_once_are_as_good_as_lone_ones() {
    let scene = Scene::new();
    scene.home.make_keys();
    prepare(&scene.home);
    let mark = format!("441.{:07}", std::process::id());
    for doomed in ["killed", "interrupted"] {
        let steps = format!("RUN echo {doomed} && sleep {mark}\nCOPY --from=shared /numbers /\n");
        let shared = dockerfile(0);
        let shared = &shared[..shared.find("FROM busybox AS own").unwrap()];
        scene.home.write(&format!("{doomed}/Dockerfile"), format!("{shared}FROM busybox\n{steps}"));
        scene.home.write(&format!("{doomed}/data"), "0\n".repeat(1000));
    }
    let doomed = ["killed", "interrupted"].map(|name| {
        let args = ["build", "--progress", "plain", "--policy", "touchmark.toml", name];
        (name, scene.home.start(&args))
    });
    let builds: Vec<Running> =
        (0..18).map(|number| start(&scene, &scene.home, number, &number.to_string())).collect();
    for (name, mut build) in doomed {
        build.until(LIMIT, |output| output.mentions(&format!("] {name}\n")).then_some(()));
        if name == "killed" {
            let _ = build.kill();
            continue;
        }
        kill(Pid::from_raw(build.pid().try_into().unwrap()), Signal::SIGINT).unwrap();
        let _ = build.wait(LIMIT).returned(130);
    }
    for build in builds {
        let _ = build.wait(LIMIT).succeeded();
    }

    let lone = Home::new();
    lone.policy(&scene.registry, "");
    for name in ["cosign.key", "cosign.pub"] {
        lone.write(name, fs::read(scene.home.path(name)).unwrap());
    }
    prepare(&lone);
    for kind in 0..4 {
        let name = format!("lone{kind}");
        let _ = start(&scene, &lone, kind, &name).wait(LIMIT).succeeded();
        let expected = scene.registry.tag("app", &name);
        for number in (kind..18).step_by(4) {
            assert_eq!(scene.registry.tag("app", &number.to_string()), expected, "build {number}");
        }
        // Five of the crowd and the lone one wrote the same list of statements at once.
        let image = scene.registry.image(&format!("app:{name}"));
        let _ = scene.home.run(&["verify", &image, "--key", "cosign.pub"]).succeeded();
    }

    // What the killed one left is swept by the next build.
    let again = scene.start("kind0", &[]).wait(LIMIT).succeeded();
    assert_eq!(again.stderr.matches("CACHED").count(), 6, "{again:?}");
    let sleeping = leftovers::uids_of(&format!("sleep {mark}"));
    assert!(sleeping.is_empty(), "{sleeping:?}");
    assert_eq!(worker_state::held(&scene.home), Vec::<String>::new());
}
