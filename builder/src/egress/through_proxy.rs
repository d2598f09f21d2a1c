//! A plain connection through a proxy: CONNECT (RFC 9110, section 9.3.6).

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{policy::mirror::Target, proxy::Proxy};

/// What to do about a proxy that does not do its part.
pub(super) const PROXY_REMEDY: &str =
    "check the proxy that the builder's environment names, and NO_PROXY";
/// Bound on a proxy's answer.
const HEAD_BYTES: usize = 16 << 10;

/// Has `proxy` connect to `target`; says why it does not. What the proxy sees is host and port.
pub(super) async fn connect(proxy: &Proxy, target: &Target) -> Result<TcpStream, String> {
    if proxy.tls() {
        return Err(format!("{proxy} takes plain requests only for tunnels: name it by http://"));
    }
    let (host, port) = proxy.place();
    let place = (host.trim_matches(['[', ']']), port);
    let broken = |error: io::Error| format!("{proxy} cannot be reached: {}", plain(&error));
    let mut stream = TcpStream::connect(place).await.map_err(broken)?;
    // Small records of a handshake should not wait for one another.
    let _ = stream.set_nodelay(true);
    let host = match target.host.contains(':') {
        true => format!("[{}]:{}", target.host, target.port),
        false => format!("{}:{}", target.host, target.port),
    };
    let login = proxy.login().map(|login| login.expose_secret()).unwrap_or_default();
    let login = if login.is_empty() { "" } else { &format!("Proxy-Authorization: {login}\r\n") };
    let request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    match status(&mut stream).await.map_err(broken)? {
        200..=299 => Ok(stream),
        407 => Err(proxy.wants_login()),
        status => Err(format!("{proxy} does not connect to '{host}': it answered {status}")),
    }
}

/// Reads the answer's head and no byte more: what follows is the other end's.
async fn status(stream: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES {
            return Err(io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::other("its answer is not HTTP"))
}

/// What the system says, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        _ => error.to_string(),
    }
}
