//! The worker dies in the middle of a step: a clear message, and the next build heals it.

use std::time::Duration;

use touchmark_tests::{leftovers, snapshot, worker_state};

use crate::scene::Scene;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_worker_killed_in_the_middle_of_a_step_is_started_anew_by_the_next_build() {
    let scene = Scene::new();
    let mark = format!("443.{:07}", std::process::id());
    let steps = format!("FROM busybox\nRUN echo kept > /kept\nRUN test -e /go || sleep {mark}\n");
    scene.dockerfile(&steps);
    let mut build = scene.start("ctx", &[]);
    let sleeping = || leftovers::uids_of(&format!("sleep {mark}"));
    build.until(LIMIT, |_| sleeping().iter().any(|(_, uids)| uids.len() == 4).then_some(()));
    let worker = leftovers::processes(scene.home.dir());
    let worker: Vec<_> = worker
        .into_iter()
        .filter(|process| {
            process.command.contains("containerd --config")
                || process.command.contains("rootlesskit")
        })
        .collect();
    assert!(!worker.is_empty(), "{:?}", leftovers::processes(scene.home.dir()));
    leftovers::kill(&worker);
    let output = build.wait(LIMIT);
    assert!(output.code != 0, "{output:?}");
    let told = scene.home.told(&output).replace(&mark, "MARK");
    snapshot::assert("worker-killed", told.find("error: ").map_or("", |at| &told[at..]));

    let next = steps.replace("test -e /go ||", "true ||");
    let next = scene.build_only(&next).succeeded();
    assert!(next.mentions("CACHED RUN echo kept"), "{next:?}");
    assert!(sleeping().is_empty(), "the old step still runs");
    assert_eq!(worker_state::held(&scene.home), Vec::<String>::new());
}
