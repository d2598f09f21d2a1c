//! `RUN --mount` and the flags of RUN that are refused.

use std::fs;

use touchmark_tests::blobs;

use crate::scene::Scene;

/// What the last step wrote to `/seen`.
fn seen(scene: &Scene) -> String {
    let layers = blobs::unpack_every_blob(&scene.registry, "app", "1");
    let file = blobs::topmost(&layers, "seen").expect("written by the step");
    String::from_utf8_lossy(&file.contents).into_owned()
}

#[test]
fn a_bind_mount_shows_the_context_and_takes_nothing_back() {
    let scene = Scene::new();
    scene.home.write("ctx/a.txt", "from the context\n");
    scene.home.write("ctx/hidden", "");
    scene.home.write("ctx/.dockerignore", "hidden\n");
    scene.dockerfile(
        "FROM busybox\nWORKDIR /w\n\
         RUN --mount=target=. ! test -e hidden && ! touch a.txt && cat a.txt > /seen\n\
         RUN --mount=target=/m,rw echo changed > /m/a.txt && touch /m/new\n\
         RUN --mount=target=/n ! test -e /n/new && cat /n/a.txt >> /seen && stat -c '%u:%g' /n/a.txt >> /seen\n",
    );
    let _ = scene.push_unsigned(&["--harden", "off"]).succeeded();
    assert_eq!(seen(&scene), "from the context\nfrom the context\n0:0\n");
    for blob in blobs::unpack_every_blob(&scene.registry, "app", "1") {
        let left =
            blob.entries.iter().find(|entry| matches!(entry.path.as_str(), "m" | "n" | "w/a.txt"));
        assert!(left.is_none(), "a mount point stayed in a layer: {left:?}");
    }
    let mut again = scene.build_only("FROM busybox\nRUN --mount=target=/m cat /m/a.txt\n");
    assert!(again.mentions("from the context"));
    scene.home.write("ctx/a.txt", "changed\n");
    again = scene.build(&[]).succeeded();
    assert!(again.mentions("2/2] changed"), "a changed file did not run the step\n{again:?}");
}

#[test]
fn a_link_in_a_stage_leads_nowhere_outside_of_it() {
    let scene = Scene::new();
    let _ = scene
        .build_only(
            "FROM busybox AS s\n\
             RUN ln -s / /root2 && ln -s ../../../../../../../etc /up && mkdir /only-here\n\
             FROM busybox\n\
             RUN --mount=from=s,source=/root2,target=/m test -d /m/only-here\n\
             RUN --mount=from=s,source=/up,target=/m test ! -e /m/debian_version && cat /m/passwd\n",
        )
        .succeeded();
}

/// Fails when a file below the user's data directory, logs and caches included, holds `text`.
pub(crate) fn nowhere_in_the_data(scene: &Scene, text: &str) {
    let mut folders = vec![scene.home.dir().join("home")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                // Made text, because the search in text is the fast one.
                let found = String::from_utf8_lossy(&bytes).contains(text);
                assert!(!found, "found in {}", entry.path().display());
            }
        }
    }
}

#[test]
fn a_secret_is_in_no_layer_and_in_no_key() {
    let scene = Scene::new();
    scene.home.write("token", b"hunter2-\xff");
    scene.dockerfile(
        "FROM busybox\n\
         RUN --mount=type=secret,id=token,env=TOKEN test -n \"$TOKEN\" && cat /proc/sys/kernel/random/uuid > /seen\n\
         RUN --mount=type=secret,id=file,mode=0440,uid=7 stat -c '%a %u' /run/secrets/file && test -s /run/secrets/file\n\
         RUN ! test -e /run/secrets && test -z \"$TOKEN\"\n",
    );
    let given = |token: &str| {
        scene.home.write("variable", token);
        let args = ["--harden", "off", "--secret", "id=token,src=variable", "--secret"];
        scene.push_unsigned(&[&args[..], &["id=file,src=token"]].concat()).succeeded()
    };
    let first = given("hunter2-one");
    assert!(first.mentions("440 7") && !first.mentions("hunter2"), "{first:?}");
    let number = seen(&scene);
    for blob in blobs::unpack_every_blob(&scene.registry, "app", "1") {
        for entry in &blob.entries {
            let found = entry.contents.windows(7).any(|part| part == b"hunter2");
            assert!(!found && !entry.path.as_str().contains("secrets"), "{}", entry.path.as_str());
        }
    }
    let _ = given("hunter2-two");
    assert_eq!(seen(&scene), number, "the value of a secret was taken for an input");
    nowhere_in_the_data(&scene, "hunter2");
}

#[test]
fn a_required_secret_that_is_missing_fails_with_its_remedy() {
    let scene = Scene::new();
    let _ = scene
        .build_only("FROM busybox\nRUN --mount=type=secret,id=token,required true\n")
        .returned(1)
        .says("error: the secret 'token' was not given")
        .says("help: give it: --secret id=token,src=FILE");
    let _ = scene
        .build_only("FROM busybox\nRUN --mount=type=secret,id=token ! test -e /run/secrets/token\n")
        .succeeded();
}

#[test]
fn a_cache_outlives_the_build_and_is_in_no_layer() {
    let scene = Scene::new();
    scene.dockerfile(
        "FROM busybox\nARG N\nUSER 7:8\n\
         RUN --mount=type=cache,target=/c,uid=7,gid=8,mode=0700 echo $N >> /c/log && cat /c/log && stat -c '%a %u:%g' /c\n\
         RUN --mount=type=tmpfs,target=/t,size=1m touch /t/x && ! test -e /c/log\n",
    );
    let _ = scene.build(&["--build-arg", "N=first"]).succeeded();
    let second = scene.push_unsigned(&["--harden", "off", "--build-arg", "N=second"]).succeeded();
    assert!(second.mentions("2/3] first") && second.mentions("2/3] second"), "{second:?}");
    assert!(second.mentions("700 7:8"), "{second:?}");
    for blob in blobs::unpack_every_blob(&scene.registry, "app", "1") {
        let left = blob.entries.iter().find(|entry| {
            let name = entry.path.as_str();
            name == "c" || name == "t" || name.starts_with("c/")
        });
        assert!(left.is_none(), "{left:?}");
    }
}

#[test]
fn flags_that_would_open_the_step_are_refused_before_anything_runs() {
    let scene = Scene::new();
    for (flag, help) in [
        ("--network=host", "leave the flag out and allow what the step fetches in the policy"),
        ("--security=insecure", "leave the flag out, or trust this step"),
        ("--device=vendor.example/gpu", "a rootless worker has no right to the host's devices"),
        ("--mount=target=/proc/x", "choose a target elsewhere"),
    ] {
        let shown = match flag {
            "--mount=target=/proc/x" => "--mount with a target in /proc",
            "--device=vendor.example/gpu" => "--device",
            flag => flag,
        };
        let output = scene
            .build_only(&format!("FROM busybox\nRUN echo ran\nRUN {flag} true\n"))
            .returned(1)
            .says(&format!("error: RUN {shown} is refused"))
            .says(help);
        assert!(!output.mentions("2/3] ran"), "{output:?}");
    }
}
