//! TLS from a step: passed through by server name. What travels inside is not seen.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::policy::{
    mirror::{Scheme, Target},
    network::Decision,
};

use super::{
    client_hello::{ClientHello, HELLO_BYTES, Heard},
    exchange::Exchange,
    record::RefusalKind,
    step::Step,
    upstream::UpstreamError,
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
    let asked = format!("https://{name}");
    let fetched = Target { scheme: Scheme::Https, ..target.clone() }.url(None);
    let mut exchange = Exchange::begin(step.recorder(), "CONNECT", asked, fetched, rule);
    let upstream = match step.upstreams().connect(target).await {
        Ok(upstream) => upstream,
        Err(error) => {
            if matches!(error, UpstreamError::Private { .. }) {
                let lines = crate::policy::network::remedy(name);
                let remedy = format!("{lines}\n  upstream = \"https://{name}\"");
                step.recorder().refuse(name, 443, RefusalKind::PrivateUpstream, remedy);
                exchange.forget();
            } else {
                exchange.broken(error.to_string());
            }
            return deny(stream).await;
        }
    };
    let received = Arc::new(AtomicU64::new(0));
    let sent = exchange.sent();
    let passed = pass(stream, upstream, &hello, &sent, &received);
    let idle = watch(step.policy().limits().idle, &sent, &received);
    let watched = Watched { exchange: &mut exchange, received: &received };
    tokio::select! {
        _ = passed => {}
        () = idle => {}
    }
    drop(watched);
    exchange.broken("TLS not inspected".into());
}

/// Notes the bytes that came also when the task is cancelled.
struct Watched<'a> {
    exchange: &'a mut Exchange,
    received: &'a AtomicU64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.exchange.received(self.received.load(Ordering::Relaxed));
    }
}

async fn pass(
    step: TcpStream,
    upstream: TcpStream,
    hello: &[u8],
    sent: &AtomicU64,
    received: &AtomicU64,
) -> io::Result<()> {
    let (step_in, step_out) = step.into_split();
    let (upstream_in, mut upstream_out) = upstream.into_split();
    upstream_out.write_all(hello).await?;
    sent.fetch_add(hello.len() as u64, Ordering::Relaxed);
    let out = copy(step_in, upstream_out, sent);
    let back = copy(upstream_in, step_out, received);
    tokio::try_join!(out, back).map(|_| ())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    counter: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        counter.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Ends when nothing moved in either direction for `idle`.
async fn watch(idle: Duration, sent: &AtomicU64, received: &AtomicU64) {
    let moved = || (sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
    let mut before = moved();
    loop {
        sleep(idle).await;
        let now = moved();
        if now == before {
            return;
        }
        before = now;
    }
}
