//! A step fails: what needs it does not run, the rest goes on and reports.

use touchmark_tests::{leftovers, snapshot, worker_state};

use crate::scene::Scene;

/// `lint` fails at once, `unit` a little later, `other` not at all; `late` begins only after both have failed.
const STAGES: &str = "FROM busybox AS lint\nRUN echo lint-output; exit 7\nRUN echo needs-lint\n\
     FROM busybox AS unit\nRUN sleep 0.2; exit 8\n\
     FROM busybox AS other\nRUN sleep 0.4; echo first-of-other\nRUN echo second-of-other > /made && cat /made\n\
     FROM busybox\nCOPY --from=lint /etc /lint\nCOPY --from=unit /etc /unit\nCOPY --from=other /made /made\nRUN echo needs-all\n";

#[test]
fn what_does_not_need_the_failed_step_goes_on_and_reports() {
    let scene = Scene::new();
    let failed = scene.build_only(STAGES).returned(1);
    for said in ["lint-output", "first-of-other", "second-of-other", "exit code 7", "exit code 8"] {
        assert!(failed.mentions(said), "{said}: {failed:?}");
    }
    assert!(!failed.mentions("] needs-lint") && !failed.mentions("] needs-all"), "{failed:?}");
    let message = failed.stderr.split_once("error: ").expect("an error").1;
    snapshot::assert("failing-steps", &snapshot::normalise(message));
    assert_eq!(worker_state::held(&scene.home), Vec::<String>::new());

    // What went on is not lost: with the faults mended only the rest runs.
    let mended = scene.build_only(&STAGES.replace("exit 7", "true").replace("exit 8", "true"));
    let mended = mended.succeeded();
    assert!(
        !mended.mentions("] first-of-other") && mended.mentions("CACHED RUN sleep 0.4"),
        "{mended:?}"
    );
    assert!(mended.mentions("] needs-all"), "{mended:?}");
}

#[test]
fn what_goes_on_after_a_failure_can_be_interrupted() {
    let scene = Scene::new();
    let mark = format!("439.{:07}", std::process::id());
    scene.dockerfile(&format!(
        "FROM busybox AS a\nRUN exit 7\nFROM busybox AS b\nRUN sleep {mark}\nFROM a\nCOPY --from=b /etc /b\n"
    ));
    let mut build = scene.start("ctx", &[]);
    let running = || {
        leftovers::uids_of(&format!("sleep {mark}")).into_iter().any(|(_, uids)| uids.len() == 4)
    };
    let limit = std::time::Duration::from_secs(60);
    build.until(limit, |output| (output.mentions("FAILED after") && running()).then_some(()));
    let pid = nix::unistd::Pid::from_raw(build.pid().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let _ = build.wait(limit).returned(130);
    assert!(!running(), "the step still runs");
}
