//! The machine's proxy: steps go through it and never see it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use super::{
    super::{StepTraffic, WayOut},
    client::{connect, converse, get, in_step, lookup},
    egress_by, inside, origin,
    origin::start,
};
use crate::proxy::Proxies;

/// A proxy that leads to one server, whatever it is asked for, and keeps the heads that it got.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `login` is the value of Proxy-Authorization that it wants.
    fn start(behind: u16, login: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = seen.clone();
                thread::spawn(move || Self::serve(stream.unwrap(), behind, login, &seen));
            }
        });
        Self { port, heads }
    }

    fn serve(mut stream: TcpStream, behind: u16, login: Option<&str>, seen: &Mutex<Vec<String>>) {
        let mut head = String::new();
        let mut byte = [0];
        while !head.ends_with("\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(char::from(byte[0]));
        }
        seen.lock().unwrap().push(head.clone());
        let header = |line: &str| Some(line.strip_prefix("proxy-authorization: ")?.to_owned());
        let given = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            header(&format!("{}: {value}", name.to_ascii_lowercase()))
        });
        if given.as_deref() != login {
            let refusal = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(refusal).unwrap();
            return;
        }
        let mut server = TcpStream::connect(("127.0.0.1", behind)).unwrap();
        match head.strip_prefix("GET http://") {
            Some(rest) => {
                let path = &rest[rest.find('/').unwrap()..];
                server.write_all(format!("GET {path}").as_bytes()).unwrap();
            }
            None => stream.write_all(b"HTTP/1.1 200 Well\r\n\r\n").unwrap(),
        }
        let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut server, &mut stream);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn way(port: u16, login: &str) -> WayOut {
    let address = format!("http://{login}127.0.0.1:{port}");
    let read = |name: &str| matches!(name, "ALL_PROXY").then(|| address.clone());
    WayOut { proxies: Proxies::read(read).unwrap(), ..WayOut::default() }
}

const POLICY: &str = "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example\"\n\
                      [[network.mirror]]\nhost = \"secure.example\"\nupstream = \"https://mirror.example\"\n\
                      [[network.mirror]]\nhost = \"db.example:5432\"\ntls = \"tunnel\"\n";

async fn run<T: Send + 'static>(
    way: WayOut,
    work: impl FnOnce() -> T + Send + 'static,
) -> (T, StepTraffic) {
    let step = egress_by(POLICY, way).open_step(origin()).await.unwrap();
    let done = in_step(&step, work).await;
    (done, step.finish().await)
}

fn echo() -> (String, String) {
    let packages = get("packages.example", "/echo");
    let mut stream = connect((lookup("db.example").unwrap(), 5432)).unwrap();
    stream.write_all(b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    (packages, String::from_utf8_lossy(&all).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_tunnels_go_through_it_with_its_login() {
    if !inside(module_path!(), "requests_and_tunnels_go_through_it_with_its_login") {
        return;
    }
    // user:hidden
    let proxy = Proxy::start(start(), Some("Basic dXNlcjpoaWRkZW4="));
    let ((packages, tunnel), traffic) = run(way(proxy.port, "user:hidden@"), echo).await;
    assert!(packages.starts_with("HTTP/1.1 200 OK\r\n"), "{packages}");
    assert!(tunnel.starts_with("HTTP/1.1 200 OK\r\n"), "{tunnel}");
    let heads = proxy.heads();
    assert!(heads[0].starts_with("GET http://packages.example/echo HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[1].starts_with("CONNECT db.example:5432 HTTP/1.1\r\n"), "{heads:?}");
    let record = &traffic.requests[1];
    assert_eq!((&*record.method, &*record.url), ("CONNECT", "tcp://db.example:5432"));
    assert_eq!(record.incomplete_reason.as_deref(), Some("TCP not inspected"));
    assert_eq!((record.sent, record.rule.as_str()), (41, "policy: db.example:5432"));
    assert_eq!(record.size, u64::try_from(tunnel.len()).unwrap());
    let told = format!("{traffic:?}");
    assert!(!told.contains("hidden") && !told.contains("dXNlcjpoaWRkZW4"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_named_to_the_step_and_in_the_report() {
    if !inside(module_path!(), "a_proxy_that_refuses_is_named_to_the_step_and_in_the_report") {
        return;
    }
    let proxy = Proxy::start(1, Some("Basic other"));
    let ask = || {
        let plain = get("packages.example", "/file");
        let request = "GET /file HTTP/1.1\r\nHost: secure.example\r\nConnection: close\r\n\r\n";
        (plain, converse((lookup("secure.example").unwrap(), 80), request))
    };
    let told = |replies: (String, String), traffic: &StepTraffic, port: u16| {
        let body = |reply: String| reply.split("\r\n\r\n").last().unwrap().to_owned();
        let refusals: String = traffic.refusals.iter().map(|told| format!("{told}\n")).collect();
        format!("{}{}{refusals}", body(replies.0), body(replies.1))
            .replace(&format!(":{port}"), ":PORT")
    };
    let (replies, traffic) = run(way(proxy.port, "user:hidden@"), ask).await;
    assert_eq!(told(replies, &traffic, proxy.port), include_str!("proxied/wants-login.txt"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let (replies, traffic) = run(way(closed, "user:hidden@"), ask).await;
    assert_eq!(told(replies, &traffic, closed), include_str!("proxied/refused.txt"));
}
