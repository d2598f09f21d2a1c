//! Plain HTTP through the policy and into the record.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use crate::{downloads::Terms, oci::digest::Digest, policy::Policy};

use super::{
    super::{Egress, RefusalKind, RequestRecord, WayOut},
    client::{connect, converse, exchange, get, in_step, lookup},
    inside, open, origin,
    origin::{file, start},
    to_loopback,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_through_the_mirror_and_is_recorded() {
    if !inside(module_path!(), "a_file_comes_through_the_mirror_and_is_recorded") {
        return;
    }
    let port = start();
    let policy = Policy::parse("touchmark.toml", &to_loopback(port)).unwrap();
    let egress = Egress::new(Arc::new(policy.network), None, Terms::default(), WayOut::default());
    let step = egress.open_step(origin()).await.unwrap();
    in_step(&step, || {
        let reply = get("packages.example", "/pool/hello_2.10-3_amd64.deb?x=1");
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{}", &reply[..100]);
        assert!(reply.contains("etag: \"1\"\r\n") && !reply.contains("x-hop: a\r\n"));
        let echo = exchange(
            "packages.example",
            "GET /echo HTTP/1.1\r\nHost: packages.example:80\r\nUser-Agent: fetcher/1\r\nRange: bytes=0-\r\n\
             If-None-Match: \"2\"\r\nX-Mine: 1\r\nConnection: close, x-mine\r\nTE: trailers\r\n\r\n",
        );
        for kept in ["user-agent: fetcher/1", "range: bytes=0-", "if-none-match: \"2\""] {
            assert!(echo.contains(kept), "{echo}");
        }
        assert!(!echo.contains("x-mine") && !echo.contains("\r\nte:"), "{echo}");
    })
    .await;
    let traffic = step.finish().await;
    let [deb, echo] = traffic.requests.as_slice() else { panic!("{traffic:?}") };
    assert_eq!(deb.url, "http://packages.example/pool/hello_2.10-3_amd64.deb?x=1");
    assert_eq!(deb.fetched_url, format!("http://127.0.0.1:{port}/pool/hello_2.10-3_amd64.deb?x=1"));
    assert_eq!(
        (deb.status, deb.size, deb.sha256),
        (Some(200), 1_000_000, Some(Digest::of(&file())))
    );
    assert_eq!(deb.purl.as_deref(), Some("pkg:deb/debian/hello@2.10-3?arch=amd64"));
    assert!(deb.is_dependency() && deb.line.line == 7 && deb.rule == "policy: packages.example");
    assert!(echo.complete);
    assert_eq!(traffic.refusals, []);
    assert_eq!(egress.finish(), traffic.requests);
    let text = serde_json::to_string(deb).unwrap();
    assert_eq!(&serde_json::from_str::<RequestRecord>(&text).unwrap(), deb);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_has_its_record() {
    if !inside(module_path!(), "each_outcome_has_its_record") {
        return;
    }
    let step = open(&to_loopback(start())).await;
    in_step(&step, || {
        let host = "packages.example";
        assert!(get(host, "/none").ends_with("none"));
        let head = "HEAD /file HTTP/1.1\r\nHost: packages.example\r\nConnection: close\r\n\r\n";
        let head = exchange(host, head);
        assert!(
            head.contains("content-length: 1000000\r\n") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        assert!(get(host, "/chunked").contains("mark"));
        assert!(get(host, "/short").ends_with("only this"));
        assert!(get(host, "/nolength").contains("to the end"));
        assert!(get(host, "/moved").contains("location: http://other.example/x\r\n"));
        assert!(get(host, "/part").contains("206 Partial"));
        let post = "POST /post HTTP/1.1\r\nHost: packages.example\r\nExpect: 100-continue\r\n\
                    Content-Length: 5\r\nConnection: close\r\n\r\nhello";
        let post = exchange(host, post);
        assert!(post.starts_with("HTTP/1.1 100 Continue\r\n") && post.ends_with("hello"), "{post}");
        assert!(exchange(host, "GET /chunked HTTP/1.0\r\n\r\n").ends_with("touchmark"));
    })
    .await;
    let traffic = step.finish().await;
    let outcome = |r: &RequestRecord| {
        let path = r.url.strip_prefix("http://packages.example").unwrap().to_owned();
        (path, r.status, r.size, r.sha256.is_some(), r.incomplete_reason.clone())
    };
    let told: Vec<_> = traffic.requests.iter().map(outcome).collect();
    let row = |path: &str, status, size, hashed, reason: Option<&str>| {
        (path.to_owned(), Some(status), size, hashed, reason.map(str::to_owned))
    };
    assert_eq!(
        told[..3],
        [
            row("/none", 404, 4, true, None),
            row("/file", 200, 0, true, None),
            row("/chunked", 200, 9, true, None),
        ]
    );
    assert_eq!((told[3].2, told[3].3), (9, false));
    assert!(told[3].4.as_ref().unwrap().starts_with("the upstream broke off: "), "{:?}", told[3]);
    assert_eq!(
        told[4..],
        [
            row("/nolength", 200, 10, true, Some("the upstream announced no length")),
            row("/moved", 302, 0, true, None),
            row("/part", 206, 2, true, Some("only a part was fetched")),
            row("/post", 200, 5, true, Some("the method is POST")),
            row("/chunked", 200, 9, true, None),
        ]
    );
    assert_eq!(traffic.requests[7].sent, 5);
    let dependencies = traffic.requests.iter().filter(|record| record.is_dependency()).count();
    assert_eq!(dependencies, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_its_own_host_only() {
    if !inside(module_path!(), "a_connection_serves_its_own_host_only") {
        return;
    }
    let port = start();
    let second =
        to_loopback(port).replace("[network]\nallow = []\n", "").replace("packages", "other");
    let step = open(&(to_loopback(port) + &second)).await;
    in_step(&step, || {
        let address = lookup("packages.example").unwrap();
        let mut stream = connect((address, 80)).unwrap();
        for _ in 0..3 {
            stream.write_all(b"GET /none HTTP/1.1\r\nHost: Packages.example\r\n\r\n").unwrap();
            let mut reply = [0; 512];
            let length = stream.read(&mut reply).unwrap();
            assert!(reply[..length].starts_with(b"HTTP/1.1 404"), "keep-alive");
        }
        stream.write_all(b"GET /none HTTP/1.1\r\nHost: other.example\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.contains("421") && reply.contains("not for 'other.example'"), "{reply}");
        let lookup = |head: &str| converse((address, 80), head);
        for request in [
            "GET http://other.example/none HTTP/1.1\r\nHost: packages.example\r\n\r\n",
            "GET http://other.example/none HTTP/1.1\r\nHost: other.example\r\n\r\n",
            "CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n",
            "CONNECT packages.example:443 HTTP/1.1\r\nHost: packages.example:443\r\n\r\n",
            "GET /none HTTP/1.1\r\nHost: packages.example\r\nHost: other.example\r\n\r\n",
            "GET /none HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: packages.example\r\n\r\n",
            "GET /../none HTTP/1.1\r\nHost: packages.example\r\n\r\n",
        ] {
            let reply = lookup(request);
            assert!(reply.starts_with("HTTP/1.1 4"), "{request}{reply}");
            assert!(reply.contains("connection: close"), "{reply}");
        }
        let whole = "GET http://packages.example/none HTTP/1.1\r\nHost: packages.example\r\n\
                     Connection: close\r\n\r\n";
        assert!(lookup(whole).contains("404"));
    })
    .await;
    let traffic = step.finish().await;
    assert_eq!(traffic.requests.len(), 4);
    let other = RefusalKind::OtherHost("other.example".into());
    assert!(traffic.refusals.iter().any(|refusal| refusal.kind == other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_upstream_must_be_named_by_the_policy() {
    if !inside(module_path!(), "a_private_upstream_must_be_named_by_the_policy") {
        return;
    }
    // The one name that resolves to a private address everywhere.
    let policy = "[network]\nallow = []\n[[network.mirror]]\nhost = \"localhost\"\n";
    let step = open(policy).await;
    let reply = in_step(&step, || get("localhost", "/none")).await;
    assert!(reply.starts_with("HTTP/1.1 403") && reply.contains("is private"), "{reply}");
    let traffic = step.finish().await;
    assert_eq!(traffic.requests, []);
    assert_eq!(
        traffic.refusals[0].to_string(),
        "line 7: no connection to 'localhost:80': its address is private\nhelp: add to \
         touchmark.toml:\n  [[network.mirror]]\n  host = \"localhost\"\n  \
         upstream = \"http://localhost\""
    );
    let named = format!("{policy}upstream = \"http://localhost:{}\"\n", start());
    let step = open(&named).await;
    assert!(in_step(&step, || get("localhost", "/none")).await.contains("404"));
    step.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_and_a_body_that_is_too_large() {
    if !inside(module_path!(), "an_upstream_that_is_down_and_a_body_that_is_too_large") {
        return;
    }
    let step = open(&to_loopback(1)).await;
    let reply = in_step(&step, || get("packages.example", "/x")).await;
    assert!(reply.starts_with("HTTP/1.1 502"), "{reply}");
    let traffic = step.finish().await;
    let reason = traffic.requests[0].incomplete_reason.as_ref().unwrap();
    assert!(reason.starts_with("the upstream did not answer: "), "{reason}");
    let limited = to_loopback(start()) + "[network.limits]\nbody-bytes = 1000\n";
    let step = open(&limited).await;
    let reply = in_step(&step, || get("packages.example", "/file")).await;
    assert!(reply.len() < 900_000);
    let traffic = step.finish().await;
    assert_eq!(
        traffic.requests[0].incomplete_reason.as_deref(),
        Some("the body is larger than 1000 bytes (limits.body-bytes)")
    );
}
