//! The step's name server (RFC 1035): made-up addresses for names that the policy covers, NXDOMAIN
//! for the rest. Nothing is ever asked outside, so nothing can be carried out in a name.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::policy::{glob::is_dns_name, network::remedy};

use super::{
    dns_message::{Answer, reply},
    record::RefusalKind,
    step::Step,
};

/// Answers datagrams until the task is dropped.
pub(super) async fn serve_udp(socket: UdpSocket, step: Arc<Step>) {
    let mut buffer = [0; 4096];
    // A receive error is that of one sender (ICMP); the next datagram may be fine.
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = reply(&buffer[..length], |name| answer(name, &step)) {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

/// Answers the queries of one connection (RFC 7766), each with its two bytes of length.
pub(super) async fn serve_tcp(mut stream: TcpStream, step: Arc<Step>) {
    // Longer than for a ClientHello no client is waited for, neither for its query nor until it takes the answer.
    let patience = step.patience().hello;
    while let Ok(Some(query)) = timeout(patience, read(&mut stream)).await {
        let Some(reply) = reply(&query, |name| answer(name, &step)) else { return };
        let Ok(length) = u16::try_from(reply.len()) else { return };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend(reply);
        if !timeout(patience, stream.write_all(&framed)).await.is_ok_and(|sent| sent.is_ok()) {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut query = vec![0; length.into()];
    stream.read_exact(&mut query).await.ok()?;
    Some(query)
}

/// What `name`, in lower case and without a dot at its end, is to this step.
fn answer(name: &str, step: &Step) -> Answer {
    if !is_dns_name(name) {
        return Answer::Unknown;
    }
    if step.policy().knows(name) {
        let Some(address) = step.names().address(name) else { return Answer::Failed };
        step.recorder().resolved(name);
        return Answer::Address(address);
    }
    // Reverse look-ups and the services of names (`_http._tcp.packages.example`, as apt asks) are
    // courtesy questions; the name that is meant is asked for on its own.
    let plain = name.trim_start_matches(|c| c != '.').trim_start_matches('.');
    let courtesy = name.ends_with(".in-addr.arpa")
        || name.ends_with(".ip6.arpa")
        || (name.starts_with('_') && plain.contains('.'));
    // A bare word is the machine's own name or a search domain's stump, never a host of the Internet.
    if !courtesy && name.contains('.') {
        step.recorder().refuse(name, 53, RefusalKind::UnknownName, remedy(name));
    }
    Answer::Unknown
}
