//! Steps that are answered through the download store.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::{
    content::{index::Index, store::ContentStore},
    downloads::{Breaches, DownloadStore, Lock, Terms},
    oci::digest::Digest,
    policy::Policy,
};

use super::{
    super::{Egress, RequestRecord, StepTraffic, WayOut},
    client::{connect, exchange, get, in_step, lookup},
    inside, origin, to_loopback,
};

/// What the upstream has at `/file` with its entity tag, and the heads of the requests that it saw.
#[derive(Default)]
struct Upstream {
    file: Mutex<(String, Vec<u8>)>,
    heads: Mutex<Vec<String>>,
}

impl Upstream {
    fn start(body: &[u8]) -> (Arc<Self>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = Arc::new(Self::default());
        upstream.set("\"1\"", body);
        let served = upstream.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let served = served.clone();
                thread::spawn(move || served.serve(stream.unwrap()));
            }
        });
        (upstream, port)
    }

    fn set(&self, etag: &str, body: &[u8]) {
        *self.file.lock().unwrap() = (etag.into(), body.into());
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap_or(0) == 0 {
                    return;
                }
            }
            self.heads.lock().unwrap().push(head.to_lowercase());
            let (etag, body) = self.file.lock().unwrap().clone();
            let same = head.to_lowercase().contains(&format!("if-none-match: {etag}"));
            let path = head.split(' ').nth(1).unwrap();
            let (status, body) = match path {
                _ if path.starts_with("/none") => ("404 Not Found", b"none".to_vec()),
                _ if same => ("304 Not Modified", Vec::new()),
                _ => ("200 OK", body),
            };
            let length = if status.starts_with("304") {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", body.len())
            };
            let reply = format!("HTTP/1.1 {status}\r\n{length}ETag: {etag}\r\n\r\n");
            stream.write_all(reply.as_bytes()).unwrap();
            if path.starts_with("/slow") {
                thread::sleep(Duration::from_millis(300));
            }
            if !head.starts_with("HEAD") {
                let _ = stream.write_all(&body);
            }
        }
    }
}

fn store(dir: &Path) -> DownloadStore {
    let content = Arc::new(ContentStore::open(dir.join("content")).unwrap());
    DownloadStore::new(content, Arc::new(Index::open(&dir.join("index"))))
}

/// What a step that does `work` gets and leaves in the record, in a build of its own.
async fn build<T: Send + 'static>(
    port: u16,
    store: &DownloadStore,
    terms: Terms,
    work: impl FnOnce() -> T + Send + 'static,
) -> (T, StepTraffic) {
    let policy = Policy::parse("touchmark.toml", &to_loopback(port)).unwrap();
    let egress =
        Egress::new(Arc::new(policy.network), Some(store.clone()), terms, WayOut::default());
    let step = egress.open_step(origin()).await.unwrap();
    let got = in_step(&step, work).await;
    (got, step.finish().await)
}

fn fetch(path: &'static str) -> impl FnOnce() -> String + Send + 'static {
    move || get("packages.example", path)
}

fn with(path: &'static str, header: &'static str) -> impl FnOnce() -> String + Send + 'static {
    move || {
        let head = format!("GET {path} HTTP/1.1\r\nHost: packages.example\r\n{header}");
        exchange("packages.example", &format!("{head}Connection: close\r\n\r\n"))
    }
}

/// Without the time at which it was given.
fn undated(reply: &str) -> String {
    reply.lines().filter(|line| !line.starts_with("date:")).collect()
}

const OFFLINE: Terms = Terms { offline: true, lock: None };

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_asked_about_and_not_fetched_again() {
    if !inside(module_path!(), "what_is_kept_is_asked_about_and_not_fetched_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let body = vec![b'x'; 300_000];
    let (upstream, port) = Upstream::start(&body);
    let (first, told) = build(port, &store, Terms::default(), fetch("/file")).await;
    let (second, again) = build(port, &store, Terms::default(), fetch("/file")).await;
    assert_eq!(first.len(), second.len());
    assert!(second.starts_with("HTTP/1.1 200 OK\r\n") && second.contains("\r\netag: \"1\"\r\n"));
    let seen = upstream.seen();
    assert!(!seen[0].contains("if-none-match") && seen[1].contains("if-none-match: \"1\""));
    for traffic in [&told, &again] {
        let [request] = traffic.requests.as_slice() else { panic!("{traffic:?}") };
        assert!(request.is_dependency(), "{request:?}");
        assert_eq!((request.size, request.sha256), (300_000, Some(Digest::of(&body))));
    }
    upstream.set("\"2\"", b"renewed");
    let (third, _) = build(port, &store, Terms::default(), fetch("/file")).await;
    assert!(third.ends_with("renewed"));
    // Damaged bytes are not asked about.
    std::fs::write(store.content().path(&Digest::of(b"renewed")), b"Renewed").unwrap();
    upstream.seen();
    let (fourth, _) = build(port, &store, Terms::default(), fetch("/file")).await;
    assert!(fourth.ends_with("renewed"));
    assert!(!upstream.seen()[0].contains("if-none-match: \"2\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_and_a_condition_are_answered_of_the_whole() {
    if !inside(module_path!(), "a_part_and_a_condition_are_answered_of_the_whole") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (upstream, port) = Upstream::start(b"0123456789");
    for (header, start, end) in [
        ("Range: bytes=2-4\r\n", "HTTP/1.1 206", "234"),
        ("Range: bytes=20-\r\n", "HTTP/1.1 416", "\r\n\r\n"),
        ("If-None-Match: \"1\"\r\n", "HTTP/1.1 304", "\r\n\r\n"),
        ("If-None-Match: \"0\"\r\n", "HTTP/1.1 200", "0123456789"),
        ("Range: bytes=0-1\r\nIf-Range: \"0\"\r\n", "HTTP/1.1 200", "0123456789"),
    ] {
        let (reply, traffic) = build(port, &store, Terms::default(), with("/file", header)).await;
        assert!(reply.starts_with(start) && reply.ends_with(end), "{header}{reply}");
        let [request] = traffic.requests.as_slice() else { panic!("{traffic:?}") };
        assert!(request.is_dependency(), "{request:?}");
        assert_eq!(request.sha256, Some(Digest::of(b"0123456789")));
        let (offline, _) = build(port, &store, OFFLINE, with("/file", header)).await;
        let undated =
            |reply: &str| reply.lines().filter(|l| !l.starts_with("date:")).collect::<String>();
        assert_eq!(undated(&offline), undated(&reply));
    }
    assert!(upstream.seen().iter().all(|head| !head.contains("range: bytes")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_twice_at_once_is_fetched_once() {
    if !inside(module_path!(), "what_is_asked_for_twice_at_once_is_fetched_once") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (upstream, port) = Upstream::start(&vec![b'y'; 1_000_000]);
    let ((), traffic) = build(port, &store(dir.path()), Terms::default(), || {
        let fetches: Vec<_> = (0..8).map(|_| thread::spawn(fetch("/slow"))).collect();
        for reply in fetches {
            assert!(reply.join().unwrap().len() > 1_000_000);
        }
    })
    .await;
    assert_eq!(upstream.seen().len(), 1);
    assert!(traffic.requests.len() == 8 && traffic.requests.iter().all(|one| one.complete));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_the_store_answers_and_names_what_it_does_not_have() {
    let name = "without_a_network_the_store_answers_and_names_what_it_does_not_have";
    if !inside(module_path!(), name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (upstream, port) = Upstream::start(b"precious");
    let head = || exchange("packages.example", "HEAD /file HTTP/1.0\r\n\r\n");
    let all = move || [get("packages.example", "/file"), get("packages.example", "/none"), head()];
    let (online, _) = build(port, &store, Terms::default(), all).await;
    upstream.seen();
    let (offline, traffic) = build(port, &store, OFFLINE, all).await;
    assert_eq!(online.map(|reply| undated(&reply)), offline.map(|reply| undated(&reply)));
    assert!(traffic.breaches.is_empty() && traffic.requests.iter().all(|one| one.complete));
    let (missing, traffic) = build(port, &store, OFFLINE, || {
        get("packages.example", "/a");
        get("packages.example", "/b")
    })
    .await;
    assert!(missing.starts_with("HTTP/1.1 502"), "{missing}");
    assert_eq!(
        Breaches(traffic.breaches).to_string(),
        "http://packages.example/a is not in the store\nhttp://packages.example/b is not in the store\n\
         help: build once without --offline, which brings what is missing"
    );
    let digest = Digest::of(b"precious");
    std::fs::write(store.content().path(&digest), b"Precious").unwrap();
    let (reply, traffic) = build(port, &store, OFFLINE, fetch("/file")).await;
    assert!(!reply.contains("Precious"), "{reply}");
    assert_eq!(
        Breaches(traffic.breaches).to_string(),
        format!(
            "http://packages.example/file is damaged in the store: its bytes no longer are {digest}\n\
             help: build once without --offline, which brings what is missing"
        )
    );
    assert_eq!(upstream.seen(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_is_locked_does_not_reach_the_step() {
    if !inside(module_path!(), "what_is_not_as_it_is_locked_does_not_reach_the_step") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (upstream, port) = Upstream::start(b"as it was");
    let (old, new) = (Digest::of(b"as it was"), Digest::of(b"altered"));
    let url = "http://packages.example/file";
    let text = format!("version = 1\n[[file]]\nurl = \"{url}\"\ndigest = \"{old}\"\n");
    let lock = Some(Arc::new(Lock::parse("touchmark.lock", &text).unwrap()));
    let locked = || Terms { offline: false, lock: lock.clone() };
    let (reply, traffic) = build(port, &store, locked(), fetch("/file")).await;
    assert!(reply.ends_with("as it was") && traffic.breaches.is_empty(), "{reply}");
    upstream.set("\"2\"", b"altered");
    let (reply, traffic) = build(port, &store, locked(), fetch("/file")).await;
    assert!(reply.starts_with("HTTP/1.1 502") && !reply.ends_with("altered"), "{reply}");
    assert_eq!(
        Breaches(traffic.breaches).to_string(),
        format!(
            "{url} is not what it was\n  touchmark.lock: {old}\n  found: {new}\n\
             help: if the new bytes are meant, write the lock file anew: touchmark build --lock"
        )
    );
    // What is pinned is still there for who has no network.
    let (reply, _) = build(port, &store, Terms { offline: true, ..locked() }, fetch("/file")).await;
    assert!(reply.ends_with("as it was"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_breaks_off_is_fetched_to_its_end() {
    if !inside(module_path!(), "what_a_client_breaks_off_is_fetched_to_its_end") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (store, body) = (store(dir.path()), vec![b'x'; 3 << 20]);
    let (_, port) = Upstream::start(&body);
    // One client waits for the head of the answer, the other one does not.
    let work = || {
        for (path, waits) in [("/slow/1", true), ("/slow/2", false)] {
            let mut stream = connect((lookup("packages.example").unwrap(), 80)).unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: packages.example\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            if waits {
                stream.read_exact(&mut [0; 12]).unwrap();
            } else {
                thread::sleep(Duration::from_millis(100));
            }
        }
    };
    let ((), traffic) = build(port, &store, Terms::default(), work).await;
    let known = |record: &RequestRecord| (record.complete, record.size, record.sha256);
    let whole = (true, 3 << 20, Some(Digest::of(&body)));
    assert_eq!(traffic.requests.iter().map(known).collect::<Vec<_>>(), [whole; 2]);
}
