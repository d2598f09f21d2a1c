//! TLS from a step: passed through by server name. What travels inside is not seen.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::policy::{
    mirror::{Scheme, Target},
    network::Decision,
};

use super::{
    client_hello::{ClientHello, HELLO_BYTES, Heard},
    record::RefusalKind,
    step::Step,
    tunnel::Tunnel,
};

/// The time a client has for its ClientHello.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// A fatal alert, access_denied (RFC 8446, section 6.2), so that clients end with a reason.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// Serves one connection until either side closes it.
pub(super) async fn serve(mut stream: TcpStream, step: Arc<Step>) {
    let _ = stream.set_nodelay(true);
    let Ok(destination) = stream.local_addr() else { return };
    let Some(name) = step.names().name(destination.ip()) else {
        let address = destination.ip().to_string();
        let remedy = step.direct_remedy(None);
        step.recorder().refuse(&address, 443, RefusalKind::DirectAddress, remedy);
        return deny(stream).await;
    };
    let hello = timeout(HELLO_PATIENCE, read_hello(&mut stream)).await.ok().flatten();
    let (kind, remedy) = match hello {
        None => (RefusalKind::NoServerName, "use a client that sends the server name".to_owned()),
        Some((asked, hello)) if asked == name => match step.policy().decide_tunnel(&name, 443) {
            Decision::Allow { upstream, rule, .. } => {
                return tunnel(stream, &name, &upstream, rule, hello, &step).await;
            }
            Decision::Deny { reason, remedy } => (RefusalKind::Request(reason), remedy),
        },
        Some((asked, _)) => {
            (RefusalKind::OtherHost(asked), "send each request to the host that it names".into())
        }
    };
    step.recorder().refuse(&name, 443, kind, remedy);
    deny(stream).await;
}

/// The server name and the bytes read so far. None when they are no ClientHello of a bearable size
/// with a name.
async fn read_hello(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut hello = ClientHello::default();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok()?;
        match hello.push(&chunk[..length]) {
            Heard::More => {}
            Heard::Name(name) => return Some((name, hello.into_bytes())),
            Heard::Nonsense => return None,
        }
    }
}

/// Says no and reads on for a moment: closing on unread bytes would reset the connection, and the
/// client would not see the alert.
async fn deny(mut stream: TcpStream) {
    let _ = stream.write_all(&ACCESS_DENIED).await;
    let _ = stream.shutdown().await;
    let rest = async {
        let mut left = stream.take(HELLO_BYTES as u64);
        let _ = tokio::io::copy(&mut left, &mut tokio::io::sink()).await;
    };
    let _ = timeout(Duration::from_millis(500), rest).await;
}

async fn tunnel(
    stream: TcpStream,
    name: &str,
    target: &Target,
    rule: String,
    hello: Vec<u8>,
    step: &Arc<Step>,
) {
    let fetched = Target { scheme: Scheme::Https, ..target.clone() };
    let tunnel = Tunnel { scheme: Scheme::Https, name, target, fetched, rule };
    if let Err(stream) = tunnel.pass(stream, &hello, step).await {
        deny(stream).await;
    }
}
