//! Cache mounts between builds that run at once, and between machines.

use std::time::Duration;

use touchmark_tests::{leftovers, run::Running};

use crate::scene::Scene;

const LIMIT: Duration = Duration::from_secs(120);

impl Scene {
    /// Starts a build of `folder` with the scene's policy.
    pub(crate) fn start(&self, folder: &str, more: &[&str]) -> Running {
        let first = ["build", "--progress", "plain", "--policy", "touchmark.toml"];
        self.home.start(&[&first[..], more, &[folder]].concat())
    }
}

#[test]
fn ten_builds_at_once_share_one_worker_and_one_locked_cache() {
    let scene = Scene::new();
    for number in 0..10 {
        scene.home.write(&format!("c{number}/own"), format!("{number}\n"));
        scene.home.write(
            &format!("c{number}/Dockerfile"),
            "FROM busybox\nCOPY own /own\n\
             RUN --mount=type=cache,target=/c,sharing=locked n=$(cat /c/n || echo 0); sleep 0.1; \
             echo $((n+1)) > /c/n; cat /own >> /c/who; cp /own /seen\n\
             RUN --mount=type=cache,target=/d,sharing=private echo own=$(cat /seen)\n",
        );
    }
    let builds: Vec<Running> = (0..10).map(|n| scene.start(&format!("c{n}"), &[])).collect();
    for (number, build) in builds.into_iter().enumerate() {
        let output = build.wait(LIMIT).succeeded();
        assert!(output.mentions(&format!("4/4] own={number}")), "{number}: {output:?}");
    }
    let count =
        "FROM busybox\nRUN --mount=type=cache,target=/c echo n=$(cat /c/n) $(sort /c/who)\n";
    let count = scene.build_only(count).succeeded();
    assert!(count.mentions("n=10 0 1 2 3 4 5 6 7 8 9"), "an update was lost: {count:?}");
}

#[test]
fn two_locks_in_opposite_order_do_not_block_each_other() {
    let scene = Scene::new();
    let mount = |id: &str| format!("--mount=type=cache,id={id},target=/{id},sharing=locked");
    for (folder, first, second) in [("ab", "a", "b"), ("ba", "b", "a")] {
        let step = format!("RUN {} {}", mount(first), mount(second));
        let steps: String =
            (0..3).map(|n| format!("{step} sleep 0.1; echo {folder}{n}\n")).collect();
        scene.home.write(&format!("{folder}/Dockerfile"), format!("FROM busybox\n{steps}"));
    }
    let (one, other) = (scene.start("ab", &[]), scene.start("ba", &[]));
    let _ = one.wait(LIMIT).succeeded();
    let _ = other.wait(LIMIT).succeeded();
}

#[test]
fn a_killed_build_frees_its_lock_and_its_step_is_ended_first() {
    let scene = Scene::new();
    let mark = format!("433.{:07}", std::process::id());
    let mount = "RUN --mount=type=cache,target=/c,sharing=locked";
    scene.home.write("one/Dockerfile", format!("FROM busybox\n{mount} exec sleep {mark}\n"));
    scene.home.write("two/Dockerfile", format!("FROM busybox\n{mount} echo mine\n"));
    let mut one = scene.start("one", &[]);
    let sleeping = || {
        leftovers::uids_of(&format!("sleep {mark}")).into_iter().any(|(_, uids)| uids.len() == 4)
    };
    one.until(LIMIT, |_| sleeping().then_some(()));
    let mut two = scene.start("two", &[]);
    two.until(LIMIT, |output| {
        output
            .mentions("waiting for the cache '/c', which another step or build holds")
            .then_some(())
    });
    let _ = one.kill();
    let two = two.wait(LIMIT).succeeded();
    assert!(two.mentions("2/2] mine") && !sleeping(), "{two:?}");
}

#[test]
fn an_interrupted_build_ends_its_steps_within_two_seconds() {
    let scene = Scene::new();
    let mark = format!("437.{:07}", std::process::id());
    scene.dockerfile(&format!("FROM busybox\nRUN trap '' TERM INT; sleep {mark}; sleep {mark}\n"));
    let mut build = scene.start("ctx", &[]);
    let running = || leftovers::uids_of(&mark).into_iter().any(|(_, uids)| uids.len() == 4);
    build.until(LIMIT, |_| running().then_some(()));
    let began = std::time::Instant::now();
    let pid = nix::unistd::Pid::from_raw(build.pid().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let _ = build.wait(LIMIT).returned(130).says("interrupted");
    let took = began.elapsed();
    assert!(!running(), "the step still runs");
    // A second of grace, and some for a busy machine.
    assert!(took < Duration::from_millis(3500), "it took {took:.1?}");
    let _ = scene.build_only("FROM busybox\nRUN true\n").succeeded();
}

#[test]
fn caches_move_to_another_machine_as_one_file() {
    let one = Scene::new();
    let steps = "FROM busybox\n\
         RUN --mount=type=cache,target=/c,uid=7,gid=8 mkdir -p /c/deep && echo kept > /c/deep/file && chown -R 7:8 /c && chmod 640 /c/deep/file\n\
         RUN --mount=type=cache,id=other,target=/o echo other > /o/x\n";
    let _ = one.build_only(steps).succeeded();
    let listed = one.home.run(&["cache", "du", "--filter", "type=mount"]).succeeded();
    assert!(listed.stdout.contains(" /c, owner 7:8\n"), "{listed:?}");
    let export = |file: &str| one.home.run(&["cache", "export", file, "--mounts", "--id", "/c"]);
    let _ = export("caches.tzst").succeeded().says("1 caches with ");
    let _ = export("again.tzst").succeeded();
    let file = std::fs::read(one.home.path("caches.tzst")).unwrap();
    assert!(file == std::fs::read(one.home.path("again.tzst")).unwrap(), "other bytes");
    let _ = one
        .home
        .run(&["cache", "export", "none", "--mounts", "--id", "typo"])
        .returned(2)
        .says("error: there is no cache 'typo'")
        .says("help: `touchmark cache du` lists them");

    let two = Scene::new();
    two.home.write("caches.tzst", &file);
    let used = "FROM busybox\n\
         RUN --mount=type=cache,target=/c,uid=7,gid=8 echo $(stat -c '%a %u:%g' /c/deep/file) $(cat /c/deep/file) $(ls /c); touch /c/more\n";
    let _ = two.home.run(&["cache", "import", "caches.tzst", "--mounts"]).succeeded();
    let first = two.build_only(used).succeeded();
    assert!(first.mentions("2/2] 640 7:8 kept deep\n"), "{first:?}");
    let import = ["cache", "import", "caches.tzst", "--mounts", "--merge"];
    let _ = two.home.run(&import).succeeded().says("1 caches taken over: '/c'");
    let merged = two.build(&["--no-cache"]).succeeded();
    assert!(merged.mentions("kept deep more\n"), "--no-cache is not about caches: {merged:?}");
    let _ = two.home.run(&import[..4]).succeeded();
    assert!(two.build(&["--no-cache"]).succeeded().mentions("kept deep\n"));
    two.home.write("foreign", "text");
    let _ = two.home.run(&["cache", "import", "foreign", "--mounts"]).returned(1);
}
