//! Addresses that change between the look and the use, and answers that take too long.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::*;
use crate::policy::{Policy, mirror::Scheme, network::Decision};

fn policy(text: &str) -> NetworkPolicy {
    let text = format!("[network]\nallow = []\n{text}");
    Policy::parse("touchmark.toml", &text).unwrap().network
}

fn target(policy: &NetworkPolicy, scheme: Scheme, path: &str) -> Target {
    let port = scheme.port();
    match policy.decide(scheme, "files.example", port, "GET", path) {
        Decision::Allow { upstream, .. } => upstream,
        denied @ Decision::Deny { .. } => panic!("{denied:?}"),
    }
}

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Public when it is looked at first, this machine ever after.
fn rebinding(_: &str) -> Vec<SocketAddr> {
    let first = ASKED.fetch_add(1, Ordering::Relaxed) == 0;
    let address = if first { "203.0.113.1:9" } else { "127.0.0.1:9" };
    vec![address.parse().unwrap()]
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let policy =
        policy("limits = { connect-seconds = 1 }\n[[network.mirror]]\nhost = \"files.example\"\n");
    let upstreams =
        Upstreams::resolving(&policy, WayOut::default(), Lookup::Told(rebinding)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = target(&policy, Scheme::Http, "/f");
    let url = format!("http://files.example:{}/f", listener.local_addr().unwrap().port());
    let ask = || upstreams.send(&target, upstreams.request(&target, Method::GET, &url));
    assert!(matches!(ask().await, Err(Unanswered::Broken(_))));
    assert_eq!(ASKED.load(Ordering::Relaxed), 1, "one look for one connection");
    assert!(matches!(ask().await, Err(Unanswered::Private)));
    assert!(matches!(upstreams.connect(&target).await, Err(UpstreamError::Private { .. })));
    assert!(matches!(upstreams.addresses(&target).await, Err(UpstreamError::Private { .. })));
    assert!(listener.accept().is_err(), "a private address was connected to");
}

fn mixed(_: &str) -> Vec<SocketAddr> {
    ["10.0.0.1:1", "203.0.113.7:1", "[::ffff:192.168.0.1]:1"].map(|at| at.parse().unwrap()).into()
}

#[tokio::test]
async fn private_addresses_beside_public_ones_are_left_out() {
    let policy = policy("[[network.mirror]]\nhost = \"files.example\"\n");
    let upstreams = Upstreams::resolving(&policy, WayOut::default(), Lookup::Told(mixed)).unwrap();
    let found = upstreams.addresses(&target(&policy, Scheme::Http, "/f")).await.unwrap();
    assert_eq!(found, ["203.0.113.7:1".parse().unwrap()]);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let kept: Vec<_> = listener.incoming().take(1).collect();
        thread::sleep(Duration::from_secs(60));
        drop(kept);
    });
    let policy = policy(&format!(
        "[[network.mirror]]\nhost = \"files.example\"\nupstream = \"http://127.0.0.1:{port}\"\nlimits = {{ seconds = 1 }}\n"
    ));
    let upstreams = Upstreams::new(&policy, WayOut::default()).unwrap();
    let target = target(&policy, Scheme::Http, "/f");
    let request = upstreams.request(&target, Method::GET, &target.url(None));
    let Err(Unanswered::Broken(reason)) = upstreams.send(&target, request).await else {
        panic!("it was answered");
    };
    assert_eq!(reason, "it took longer than 1 seconds (limits.seconds)");
}
