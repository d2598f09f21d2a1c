//! What a build takes from elsewhere is kept, pinned, held to, and enough to build again.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use touchmark_tests::impostor::{Impostor, Reply};

use crate::scene::Scene;

/// A mirror whose file can be altered, and the requests for it.
struct Mirror {
    impostor: Impostor,
    file: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    fn start() -> Self {
        let file = Arc::new(Mutex::new(b"precious bytes\n".to_vec()));
        let (served, seen) = (file.clone(), Arc::new(Mutex::new(Vec::new())));
        let noted = seen.clone();
        let impostor = Impostor::start(move |request| {
            let body = served.lock().unwrap().clone();
            let etag = format!("\"{}\"", touchmark_tests::digest(&body));
            let known = request.headers.iter().any(|(n, v)| n == "if-none-match" && *v == etag);
            let path = request.path.as_str();
            noted.lock().unwrap().push(format!("{path}{}", if known { " known" } else { "" }));
            match path {
                "/file" | "/added" if known => {
                    Reply::Whole(304, vec![format!("ETag: {etag}")], vec![])
                }
                "/file" | "/added" => Reply::Whole(200, vec![format!("ETag: {etag}")], body),
                _ => Reply::Whole(404, vec![], b"no\n".to_vec()),
            }
        });
        Self { impostor, file, seen }
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn scene(&self) -> Scene {
        Scene::with_policy(&format!(
            "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}\"\n",
            self.impostor.host()
        ))
    }
}

fn dockerfile(scene: &Scene, more: &str) {
    scene.dockerfile(&format!(
        "FROM busybox AS fetch\nRUN {more}wget -q -O /file http://packages.example.org/file; \
         ! wget -q -O /none http://packages.example.org/none\n\
         FROM scratch\nADD http://packages.example.org/added /added\nCOPY --from=fetch /file /file\n"
    ));
}

/// Builds and gives the image's digest.
fn build(scene: &Scene, more: &[&str]) -> String {
    let output = ["--no-sign", "--iidfile", "id", "-o", "type=oci,dest=out.tar"];
    let _ = scene.build(&[&output[..], more].concat()).succeeded();
    fs::read_to_string(scene.home.path("id")).unwrap()
}

#[test]
fn what_was_kept_is_enough_to_build_the_same_image_with_everything_unplugged() {
    let mirror = Mirror::start();
    let scene = mirror.scene();
    dockerfile(&scene, "");
    let first = build(&scene, &["--lock=touchmark.lock"]);
    let lock = fs::read_to_string(scene.home.path("touchmark.lock")).unwrap();
    let tables: Vec<&str> = lock.lines().filter(|line| line.contains(" = ")).collect();
    let digest = touchmark_tests::digest(b"precious bytes\n");
    assert_eq!(tables[1], "name = \"docker.io/library/busybox:latest\"", "{lock}");
    assert_eq!(
        tables[3..],
        [
            "url = \"http://packages.example.org/added\"",
            &format!("digest = \"{digest}\""),
            "size = 15",
            "url = \"http://packages.example.org/file\"",
            &format!("digest = \"{digest}\""),
            "size = 15",
            "url = \"http://packages.example.org/none\"",
            "status = 404",
        ]
    );
    // Nobody is asked, and nothing that was made is left but what was fetched.
    let Scene { home, registry } = scene;
    let requests = mirror.seen().len();
    assert_eq!(requests, 3, "each address once");
    drop(registry);
    for kind in ["step", "base", "record"] {
        let filter = format!("type={kind}");
        let _ = home.run(&["cache", "prune", "--force", "--filter", &filter]).succeeded();
    }
    let again = |more: &[&str]| {
        let args = ["build", "--progress", "plain", "--policy", "touchmark.toml", "--no-sign"];
        let output = ["--offline", "--iidfile", "id", "-o", "type=oci,dest=out.tar"];
        home.run(&[&args[..], &output[..], more, &["ctx"]].concat())
    };
    let _ = again(&["--no-cache"]).succeeded();
    assert_eq!(fs::read_to_string(home.path("id")).unwrap(), first);
    let _ = again(&["--no-cache", "--locked=touchmark.lock"]).succeeded();
    assert_eq!(fs::read_to_string(home.path("id")).unwrap(), first);
    assert_eq!(mirror.seen(), Vec::<String>::new());
    // What is missing stands in one message, what is damaged is refused.
    home.write("ctx/Dockerfile", "FROM nowhere:1\nFROM nothing:2\nCOPY --from=0 / /\n");
    let missing = again(&[]).returned(1);
    for name in ["docker.io/library/nowhere:1", "docker.io/library/nothing:2"] {
        assert!(missing.mentions(&format!("{name} is not in the store")), "{missing:?}");
    }
    home.write(
        "ctx/Dockerfile",
        "FROM busybox\nRUN wget -q -O- http://packages.example.org/file\n",
    );
    let blob = format!("home/.local/share/touchmark/content/blobs/sha256/{}", &digest[7..]);
    fs::write(home.dir().join(&blob), b"Precious bytes\n").unwrap();
    let damaged = again(&[]).returned(1);
    let told = format!(
        "http://packages.example.org/file is damaged in the store: its bytes no longer are {digest}"
    );
    assert!(damaged.mentions(&told), "{damaged:?}");
}

#[test]
fn an_altered_file_is_refused_by_its_address_with_the_old_and_the_new_digest() {
    let mirror = Mirror::start();
    let scene = mirror.scene();
    dockerfile(&scene, "");
    build(&scene, &["--lock=touchmark.lock"]);
    build(&scene, &["--locked=touchmark.lock", "--no-cache"]);
    mirror.seen();
    // A changed step asks whether what is kept is still good.
    dockerfile(&scene, "true; ");
    build(&scene, &["--locked=touchmark.lock"]);
    let seen = mirror.seen();
    assert!(seen.contains(&"/file known".to_owned()), "{seen:?}");
    let (old, new) =
        (touchmark_tests::digest(b"precious bytes\n"), touchmark_tests::digest(b"altered\n"));
    *mirror.file.lock().unwrap() = b"altered\n".to_vec();
    let told = |url: &str| {
        format!(
            "{url} is not what it was\n  touchmark.lock: {old}\n  found: {new}\nhelp: if the new bytes are meant"
        )
    };
    for (stage, file) in [("fetch", "file"), ("1", "added")] {
        let target = if stage == "fetch" { vec!["--target", "fetch"] } else { vec![] };
        let output =
            scene.build(&[&["--locked=touchmark.lock", "--no-cache"][..], &target].concat());
        let output = output.returned(1);
        let text = output.stderr.replace("\n  |", "");
        let wanted = told(&format!("http://packages.example.org/{file}"));
        let lines: Vec<&str> = wanted.lines().collect();
        assert!(lines.iter().all(|line| text.contains(line)), "{wanted}\n{output:?}");
    }
}
