//! SSH by name. The upstream only has to see the bytes.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener},
    thread,
};

use super::{
    super::RefusalKind,
    client::{connect, in_step, lookup},
    inside, open,
};

fn policy(host: &str, rest: &str) -> String {
    format!("[network]\nallow = []\n[[network.mirror]]\nhost = \"{host}\"\n{rest}\n")
}

/// Takes one connection, greets as a server of SSH does, and gives back what it heard.
fn upstream() -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-server\r\n").unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard
    });
    (port, heard)
}

/// Connects, waits for the server's greeting as some clients do, and greets.
fn say(address: Ipv4Addr) -> Vec<u8> {
    let mut stream = connect((address, 22)).unwrap();
    let mut greeting = vec![0; 16];
    if stream.read_exact(&mut greeting).is_err() {
        return Vec::new();
    }
    let _ = stream.write_all(b"SSH-2.0-step\r\n");
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
    greeting
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_port_22_lets_ssh_through_and_nothing_else_does() {
    if !inside(module_path!(), "a_rule_with_port_22_lets_ssh_through_and_nothing_else_does") {
        return;
    }
    let (port, heard) = upstream();
    let rest = format!("upstream = \"ssh://127.0.0.1:{port}\"");
    let step = open(&policy("git.example:22", &rest)).await;
    let greeting = in_step(&step, || say(lookup("git.example").unwrap())).await;
    assert_eq!(greeting, b"SSH-2.0-server\r\n");
    assert_eq!(heard.join().unwrap(), b"SSH-2.0-step\r\n");
    let _ = in_step(&step, || say(Ipv4Addr::new(192, 0, 2, 7))).await;
    let traffic = step.finish().await;
    let record = &traffic.requests[0];
    assert_eq!((record.method.as_str(), record.url.as_str()), ("CONNECT", "ssh://git.example"));
    assert_eq!(record.incomplete_reason.as_deref(), Some("SSH not inspected"));
    assert!(matches!(traffic.refusals[0].kind, RefusalKind::DirectAddress));

    let step = open(&policy("git.example", "")).await;
    let nothing = in_step(&step, || say(lookup("git.example").unwrap())).await;
    assert_eq!(nothing, b"");
    let traffic = step.finish().await;
    assert!(traffic.requests.is_empty());
    let refusal = traffic.refusals[0].to_string();
    assert!(refusal.contains("host = \"git.example:22\""), "{refusal}");
}
