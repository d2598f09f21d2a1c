//! Steps reach allowlisted names only, and each refusal says how to allow it.

use std::{
    io::Read,
    net::{TcpListener, UdpSocket},
    time::Duration,
};

use touchmark_tests::{
    impostor::{Impostor, Reply},
    referrers, snapshot,
};

use crate::scene::Scene;

#[test]
fn a_name_that_is_not_allowed_fails_with_line_host_and_remedy() {
    let scene = Scene::new();
    let output = scene
        .build_only("FROM busybox\nRUN true\nRUN wget http://not-allowed.example/\n")
        .returned(1);
    assert!(output.mentions("Dockerfile:3"), "the line\n{output:?}");
    assert!(output.mentions("not-allowed.example"), "the host\n{output:?}");
    assert!(output.mentions("[[network.mirror]]"), "the remedy\n{output:?}");
    assert!(output.mentions("host = \"not-allowed.example\""), "the remedy\n{output:?}");
    snapshot::assert("network-refused", &scene.home.told(&output));
}

#[test]
fn the_hosts_registry_is_out_of_reach() {
    let scene = Scene::new();
    let port = scene.registry.host().rsplit_once(':').unwrap().1.to_owned();
    let dockerfile = format!(
        "FROM busybox\nRUN ! nc -w 3 127.0.0.1 {port} -e true\nRUN ! nc -w 3 10.0.2.2 {port} -e true\n\
         RUN ! timeout 5 wget -O- http://127.0.0.1:{port}/v2/\n"
    );
    let _ = scene.build_only(&dockerfile).succeeded();
    let answered = scene.registry.requests();
    assert!(!answered.iter().any(|request| request == "GET /v2/ "), "{answered:#?}");
}

#[test]
fn an_address_without_a_name_is_refused() {
    let scene = Scene::new();
    let dockerfile = "FROM busybox\nRUN timeout 5 wget http://198.51.100.7/file\n";
    let output = scene.build_only(dockerfile).returned(1);
    assert!(output.mentions("198.51.100.7"), "the refusal names the address\n{output:?}");
    let raw = "FROM busybox\nRUN ! nc -w 3 198.51.100.7 8080 -e true\nRUN ! nc -w 3 203.0.113.9 25 -e true\n";
    let _ = scene.build_only(raw).succeeded();
}

#[test]
fn udp_53_elsewhere_gets_nowhere() {
    let scene = Scene::new();
    let dockerfile = "FROM busybox\nRUN ! timeout 8 nslookup packages.example.org 198.51.100.53\n";
    let _ = scene.build_only(dockerfile).succeeded();
}

#[test]
fn the_hosts_sockets_hear_nothing() {
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let scene = Scene::new();
    let mut dockerfile = String::from("FROM busybox\n");
    for address in ["127.0.0.1", "10.0.2.2", "10.0.2.1"] {
        dockerfile.push_str(&format!(
            "RUN echo hi | timeout 3 nc -w 2 {address} {tcp_port} || true\n\
             RUN echo hi | timeout 3 nc -u -w 1 {address} {udp_port} || true\n"
        ));
    }
    let _ = scene.build_only(&dockerfile).succeeded();
    assert!(tcp.accept().is_err(), "a step reached a TCP socket of the host");
    assert!(udp.recv(&mut [0; 16]).is_err(), "a step reached a UDP socket of the host");
}

#[test]
fn a_step_without_network_need_works_with_the_mirror_unplugged() {
    let unplugged = "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\n\
                     upstream = \"http://127.0.0.1:1\"\n";
    let scene = Scene::with_policy(unplugged);
    let _ = scene.build_only("FROM busybox\nRUN echo alone > /alone && cat /alone\n").succeeded();
}

#[test]
fn network_none_has_no_network_at_all() {
    let scene = Scene::new();
    let dockerfile =
        "FROM busybox\nRUN ip -o link | grep -v ' lo:' | sed 's/^/link /'; echo seen\n";
    scene.dockerfile(dockerfile);
    let output = scene.build(&["--network", "none"]).succeeded();
    assert!(
        output.mentions("seen") && !output.stderr.lines().any(|line| line.contains("link 2")),
        "{output:?}"
    );
}

/// A mirror on loopback behind a name of the policy: what a step fetches is recorded with its digest.
#[test]
fn a_mirror_is_reached_by_its_name_and_recorded() {
    let body = b"precious bytes\n".to_vec();
    let served = body.clone();
    let mirror = Impostor::start(move |request| match request.path.as_str() {
        "/debian/file" => Reply::Whole(200, vec![], served.clone()),
        _ => Reply::Whole(404, vec![], b"no\n".to_vec()),
    });
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}/debian\"\n",
        mirror.host()
    ));
    scene.home.make_keys();
    scene.dockerfile(
        "FROM busybox AS fetch\nRUN timeout 10 wget -O /file http://packages.example.org/file\n\
         FROM scratch\nCOPY --from=fetch /file /file\n",
    );
    for build in ["first", "cached"] {
        let _ = scene.push_signed(&[]).succeeded();
        let digest = scene.registry.tag("app", "1").unwrap();
        let provenance =
            referrers::predicate(&scene.registry, "app", &digest, referrers::PROVENANCE);
        let dependencies =
            provenance["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
        let hex = touchmark_tests::digest(&body)[7..].to_owned();
        let recorded = dependencies.iter().find(|one| one["digest"]["sha256"] == hex.as_str());
        let recorded =
            recorded.unwrap_or_else(|| panic!("{build}: not recorded: {dependencies:#?}"));
        assert!(
            recorded.to_string().contains("packages.example.org/file"),
            "{build}: {recorded:#}"
        );
    }
}

#[test]
fn a_path_outside_the_mirrors_globs_is_refused() {
    let mirror = Impostor::start(|_| Reply::Whole(200, vec![], b"ok\n".to_vec()));
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://{}\"\n\
         paths = [\"/debian/**\"]\n",
        mirror.host()
    ));
    let fetch = |path: &str| {
        format!("FROM busybox\nRUN timeout 10 wget -O- http://packages.example.org{path}\n")
    };
    let _ = scene.build_only(&fetch("/debian/a/b")).succeeded();
    let output = scene.build_only(&fetch("/secret")).returned(1);
    assert!(output.mentions("/secret"), "{output:?}");
}

/// TCP that looks like nothing at all is not carried anywhere, and a mirror hears only what was allowed.
#[test]
fn a_raw_stream_to_an_allowed_name_gets_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let scene = Scene::with_policy(&format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example.org\"\nupstream = \"http://127.0.0.1:{port}\"\n"
    ));
    let _ = scene
        .build_only("FROM busybox\nRUN echo 'SSH-2.0-x' | timeout 5 nc -w 3 packages.example.org 22 || true\n")
        .succeeded();
    if let Ok((mut stream, _)) = listener.accept() {
        let mut heard = String::new();
        let _ = stream.read_to_string(&mut heard);
        panic!("the mirror heard: {heard}");
    }
}
