//! The machine's proxy and what logs in with mirrors: all that goes out uses them, and no step sees them.

use std::sync::{Arc, Mutex, PoisonError};

use touchmark_tests::{
    git_origin::GitOrigin,
    http,
    impostor::{Impostor, Reply, Request},
    referrers,
    run::Output,
    snapshot,
};

use crate::scene::Scene;

/// "user:hidden" in Base64.
const LOGIN: &str = "Basic dXNlcjpoaWRkZW4=";

/// A proxy for plain HTTP that leads `hosts` to servers of this machine, for who logs in.
fn proxy(hosts: Vec<(&'static str, String)>, seen: Arc<Mutex<Vec<Request>>>) -> Impostor {
    Impostor::start(move |request| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let login = request.headers.iter().find(|(name, _)| name == "proxy-authorization");
        if login.is_none_or(|(_, value)| value != LOGIN) {
            return Reply::Whole(407, vec!["Proxy-Authenticate: Basic".into()], Vec::new());
        }
        let asked = request.path.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        let Some((host, path)) = asked else { return Reply::Whole(400, vec![], vec![]) };
        let Some((_, server)) = hosts.iter().find(|(name, _)| *name == host) else {
            return Reply::Whole(502, vec![], format!("no {host}\n").into_bytes());
        };
        let own = |name: &str| {
            name.starts_with("proxy-") || matches!(name, "host" | "connection" | "content-length")
        };
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(a, b)| (&**a, &**b)).collect();
        let headers: Vec<(&str, &str)> =
            headers.into_iter().filter(|(name, _)| !own(name)).collect();
        let path = format!("/{path}");
        let answer = http::request(server, &request.method, &path, &headers, &request.body);
        let Ok(answer) = answer else { return Reply::Nothing };
        let framing =
            |name: &str| matches!(name, "transfer-encoding" | "content-length" | "connection");
        let kept = answer.headers.iter().filter(|(name, _)| !framing(name));
        let kept = kept.map(|(name, value)| format!("{name}: {value}")).collect();
        Reply::Whole(answer.status, kept, answer.body)
    })
}

/// Builds with `variables`, as they stand in the environment of the user.
fn build(scene: &Scene, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let first = ["build", "--progress", "plain", "--policy", "touchmark.toml"];
    let mut command = scene.home.touchmark(&[&first[..], args, &["ctx"]].concat());
    command.envs(variables.iter().copied());
    scene.home.finish(command)
}

#[test]
fn everything_goes_through_the_machines_proxy_and_no_step_sees_it() {
    let origin = GitOrigin::start(&[("/f", b"precious\n".to_vec())], &[("sub/g", "g")]);
    let scene = Scene::new();
    let seen = Arc::<Mutex<Vec<Request>>>::default();
    let hosts = vec![
        ("hub.example", scene.registry.host()),
        ("files.example", origin.host()),
        ("direct.example", origin.host()),
    ];
    let proxy = proxy(hosts, seen.clone());
    let policy = "[registries]\n\"docker.io\" = { mirror = \"hub.example\", plain-http = true }\n\
                  [network]\nallow = []\n[[network.mirror]]\nhost = \"files.example\"\n\
                  [[network.mirror]]\nhost = \"packages.example\"\nupstream = \"http://files.example\"\n";
    scene.home.write("touchmark.toml", policy);
    scene.home.make_keys();
    scene.dockerfile(
        "FROM busybox AS fetch\nRUN wget -O /f http://packages.example/f && env | grep -i proxy\nFROM scratch\nCOPY --from=fetch /f /f\n\
         ADD http://files.example/f /added\nADD http://files.example/team/app.git?tag=v1 /g\n",
    );
    let address = format!("http://user:hidden@{}", proxy.host());
    let variables = [("HTTP_PROXY", address.as_str()), ("no_proxy", ".elsewhere.example")];
    let image = scene.registry.image("app:1");
    let args = ["--push", "--sign-key", "cosign.key", "-t", &image, "--harden", "off"];
    let args = [&args[..], &["--build-arg", "no_proxy=of-the-step.example"]].concat();
    let output = build(&scene, &variables, &args).succeeded();
    assert!(output.mentions("no_proxy=of-the-step.example"), "{output:?}");
    assert!(!output.mentions(".elsewhere.example") && !output.mentions("HTTP_PROXY"), "{output:?}");
    let asked: Vec<String> = seen.lock().unwrap().iter().map(|one| one.path.clone()).collect();
    let through = |begin: &str| asked.iter().any(|path| path.starts_with(begin));
    for begin in
        ["http://hub.example/v2/", "http://files.example/f", "http://files.example/team/app.git/"]
    {
        assert!(through(begin), "{begin}\n{asked:#?}");
    }
    let digest = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    let told = format!("{output:?}{provenance}");
    assert!(!told.contains("hidden") && !told.contains("dXNlcjpoaWRkZW4"), "{told}");
}

#[test]
fn a_proxy_that_refuses_is_told_in_whole_messages_and_without_its_login() {
    let scene = Scene::with_policy(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"files.example\"\n\
         [[network.mirror]]\nhost = \"secure.example\"\n",
    );
    let proxy = proxy(Vec::new(), Arc::default());
    let [wrong, closed] = [proxy.host(), "127.0.0.1:1".into()]
        .map(|place| format!("http://user:wrong-hidden@{place}"));
    let mut told = String::new();
    for (name, address) in [("a login", &wrong), ("a closed port", &closed)] {
        for (what, dockerfile) in [
            ("RUN", "FROM busybox\nRUN wget http://files.example/f\n"),
            ("ADD over TLS", "FROM scratch\nADD https://secure.example/f /f\n"),
            ("a repository", "FROM scratch\nADD https://secure.example/team/app.git /f\n"),
            ("a base image", "FROM quay.example/team/app:1\n"),
        ] {
            scene.dockerfile(dockerfile);
            let text = std::fs::read_to_string(scene.home.path("touchmark.toml")).unwrap();
            if !text.contains("quay.example") {
                let more = "[registries]\n\"quay.example\" = {}\n";
                scene.home.write("touchmark.toml", text.replace("[registries]\n", more));
            }
            let variables = [("all_proxy", address.as_str())];
            let output = build(&scene, &variables, &["--no-cache"]);
            assert_ne!(output.code, 0, "{output:?}");
            told.push_str(&format!("### {name}: {what}\n{}\n", scene.home.told(&output)));
        }
    }
    scene.dockerfile("FROM scratch\n");
    let output = build(&scene, &[("HTTPS_PROXY", "socks5://user:hidden@proxy.example")], &[]);
    told.push_str(&format!("### another kind\n{}\n", scene.home.told(&output.returned(2))));
    assert!(!told.contains("hidden"), "{told}");
    snapshot::assert("proxy-refused", &told);
}

#[test]
fn a_mirror_logs_in_with_a_secret_that_no_step_gets() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let heard = seen.clone();
    let server = Impostor::start(move |request| {
        let authorization = request.headers.iter().find(|(name, _)| name == "authorization");
        let value = authorization.map(|(_, value)| value.clone()).unwrap_or_default();
        heard.lock().unwrap().push(format!("{} {value}", request.path));
        let location = vec!["Location: http://other.example/f".into()];
        match (request.path.as_str(), value.as_str()) {
            ("/f", "Bearer hidden-token") => Reply::Whole(200, Vec::new(), b"precious\n".to_vec()),
            ("/elsewhere", "Bearer hidden-token") => Reply::Whole(302, location, Vec::new()),
            ("/open/f", "") => Reply::Whole(200, Vec::new(), b"open\n".to_vec()),
            _ => Reply::Whole(401, Vec::new(), Vec::new()),
        }
    });
    let host = server.host();
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"files.example\"\nupstream = \"http://{host}\"\n\
         credentials = \"mirror-token\"\n[[network.mirror]]\nhost = \"other.example\"\nupstream = \"http://{host}/open\"\n"
    ));
    scene.home.make_keys();
    scene.home.write("token", "hidden-token\n");
    scene.dockerfile(
        "FROM busybox AS fetch\nRUN wget -O /f http://files.example/f && wget -O /o http://files.example/elsewhere\n\
         FROM scratch\nCOPY --from=fetch /f /o /\nADD http://files.example/elsewhere /added\n",
    );
    let secret = ["--secret", "id=mirror-token,src=token"];
    let output = scene.push_signed(&secret).succeeded();
    let digest = scene.registry.tag("app", "1").unwrap();
    let provenance = referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
    let told = format!("{output:?}{provenance}");
    assert!(!told.contains("hidden-token"), "{told}");
    let asked = seen.lock().unwrap().clone();
    assert!(asked.contains(&"/f Bearer hidden-token".into()), "{asked:?}");
    assert!(asked.iter().filter(|one| one.starts_with("/open/f ")).all(|one| one == "/open/f "));

    let mut told = String::new();
    let missing = scene.build(&[]).returned(2);
    told.push_str(&format!("### the secret is missing\n{}\n", scene.home.told(&missing)));
    scene.dockerfile("FROM busybox\nRUN --mount=type=secret,id=mirror-token cat /run/secrets/*\n");
    let asked = scene.build(&secret).returned(1);
    told.push_str(&format!("### a step asks for it\n{}\n", scene.home.told(&asked)));
    assert!(!told.contains("hidden-token"), "{told}");
    snapshot::assert("mirror-login", &told);
}
