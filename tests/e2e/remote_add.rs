//! ADD of files over HTTP and of repositories: what it makes, what is recorded, what is refused.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use touchmark_tests::{
    blobs,
    git_origin::GitOrigin,
    impostor::{Impostor, Reply},
    referrers, snapshot,
    tarball::Tarball,
};

use crate::scene::Scene;

/// A scene in which `files.example` is `host`.
fn scene(host: &str) -> Scene {
    Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"files.example\"\nupstream = \"http://{host}\"\n"
    ))
}

#[test]
fn files_and_commits_are_added_as_they_are_and_recorded() {
    let archive = Tarball::new().file("inside", 0o640, "i").finish();
    let files = [("/pool/tool_1.0_all.deb", b"deb".to_vec()), ("/a.tar", archive)];
    let origin = GitOrigin::start(&files, &[("run!", "#!\n"), ("sub/f", "f")]);
    let scene = scene(&origin.host());
    scene.home.make_keys();
    let sum = touchmark_tests::digest(b"deb");
    scene.dockerfile(&format!(
        "FROM scratch\nADD --checksum={sum} http://files.example/pool/tool_1.0_all.deb /d/\n\
         ADD --chmod=755 --chown=7:8 http://files.example/a.tar /packed\n\
         ADD --unpack http://files.example/a.tar /u/\n\
         ADD http://files.example/team/app.git?tag=v1 /g\n\
         ADD --checksum={} http://files.example/team/app.git#main:sub /s/\n",
        &origin.commit()[..12]
    ));
    let _ = scene.push_signed(&["--harden", "off"]).succeeded();
    let layers = blobs::unpack_every_blob(&scene.registry, "app", "1");
    let entries = layers.iter().flat_map(|layer| &layer.entries);
    let seen: Vec<String> =
        entries.map(|one| format!("{} {:o} {}:{}", one.path, one.mode, one.uid, one.gid)).collect();
    let expected = [
        "d 755 0:0",
        "d/tool_1.0_all.deb 600 0:0",
        "packed 755 7:8",
        "u 755 0:0",
        "u/inside 640 0:0",
        "g 755 0:0",
        "g/run 755 0:0",
        "g/sub 755 0:0",
        "g/sub/f 644 0:0",
        "s 755 0:0",
        "s/f 644 0:0",
    ];
    assert_eq!(seen, expected);
    let before = origin.requests().len();
    let again = scene.push_signed(&["--harden", "off"]).succeeded();
    assert!(again.mentions("5/5] CACHED"), "{again:?}");
    let asked: Vec<String> =
        origin.requests()[before..].iter().map(|one| one.path.clone()).collect();
    assert!(!asked.iter().any(|path| path.ends_with(".deb")), "promised and known: {asked:?}");
    assert!(!asked.iter().any(|path| path.contains("objects")), "known commits: {asked:?}");
    let digest = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    let all = provenance["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let find = |uri: &str| all.iter().find(|one| one["uri"] == uri).expect(uri);
    let deb = find("http://files.example/pool/tool_1.0_all.deb");
    assert_eq!(deb["digest"]["sha256"], &sum[7..]);
    assert_eq!(deb["annotations"]["purl"], "pkg:deb/debian/tool@1.0?arch=all");
    let commit = find("git+http://files.example/team/app.git");
    assert_eq!(commit["digest"]["gitCommit"], origin.commit());
}

#[test]
fn what_add_may_not_fetch_is_told_in_whole_messages() {
    let origin = GitOrigin::start(&[("/f", b"f\n".to_vec())], &[("f", "")]);
    let scene = scene(&origin.host());
    let mut told = String::new();
    let zeros = "0".repeat(64);
    for (what, add) in [
        ("another host", "http://other.example/f"),
        ("another port", "http://files.example:8080/f"),
        ("a repository elsewhere", "https://other.example/team/app.git"),
        ("another protocol", "git://files.example/team/app.git"),
        ("an address", "http://192.0.2.1/f"),
        ("a redirect elsewhere", "http://files.example/elsewhere"),
        ("not found", "http://files.example/nope"),
        ("another file", &format!("--checksum=sha256:{zeros} http://files.example/f")),
        ("no digest", "--checksum=sha256:12 http://files.example/f"),
        ("no such branch", "http://files.example/team/app.git?branch=nope"),
        ("an unknown key", "http://files.example/team/app.git?depth=1"),
    ] {
        let output = scene.build_only(&format!("FROM scratch\nADD {add} /x\n"));
        told.push_str(&format!("### {what}\n{}\n", scene.home.told(&output)));
    }
    scene.dockerfile("FROM scratch\nADD http://files.example/f /x\n");
    let output = scene.build(&["--network", "none"]);
    told.push_str(&format!("### no network\n{}\n", scene.home.told(&output)));
    snapshot::assert("add-refused", &told);
}

#[test]
fn a_token_reaches_its_host_and_nobody_else() {
    let (shown, logged_in) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (seen, came) = (shown.clone(), logged_in.clone());
    let server = Impostor::start(move |request| {
        let authorization = request.headers.iter().find(|(name, _)| name == "authorization");
        let value = authorization.map(|(_, value)| value.as_str()).unwrap_or_default();
        // "x-access-token:hunter2" in Base64.
        let encoded = "eC1hY2Nlc3MtdG9rZW46aHVudGVyMg==";
        came.fetch_or(value == format!("basic {encoded}"), Ordering::Relaxed);
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            seen.fetch_or(line.contains("hunter2") || line.contains(encoded), Ordering::Relaxed);
        }
        match value == "Bearer hunter2" && request.path == "/f" {
            true => Reply::Whole(200, Vec::new(), b"f\n".to_vec()),
            false => Reply::Whole(401, Vec::new(), Vec::new()),
        }
    });
    let scene = scene(&server.host());
    scene.home.write("token", "hunter2\n");
    let secret = |id: &str| format!("id={id},src=token");
    scene.dockerfile("FROM scratch\nADD http://files.example/f /f\n");
    let file = secret("HTTP_AUTH_TOKEN_files.example");
    let output = scene.build(&["--secret", &file]).succeeded();
    assert!(!output.mentions("hunter2"), "{output:?}");
    let _ = scene.build_only("FROM scratch\nADD http://files.example/f?again /f\n").returned(1);
    scene.dockerfile("FROM scratch\nADD http://files.example/team/app.git /f\n");
    let output = scene.build(&["--secret", &secret("GIT_AUTH_TOKEN.files.example")]).returned(1);
    assert!(logged_in.load(Ordering::Relaxed), "git sent no token\n{output:?}");
    assert!(!output.mentions("hunter2") && !output.mentions("eC1hY2Nlc3"), "{output:?}");
    assert!(!shown.load(Ordering::Relaxed), "a process showed the token in its arguments");
}
