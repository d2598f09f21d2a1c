//! TLS by server name. The upstream only has to see the bytes; a real handshake is the client's affair.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::ring, pki_types::ServerName};

use super::{
    super::RefusalKind,
    client::{connect, in_step, lookup},
    inside, open,
};

/// The first flight of a client for `name`.
fn hello(name: &'static str) -> Vec<u8> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Takes one connection, answers with what it got in upper case, and ends.
fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got.make_ascii_uppercase();
        stream.write_all(&got).unwrap();
    });
    port
}

fn policy(rest: &str) -> String {
    format!(
        "[network]\nallow = []\n[[network.mirror]]\nhost = \"packages.example\"\ntls = \"tunnel\"\n{rest}\n"
    )
}

/// Sends `bytes` in two pieces to port 443 of packages.example and reads until the end.
fn say(bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect((lookup("packages.example").unwrap(), 443)).unwrap();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    stream.write_all(first).unwrap();
    thread::sleep(std::time::Duration::from_millis(20));
    let _ = stream.write_all(second);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_name_is_tunnelled_and_recorded_as_such() {
    if !inside(module_path!(), "an_allowed_name_is_tunnelled_and_recorded_as_such") {
        return;
    }
    let port = upstream();
    let step = open(&policy(&format!("upstream = \"https://127.0.0.1:{port}\""))).await;
    let (sent, reply) = in_step(&step, || {
        let mut bytes = hello("packages.example");
        bytes.extend(b"and more");
        let reply = say(&bytes);
        (bytes, reply)
    })
    .await;
    assert_eq!(reply, sent.to_ascii_uppercase());
    let traffic = step.finish().await;
    let record = &traffic.requests[0];
    assert_eq!(
        (record.method.as_str(), record.url.as_str()),
        ("CONNECT", "https://packages.example")
    );
    assert_eq!(record.fetched_url, format!("https://127.0.0.1:{port}"));
    assert_eq!((record.size, record.sent), (sent.len() as u64, sent.len() as u64));
    assert_eq!(record.incomplete_reason.as_deref(), Some("TLS not inspected"));
    assert!(!record.complete && record.sha256.is_none());
    assert_eq!(traffic.refusals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_for_this_name_gets_an_alert() {
    if !inside(module_path!(), "what_is_not_tls_for_this_name_gets_an_alert") {
        return;
    }
    let cases: [(String, Vec<u8>, RefusalKind); 5] = [
        (policy(""), hello("other.example"), RefusalKind::OtherHost("other.example".into())),
        (policy(""), hello("192.0.2.1"), RefusalKind::NoServerName),
        (policy(""), b"GET / HTTP/1.1\r\n\r\n".to_vec(), RefusalKind::NoServerName),
        (policy(""), [22, 3, 1, 0x3f, 0].repeat(8000), RefusalKind::NoServerName),
        (
            policy("upstream = \"http://127.0.0.1:1\""),
            hello("packages.example"),
            RefusalKind::Request("the rule has paths or another upstream, which TLS hides".into()),
        ),
    ];
    for (policy, bytes, kind) in cases {
        let step = open(&policy).await;
        let reply = in_step(&step, move || say(&bytes)).await;
        assert!(reply.is_empty() || reply == [21, 3, 3, 0, 2, 2, 49], "{reply:?}");
        let traffic = step.finish().await;
        assert_eq!(traffic.requests, []);
        assert_eq!(traffic.refusals.len(), 1, "{traffic:?}");
        assert_eq!(traffic.refusals[0].kind, kind);
    }
}
