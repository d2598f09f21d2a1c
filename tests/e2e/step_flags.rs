//! Flags that are about every RUN step, and rights that only some get.

use crate::scene::Scene;

#[test]
fn names_limits_and_sizes_reach_the_step_and_its_key() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN grep example /etc/hosts; ulimit -n; df /dev/shm; true\n");
    let args = ["--add-host", "db.example:192.0.2.7", "--add-host", "me.example=host-gateway"];
    let more = ["--ulimit", "nofile=100:200", "--shm-size", "1m"];
    let first = scene.build(&[args, more].concat()).succeeded();
    assert!(first.mentions("] 192.0.2.7\tdb.example") && first.mentions("] 100\n"), "{first:?}");
    assert!(first.mentions("] 10.0.2.2\tme.example") && first.mentions(" 1024 "), "{first:?}");
    assert!(scene.build(&[args, more].concat()).succeeded().mentions("CACHED RUN"));
    let other = scene.build(&args).succeeded();
    assert!(!other.mentions("CACHED RUN"), "a limit is no input: {other:?}");
    let raised = ["--ulimit", "nofile=999999999"];
    let _ = scene.build(&raised).returned(1).says("help: a step cannot raise a limit above");
}

#[test]
fn a_right_is_given_by_the_command_line_and_told_by_provenance() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox\n\
         RUN --network=host test -d /sys/class/net/lo && ! ip addr | grep 10.0.2.1\n\
         RUN --security=insecure grep -q 'Seccomp:.0' /proc/self/status && mount -t tmpfs none /tmp\n\
         RUN awk '{ exit $2 == 0 }' /proc/self/uid_map\n",
    );
    let _ = scene.build(&[]).returned(1).says("error: RUN --network=host is refused");
    let rights = ["--allow", "network.host", "--allow", "security.insecure"];
    scene.home.make_keys();
    let output = scene.home.path("out");
    let output = format!("type=oci,dest={},tar=false", output.display());
    let args = ["--harden", "off", "--sign-key", "cosign.key", "--output", &output];
    let _ = scene.build(&[&rights[..], &args].concat()).succeeded();
    let said = scene.home.run(&["provenance", "oci:out"]).succeeded();
    for part in
        ["rootless-entitled", "\"network.host\"", "\"security.insecure\"", "\"hermetic\":false"]
    {
        assert!(said.stdout.contains(part), "{part}: {said:?}");
    }
    let _ = scene.build(&["--allow", "device"]).returned(2).says("--allow: 'device' is no right");
}

#[test]
fn only_the_stages_that_are_named_run_again() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox AS one\nRUN echo 1\nFROM busybox AS two\nRUN echo 2\nFROM busybox\n\
         COPY --from=one /bin/sh /one\nCOPY --from=two /bin/sh /two\n",
    );
    let _ = scene.build(&[]).succeeded();
    let again = scene.build(&["--no-cache-filter", "TWO,typo"]).succeeded();
    assert!(again.mentions("[one 2/2] CACHED") && again.mentions("[two 2/2] 2"), "{again:?}");
    let _ = again.says("warning: --no-cache-filter: no stage that is built is called 'typo'");
}

#[test]
fn flags_of_old_do_nothing_and_say_so_where_it_matters() {
    let scene = Scene::new();
    scene.dockerfile("FROM busybox\nRUN true\n");
    let old = ["--rm", "--force-rm=false", "--compress", "--squash", "-m", "1g", "--cpu-quota=5"];
    let built = scene.build(&old).succeeded();
    for flag in ["--squash", "--memory", "--cpu-quota"] {
        assert_eq!(built.stderr.matches(&format!("warning: {flag} has no effect: ")).count(), 1);
    }
    assert!(!built.mentions("--rm") && !built.mentions("--compress"), "{built:?}");
}
