//! What a step does: plain sockets from inside its network namespace.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    str::FromStr,
    thread,
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, Socket, Type};

use super::StepNetwork;

const PATIENCE: Duration = Duration::from_secs(5);

/// Runs `work` on a thread inside the step's namespace, opened by its path as a runtime would.
pub(super) async fn in_step<T: Send + 'static>(
    network: &StepNetwork,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let path = network.netns_path();
    let run = move || {
        let inside = move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::spawn(inside).join().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub(super) fn query(name: &str, wanted: RecordType) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).unwrap(), wanted));
    message.to_vec().unwrap()
}

/// Code and addresses of an answer.
pub(super) fn understood(reply: &[u8]) -> (ResponseCode, Vec<Ipv4Addr>) {
    let message = Message::from_vec(reply).unwrap();
    assert_eq!(message.metadata.id, 7);
    let addresses = message.answers.iter().filter_map(|record| match record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    });
    (message.metadata.response_code, addresses.collect())
}

/// Asks the server at `server` over UDP.
pub(super) fn ask(server: &str, name: &str, wanted: RecordType) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(server)?;
    socket.send(&query(name, wanted))?;
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

pub(super) fn lookup(name: &str) -> Option<Ipv4Addr> {
    let reply = ask("10.0.2.2:53", name, RecordType::A).unwrap();
    understood(&reply).1.first().copied()
}

pub(super) fn connect(address: impl Into<SocketAddr>) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Resolves `host`, sends `request` to its port 80 and reads until the end.
pub(super) fn exchange(host: &str, request: &str) -> String {
    let address = lookup(host).unwrap();
    converse((address, 80), request)
}

pub(super) fn converse(address: impl Into<SocketAddr>, request: &str) -> String {
    let mut stream = connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = Vec::new();
    // A connection that breaks off has still said something.
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

pub(super) fn get(host: &str, path: &str) -> String {
    exchange(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

/// Sends an echo request, as an unprivileged ping does.
pub(super) fn ping(address: [u8; 4]) {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).unwrap();
    let to = SocketAddr::from((address, 0));
    socket.send_to(&[8, 0, 0, 0, 0, 0, 0, 1], &to.into()).unwrap();
}
