use serde_json::json;

use super::*;

fn made(inputs: &Value) -> Ingredients {
    let hides = |text: &str| text.contains("hunter2");
    let below = Below { name: "debian:12".into(), image: Some(digest("i")), layers: digest("l") };
    Ingredients {
        text: "RUN make".into(),
        step: 2,
        key: Some(Digest::of(inputs.to_string().as_bytes())),
        below: vec![below],
        facts: Ingredients::facts(inputs, &hides),
        files: String::new(),
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn told(before: &Ingredients, now: &Ingredients) -> String {
    let arguments = ["VERSION".to_owned(), "API_TOKEN".to_owned()].into();
    let reasons = now.reasons(before, &arguments);
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn run() -> Value {
    json!({
        "args": ["/bin/sh", "-c", "make"],
        "env": [["PATH", "/bin"], ["VERSION", "1.2"], ["API_TOKEN", "t0ps3cret"], ["NOTE", "a hunter2"]],
        "cwd": "/",
        "settings": {"shm_size": null},
        "mounts": [{"target": "/src", "what": {"Bind": "sha256:1"}}],
        "files": [["script.sh", "sha256:1"]],
    })
}

#[test]
fn each_input_of_a_run_is_named() {
    let mut now = run();
    now["args"][2] = "make all".into();
    now["env"] =
        json!([["PATH", "/usr/bin"], ["VERSION", "1.3"], ["API_TOKEN", "other"], ["NOTE", "b"]]);
    now["mounts"][0]["what"]["Bind"] = "sha256:2".into();
    now["settings"]["shm_size"] = 64.into();
    assert_eq!(
        told(&made(&run()), &made(&now)),
        "the build argument API_TOKEN changed\n\
         the build argument VERSION changed: 1.2 -> 1.3\n\
         the environment variable NOTE changed\n\
         the environment variable PATH changed: /bin -> /usr/bin\n\
         the command changed: /bin/sh -c make -> /bin/sh -c make all\n\
         the mount at /src changed\n\
         1 change more"
    );
}

#[test]
fn no_secret_is_kept_and_none_is_told() {
    let mut now = run();
    now["env"] = json!([["PATH", "/bin"], ["VERSION", "1.2"], ["NEW_KEY", "hidden!"]]);
    let (before, now) = (made(&run()), made(&now));
    let kept = serde_json::to_string(&[&before, &now]).unwrap();
    let told = told(&before, &now);
    for secret in ["t0ps3cret", "hunter2", "hidden!"] {
        assert!(!kept.contains(secret) && !told.contains(secret), "{kept}\n{told}");
    }
    assert_eq!(
        told,
        "the build argument API_TOKEN is gone\n\
         the environment variable NEW_KEY is new\n\
         the environment variable NOTE is gone"
    );
}

#[test]
fn what_lies_below_is_told_before_all_else() {
    let before = made(&run());
    let mut moved = made(&run());
    moved.key = None;
    moved.below[0].layers = digest("other");
    moved.below[0].image = Some(digest("j"));
    let (from, to) = (short(&digest("i")), short(&digest("j")));
    assert_eq!(told(&before, &moved), format!("the base image debian:12 changed: {from} -> {to}"));
    moved.below[0].name = "debian:13".into();
    assert_eq!(told(&before, &moved), "the base image changed: debian:12 -> debian:13");
    moved.below[0] = Below { name: "[build 1/2]".into(), image: None, layers: digest("x") };
    assert_eq!(told(&before, &moved), "the result of [build 1/2] changed");
    assert_eq!(told(&before, &before), "its result is not in the cache any more");
}

#[test]
fn the_files_of_a_copy_are_named_and_not_their_sum() {
    let copy = |content: &str, file: &str| {
        let mut made = made(&json!({"content": content, "dest": "/src/"}));
        let digest: String = digest(file).hex().chars().take(12).collect();
        made.files = format!("644 {digest} hello.c\n");
        made
    };
    let told = told(&copy("1", "a"), &copy("2", "b"));
    assert!(told.starts_with("hello.c changed: sha256:ca978112ca1b… -> sha256:"), "{told}");
    let mut unlisted = copy("2", "b");
    unlisted.files = copy("1", "a").files;
    assert_eq!(super::tests::told(&copy("1", "a"), &unlisted), "what it copies changed");
}
