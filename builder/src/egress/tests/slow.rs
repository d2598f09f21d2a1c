//! Clients and upstreams that keep others waiting. The policy of these tests leaves a second between two bytes.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use http_body_util::Empty;
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsConnector;

use super::{
    client::{connect, converse, get, in_step, lookup},
    egress, inside,
    inspect::client,
    open, origin,
    origin::start,
    to_loopback,
};

/// A policy for which a second is long.
fn hasty(port: u16) -> String {
    to_loopback(port) + "[network.limits]\nidle-seconds = 1\n"
}

/// Sends a byte now and then, without end, until the other side has enough of it. False when it never has.
fn is_cut_off(mut stream: TcpStream, first: &[u8], drop: u8) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    stream.write_all(first).unwrap();
    for _ in 0..200 {
        let mut answer = [0; 512];
        match stream.read(&mut answer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
        if stream.write_all(&[drop]).is_err() {
            return true;
        }
    }
    false
}

/// Does the connection end although nothing is sent or taken any more?
fn ends_in_silence(mut stream: TcpStream, sent: &[u8]) -> bool {
    stream.write_all(sent).unwrap();
    // Nothing is read meanwhile: what comes fills the buffers.
    thread::sleep(Duration::from_millis(2500));
    let mut taken = 0;
    let mut piece = vec![0; 1 << 20];
    // What is in the buffers is less than this.
    while taken < 64 << 20 {
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(length) => taken += length,
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
    false
}

/// An upstream that begins its answers as the path says and then does nothing, or never ends.
fn dawdler() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = vec![0; 1 << 16];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
                match request.split(' ').nth(1) {
                    Some("/head") => drop(stream.write_all(b"HTTP/1.1 200")),
                    Some("/body") => drop(stream.write_all(head.as_bytes())),
                    Some("/endless") => {
                        let _ = stream.write_all(head.as_bytes());
                        let more = vec![b' '; 1 << 16];
                        while stream.write_all(&more).is_ok() {}
                    }
                    _ => {}
                }
                thread::sleep(Duration::from_secs(60));
            });
        }
    });
    port
}

fn all(works: Vec<Box<dyn FnOnce() -> bool + Send>>) -> Vec<bool> {
    let started: Vec<_> = works.into_iter().map(thread::spawn).collect();
    started.into_iter().map(|work| work.join().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_dawdle_are_cut_off() {
    if !inside(module_path!(), "clients_that_dawdle_are_cut_off") {
        return;
    }
    let step = open(&hasty(dawdler())).await;
    let ends = in_step(&step, || {
        let host: Ipv4Addr = lookup("packages.example").unwrap();
        let to = move |port| connect((host, port)).unwrap();
        let head = "GET /file HTTP/1.1\r\nHost: packages.example\r\nX: ";
        let post = "POST /post HTTP/1.1\r\nHost: packages.example\r\nContent-Length: 9\r\n\r\n1";
        let endless = "GET /endless HTTP/1.1\r\nHost: packages.example\r\n\r\n";
        all(vec![
            // The head of a request, a ClientHello and a query, a byte at a time.
            Box::new(move || is_cut_off(to(80), head.as_bytes(), b'a')),
            Box::new(move || is_cut_off(to(443), &[22, 3, 1, 15, 0, 1, 0, 14, 252, 3, 3], 7)),
            Box::new(|| is_cut_off(connect(([10, 0, 2, 2], 53)).unwrap(), &[2, 0], 0)),
            // No request, no handshake, half a body, an answer that is not taken.
            Box::new(move || ends_in_silence(to(80), b"")),
            Box::new(move || ends_in_silence(to(443), b"")),
            Box::new(move || ends_in_silence(to(80), post.as_bytes())),
            Box::new(move || ends_in_silence(to(80), endless.as_bytes())),
        ])
    })
    .await;
    assert_eq!(ends, [true; 7]);
    let traffic = step.finish().await;
    // Both sides of half a body wait, so either may give up first.
    let late = ["the step sent nothing for 1 seconds", "timed out"];
    for (path, reasons) in [("/post", &late[..]), ("/endless", &["the step broke off"])] {
        let record = traffic.requests.iter().find(|record| record.url.ends_with(path)).unwrap();
        let told = record.incomplete_reason.as_deref().unwrap_or_default();
        let known = reasons.iter().any(|reason| told.contains(reason));
        assert!(!record.complete && known, "{record:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_http2_without_use_are_closed_whatever_they_keep_open() {
    if !inside(
        module_path!(),
        "connections_of_http2_without_use_are_closed_whatever_they_keep_open",
    ) {
        return;
    }
    let step = open(&hasty(start())).await;
    let config = client(&[step.authority().unwrap()], &[b"h2"]);
    let shake = async |takes: u32| {
        let stream =
            in_step(&step, || connect((lookup("packages.example").unwrap(), 443)).unwrap()).await;
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let name = rustls::pki_types::ServerName::try_from("packages.example").unwrap();
        let tls = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await.unwrap();
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(takes);
        let (sender, connection) = client.handshake(TokioIo::new(tls)).await.unwrap();
        (sender, tokio::spawn(connection))
    };
    // One that asks for nothing but answers pings, and one that takes nothing of the answer.
    let (idle, idles) = shake(1 << 16).await;
    let (mut stalled, stalls) = shake(1).await;
    let request = Request::get("https://packages.example/file").body(Empty::<Bytes>::new());
    let reply = stalled.send_request(request.unwrap()).await.unwrap();
    let _ = idles.await.unwrap();
    let _ = stalls.await.unwrap();
    drop((idle, stalled, reply));
    let traffic = step.finish().await;
    let reasons = traffic.requests.iter().map(|record| record.incomplete_reason.as_deref());
    assert_eq!(reasons.collect::<Vec<_>>(), [Some("the step broke off")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_that_dawdle_are_given_up() {
    if !inside(module_path!(), "upstreams_that_dawdle_are_given_up") {
        return;
    }
    let step = open(&hasty(dawdler())).await;
    let replies = in_step(&step, || {
        let paths = ["/nothing", "/head", "/body"];
        let asked = paths.map(|path| thread::spawn(move || get("packages.example", path)));
        asked.map(|reply| reply.join().unwrap())
    })
    .await;
    let [nothing, head, body] = &replies;
    assert!(nothing.starts_with("HTTP/1.1 502") && head.starts_with("HTTP/1.1 502"), "{replies:?}");
    assert!(body.starts_with("HTTP/1.1 200") && body.ends_with("\r\n\r\n"), "{body}");
    let traffic = step.finish().await;
    assert_eq!(traffic.requests.len(), 3);
    for record in traffic.requests {
        let reason = record.incomplete_reason.unwrap_or_default();
        assert!(reason.starts_with("the upstream ") && reason.contains("timed out"), "{reason}");
    }
}

/// All places of a step are taken by connections that do nothing: another step does not notice, and the step itself
/// is served again when they are cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_takes_places_from_itself_alone() {
    if !inside(module_path!(), "a_step_takes_places_from_itself_alone") {
        return;
    }
    let egress = egress(&hasty(start()));
    let (greedy, other) =
        (egress.open_step(origin()).await.unwrap(), egress.open_step(origin()).await.unwrap());
    let held = in_step(&greedy, || {
        let host = lookup("packages.example").unwrap();
        (0..300).map(|_| connect((host, 443)).unwrap()).collect::<Vec<_>>()
    })
    .await;
    let reply = in_step(&other, || get("packages.example", "/file")).await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{}", &reply[..40]);
    let late = in_step(&greedy, || {
        let request = "GET /none HTTP/1.1\r\nHost: packages.example\r\nConnection: close\r\n\r\n";
        converse((lookup("packages.example").unwrap(), 80), request)
    })
    .await;
    assert!(late.starts_with("HTTP/1.1 404"), "{late}");
    drop(held);
    greedy.finish().await;
    other.finish().await;
}
