//! Requests inside TLS, which is opened with a certificate of the build's own authority.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types::ServerName,
};
use tokio_rustls::TlsConnector;

use crate::oci::digest::Digest;

use super::{
    super::{RefusalKind, StepNetwork},
    client::{connect, in_step, lookup},
    inside, open,
    origin::{file, start},
    to_loopback,
};

/// A client that trusts these authorities (DER).
pub(super) fn client(trusted: &[Vec<u8>], protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|one| roots.add(one.clone().into()).unwrap());
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

async fn stream(step: &StepNetwork) -> TcpStream {
    in_step(step, || connect((lookup("packages.example").unwrap(), 443)).unwrap()).await
}

/// Says `request` over HTTP/1.1 in TLS and reads to the end.
async fn say(step: &StepNetwork, request: &'static str) -> String {
    let (stream, config) = (stream(step).await, client(&[step.authority().unwrap()], &[]));
    let talk = move || {
        let name = ServerName::try_from("packages.example").unwrap();
        let mut tls = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
        // What is too large is answered before all of it is there.
        let _ = tls.write_all(request.as_bytes());
        let mut reply = Vec::new();
        // Ours end without a farewell of TLS at times, as most servers do.
        let _ = tls.read_to_end(&mut reply);
        String::from_utf8_lossy(&reply).into_owned()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_inside_tls_is_recorded_with_its_digest() {
    if !inside(module_path!(), "a_file_inside_tls_is_recorded_with_its_digest") {
        return;
    }
    let step = open(&to_loopback(start())).await;
    let request = "GET /file HTTP/1.1\r\nHost: packages.example:443\r\nConnection: close\r\n\r\n";
    let reply = say(&step, request).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{}", &reply[..100]);
    let traffic = step.finish().await;
    let record = &traffic.requests[0];
    assert_eq!(record.url, "https://packages.example/file");
    assert_eq!((record.status, record.sha256), (Some(200), Some(Digest::of(&file()))));
    assert!(record.is_dependency());
    assert_eq!(traffic.refusals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_of_http2_is_for_the_host_of_its_connection() {
    if !inside(module_path!(), "each_stream_of_http2_is_for_the_host_of_its_connection") {
        return;
    }
    let port = start();
    let other =
        to_loopback(port).replace("[network]\nallow = []\n", "").replace("packages", "other");
    let step = open(&(to_loopback(port) + &other)).await;
    let stream = stream(&step).await;
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let config = client(&[step.authority().unwrap()], &[b"h2"]);
    let name = ServerName::try_from("packages.example").unwrap();
    let tls = TlsConnector::from(config).connect(name, stream).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await;
    let (mut sender, connection) = shaken.unwrap();
    tokio::spawn(connection);
    for (host, path, status) in [
        ("packages.example", "/file", StatusCode::OK),
        ("other.example", "/file", StatusCode::MISDIRECTED_REQUEST),
        ("packages.example", "/none", StatusCode::NOT_FOUND),
    ] {
        let request = Request::get(format!("https://{host}{path}")).body(Empty::<Bytes>::new());
        let reply = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(reply.status(), status, "{host}");
        reply.into_body().collect().await.unwrap();
    }
    let other = Request::get("https://packages.example/file").header("host", "other.example");
    let reply = sender.send_request(other.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    drop(sender);
    let traffic = step.finish().await;
    assert_eq!(traffic.requests.len(), 2);
    assert_eq!(traffic.requests[0].sha256, Some(Digest::of(&file())));
    assert_eq!(traffic.refusals.len(), 1);
    assert_eq!(traffic.refusals[0].kind, RefusalKind::OtherHost("other.example".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_out_of_an_opened_connection_are_refused_and_told() {
    if !inside(module_path!(), "ways_out_of_an_opened_connection_are_refused_and_told") {
        return;
    }
    let other = RefusalKind::OtherHost("other.example".into());
    let protocol = |name: &str| {
        let told = format!("it asks for another protocol ({name}), which hides what is fetched");
        RefusalKind::Request(told)
    };
    let cases = [
        ("GET /file HTTP/1.1\r\nHost: other.example\r\n\r\n", "421", other.clone()),
        ("GET https://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n", "421", other),
        (
            "GET /chat HTTP/1.1\r\nHost: packages.example\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\n\r\n",
            "403",
            protocol("websocket"),
        ),
        (
            "CONNECT packages.example:443 HTTP/1.1\r\nHost: packages.example:443\r\n\r\n",
            "403",
            protocol("CONNECT"),
        ),
        (
            "DELETE /file HTTP/1.1\r\nHost: packages.example\r\n\r\n",
            "403",
            RefusalKind::Request("the policy does not allow the method DELETE".into()),
        ),
    ];
    let policy = to_loopback(start());
    for (request, status, kind) in cases {
        let step = open(&policy).await;
        let reply = say(&step, request).await;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{request}{reply}");
        let traffic = step.finish().await;
        assert_eq!(traffic.requests, []);
        assert_eq!(traffic.refusals.len(), 1, "{traffic:?}");
        assert_eq!((traffic.refusals[0].port, &traffic.refusals[0].kind), (443, &kind));
    }
    let step = open(&policy).await;
    let large =
        format!("GET / HTTP/1.1\r\nHost: packages.example\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    let reply = say(&step, large.leak()).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
    assert_eq!(step.finish().await.requests, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_trust_the_authority_is_told_what_to_do() {
    if !inside(module_path!(), "a_client_that_does_not_trust_the_authority_is_told_what_to_do") {
        return;
    }
    let step = open(&to_loopback(start())).await;
    let (stream, config) = (stream(&step).await, client(&[], &[]));
    let talk = move || {
        let name = ServerName::try_from("packages.example").unwrap();
        let mut tls = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
        tls.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
    let traffic = step.finish().await;
    assert_eq!(
        traffic.refusals[0].to_string(),
        "line 7: no connection to 'packages.example:443': the client does not trust the build's \
         certificate (UnknownCA)\nhelp: let it read the certificates that SSL_CERT_FILE names in the \
         step, or leave its TLS unopened, and the build not hermetic, in touchmark.toml:\n  \
         [[network.mirror]]\n  host = \"packages.example\"\n  tls = \"tunnel\""
    );
}
