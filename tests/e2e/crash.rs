//! kill -9 at random moments: the next build succeeds, nothing half-pushed is tagged, nothing is left.

use std::{
    thread,
    time::{Duration, Instant},
};

use touchmark_tests::leftovers;

use crate::scene::Scene;

/// A small generator, so that a failure can be repeated from the seed that it prints.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn dockerfile(round: usize) -> String {
    let mut text = format!("FROM busybox AS one\nENV ROUND={round}\n");
    for step in 0..4 {
        text.push_str(&format!("RUN echo {round}.{step} > /step{step} && dd if=/dev/urandom of=/r{step} bs=64k count=8\n"));
    }
    text + "FROM busybox\nCOPY --from=one /step3 /r0 /r1 /\nRUN cat /step3\n"
}

#[test]
fn ten_killed_builds_leave_nothing_behind() {
    let seed = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = Random(seed);
    let scene = Scene::new();
    scene.home.make_keys();
    let image = |round: usize| scene.registry.image(&format!("app:{round}"));
    let args = [
        "build",
        "--progress",
        "plain",
        "--policy",
        "touchmark.toml",
        "--push",
        "--sign-key",
        "cosign.key",
    ];

    scene.dockerfile(&dockerfile(0));
    let begun = Instant::now();
    let _ = scene.home.run(&[&args[..], &["-t", &image(0), "ctx"]].concat()).succeeded();
    let whole = u64::try_from(begun.elapsed().as_millis()).unwrap();

    for round in 1..=10 {
        scene.dockerfile(&dockerfile(round));
        let tag = image(round);
        let build = scene.home.start(&[&args[..], &["-t", &tag, "ctx"]].concat());
        let moment = Duration::from_millis(random.below(whole.max(1)));
        thread::sleep(moment);
        let output = build.kill();
        // Either the tag was not moved yet, or everything it promises is there.
        if scene.registry.tag("app", &round.to_string()).is_some() {
            let verified = scene.home.run(&["verify", &tag, "--key", "cosign.pub"]);
            assert!(
                verified.code == 0,
                "seed {seed}, killed after {moment:?}: {verified:?}\n{output:?}"
            );
        }
    }

    let last = image(11);
    let output = scene.home.run(&[&args[..], &["-t", &last, "ctx"]].concat());
    assert!(output.code == 0, "seed {seed}: the build after the crashes failed\n{output:?}");
    let _ = scene.home.run(&["verify", &last, "--key", "cosign.pub"]).succeeded();

    scene.home.stop_worker();
    assert_eq!(leftovers::processes(scene.home.dir()), []);
    assert_eq!(leftovers::mounts(scene.home.dir()), Vec::<String>::new());
}

#[test]
fn a_killed_step_does_not_go_on() {
    let scene = Scene::new();
    let mark = format!("431.{:07}", std::process::id());
    scene.dockerfile(&format!("FROM busybox\nRUN exec sleep {mark}\n"));
    let mut build =
        scene.home.start(&["build", "--progress", "plain", "--policy", "touchmark.toml", "ctx"]);
    let sleeping = || {
        leftovers::uids_of(&format!("sleep {mark}")).into_iter().any(|(_, uids)| uids.len() == 4)
    };
    build.until(Duration::from_secs(120), |_| sleeping().then_some(()));
    let _ = build.kill();
    // What the dead builder left is swept by the next build at the latest.
    let _ = scene.build_only("FROM busybox\nRUN true\n").succeeded();
    assert!(!sleeping(), "the dead builder's step still runs");
}

#[test]
fn a_step_whose_runtime_was_killed_too_ends_with_the_next_build() {
    let scene = Scene::new();
    let mark = format!("433.{:07}", std::process::id());
    scene.dockerfile(&format!("FROM busybox\nRUN sleep {mark} & exec sleep {mark}\n"));
    let mut build =
        scene.home.start(&["build", "--progress", "plain", "--policy", "touchmark.toml", "ctx"]);
    let sleeping = || leftovers::uids_of(&format!("sleep {mark}")).len();
    build.until(Duration::from_secs(120), |_| (sleeping() >= 2).then_some(()));
    // Both at once: the container is nobody's child then, and only its mounts tell whose it was.
    let mut runtimes = leftovers::processes(scene.home.dir());
    runtimes.retain(|process| process.command.contains("--root /run/touchmark-steps/"));
    assert_eq!(runtimes.len(), 1, "{runtimes:?}");
    let _ = build.kill();
    leftovers::kill(&runtimes);
    assert_ne!(sleeping(), 0, "the step is gone before anyone looked for it");
    let _ = scene.build_only("FROM busybox\nRUN true\n").succeeded();
    assert_eq!(sleeping(), 0, "the dead builder's step still runs");
}

/// As a power cut would leave it: the file is there, nothing is in it, and the mark is of another boot.
const CUT: &str = r#"
cd "$0/.local/share/touchmark"
for mark in unsettled/*@*; do mv "$mark" "${mark%:*}:00000000@${mark#*@}"; done
find containerd/*/snapshots -name power-cut -type f | while read -r file; do : > "$file"; echo "$file"; done
"#;

#[test]
fn what_was_not_on_the_disk_when_the_machine_went_down_is_made_anew() {
    let scene = Scene::new();
    let text = |last: &str| {
        format!("FROM busybox\nRUN echo whole > /power-cut\nRUN cp /power-cut /{last}\n")
    };
    scene.dockerfile(&text("before"));
    let _ = scene.build(&[]).succeeded();
    let status = scene.home.run(&["worker", "status"]).succeeded();
    let pid = status.stdout.lines().find_map(|line| line.split_once("process ")).unwrap().1.trim();
    let mut cut = scene.home.command("nsenter");
    let home = scene.home.dir().join("home");
    cut.args(["-t", pid, "-U", "-m", "--preserve-credentials", "sh", "-c", CUT]).arg(&home);
    let emptied = scene.home.finish(cut).succeeded();
    assert_eq!(emptied.stdout.lines().count(), 1, "{emptied:?}");

    scene.dockerfile(&text("after"));
    let after = scene.build(&["-o", "out"]).succeeded();
    let warning =
        "the machine went down before 3 layers were on the disk: they are made anew where needed";
    assert!(after.mentions(warning), "{after:?}");
    assert_eq!(std::fs::read_to_string(scene.home.path("out/after")).unwrap(), "whole\n");
    assert_eq!(std::fs::read_to_string(scene.home.path("out/power-cut")).unwrap(), "whole\n");

    let marks = scene.home.dir().join("home/.local/share/touchmark/unsettled");
    let count = || {
        let names = std::fs::read_dir(&marks).unwrap().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().contains('@')).count()
    };
    assert_eq!(count(), 1, "that of the build that has just ended");
    let again = scene.build(&[]).succeeded();
    assert!(!again.mentions("the machine went down"), "{again:?}");
    scene.home.stop_worker();
    assert_eq!(count(), 0, "stopping the worker settles what is left");
}
