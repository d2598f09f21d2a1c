//! What a step may try and must not reach.

use std::{
    io::ErrorKind,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
};

use hickory_proto::rr::RecordType;

use super::{
    super::RefusalKind,
    client::{ask, connect, converse, in_step, lookup, ping},
    inside, open,
    origin::start,
    to_loopback,
};

/// A name without a file, of the builder's own network namespace.
fn abstract_name() -> SocketAddr {
    let name = format!("touchmark-escape-{}", std::process::id());
    SocketAddr::from_abstract_name(name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_served_ports_answer() {
    if !inside(module_path!(), "only_the_served_ports_answer") {
        return;
    }
    let registry = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = registry.local_addr().unwrap().port();
    registry.set_nonblocking(true).unwrap();
    let _here = UnixListener::bind_addr(&abstract_name()).unwrap();
    UnixStream::connect_addr(&abstract_name()).unwrap();
    let step = open(&to_loopback(start())).await;
    in_step(&step, move || {
        // Nothing answers it; by the time of the rest it has certainly gone by.
        ping([203, 0, 113, 7]);
        // The host's loopback, the gateway, foreign addresses, a served name: no other port is there.
        let named = lookup("packages.example").unwrap();
        let addresses = [[127, 0, 0, 1], [10, 0, 2, 2], [198, 51, 100, 7], named.octets()];
        for address in addresses {
            for port in [port, 23, 5000, 8080] {
                let refused = connect((address, port)).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{address:?} {port}");
            }
        }
        for server in ["198.51.100.53:53", "203.0.113.1:53", "127.0.0.1:53", "10.0.2.1:53"] {
            let refused = ask(server, "packages.example.", RecordType::A).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{server}");
            let address: std::net::SocketAddr = server.parse().unwrap();
            assert_eq!(connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect("198.51.100.7:123").unwrap();
        socket.send(b"x").unwrap();
        assert_eq!(socket.recv(&mut [0; 9]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let foreign = UnixStream::connect_addr(&abstract_name()).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::ConnectionRefused);
        connect("[2001:db8::1]:80".parse::<std::net::SocketAddr>().unwrap()).unwrap_err();
        connect("[::1]:80".parse::<std::net::SocketAddr>().unwrap()).unwrap_err();
    })
    .await;
    assert_eq!(registry.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let refusals = step.finish().await.refusals;
    let told: Vec<String> = refusals.iter().map(|one| format!("{one}")).collect();
    let told = told.join("\n");
    for wanted in [
        "'10.0.2.2:5000': TCP is not carried there",
        "'198.51.100.7:23': TCP is not carried there",
        "'packages.example:8080': TCP is not carried there",
        "'198.51.100.53:53': DNS is not carried there",
        "'198.51.100.53:53': TCP is not carried there",
        "'198.51.100.7:123': UDP is not carried there",
        "'203.0.113.7': ping is not carried there",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    // Each once: three addresses with four ports, two name servers twice, one datagram, one echo request.
    assert_eq!(refusals.len(), 3 * 4 + 2 * 2 + 1 + 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_name_is_refused_and_told() {
    if !inside(module_path!(), "an_address_without_a_name_is_refused_and_told") {
        return;
    }
    let step = open(&to_loopback(start())).await;
    in_step(&step, || {
        for address in [[198, 51, 100, 7], [10, 0, 2, 2], [198, 18, 0, 1]] {
            let reply = converse((address, 80), "GET / HTTP/1.1\r\nHost: packages.example\r\n\r\n");
            assert!(reply.starts_with("HTTP/1.1 403"), "{reply}");
        }
        let closed = converse(([198, 51, 100, 7], 443), "hello");
        assert!(closed.len() <= 7, "{closed}");
    })
    .await;
    let refusals = step.finish().await.refusals;
    assert!(refusals.iter().all(|refusal| refusal.kind == RefusalKind::DirectAddress));
    assert_eq!(refusals.len(), 4);
    assert_eq!(
        refusals[0].to_string(),
        "line 7: no connection to '198.51.100.7:80': it was reached by address, not by an allowed \
         name\nhelp: ask for the host by its name, and let the policy allow that name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_do_not_see_each_other() {
    if !inside(module_path!(), "steps_do_not_see_each_other") {
        return;
    }
    let (one, other) = (open(&to_loopback(start())).await, open("[network]\nallow = []").await);
    let address = in_step(&one, || lookup("packages.example").unwrap()).await;
    let listener = in_step(&one, || TcpListener::bind("10.0.2.1:7000").unwrap()).await;
    let reply = in_step(&other, move || {
        connect(([10, 0, 2, 1], 7000)).unwrap_err();
        converse((address, 80), "GET /none HTTP/1.1\r\nHost: packages.example\r\n\r\n")
    })
    .await;
    assert!(reply.starts_with("HTTP/1.1 403"), "{reply}");
    drop(listener);
    assert_eq!(one.finish().await.refusals.len(), 0);
    assert_eq!(other.finish().await.refusals.len(), 1);
}
