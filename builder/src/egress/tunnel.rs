//! A connection of which nothing is seen but where it goes: TLS, SSH, and what is spoken at other ports.

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
    time::sleep,
};

use crate::policy::{
    care::Care,
    mirror::{Scheme, Target},
};

use super::{
    exchange::Exchange, record::RefusalKind, step::Step, through_proxy::PROXY_REMEDY,
    upstream::UpstreamError,
};

/// What is known about the connection.
pub(super) struct Tunnel<'a> {
    /// What travels inside.
    pub(super) scheme: Scheme,
    /// The name that the step asked for.
    pub(super) name: &'a str,
    /// The port that it asked for.
    pub(super) port: u16,
    /// Where it leads.
    pub(super) target: &'a Target,
    /// The same as the record shows it.
    pub(super) fetched: Target,
    /// The rule that allows it.
    pub(super) rule: String,
}

impl Tunnel<'_> {
    /// Passes bytes both ways until either side ends, `first` before all others; gives the connection back
    /// where the other end cannot be reached, with the reason on record.
    pub(super) async fn pass(
        self,
        stream: TcpStream,
        first: &[u8],
        step: &Arc<Step>,
    ) -> Result<(), TcpStream> {
        let Self { scheme, name, port, target, fetched, rule } = self;
        let (host, path) = (name.to_owned(), String::new());
        let asked = Target { scheme, host, port, path, named: false, care: Care::default() };
        let asked = asked.url(None);
        let mut exchange =
            Exchange::begin(step.recorder(), "CONNECT", asked.clone(), fetched.url(None), rule);
        let upstream = match step.upstreams().connect(target).await {
            Ok(upstream) => upstream,
            Err(UpstreamError::Private { .. }) => {
                let usual = port == scheme.port();
                let host = if usual { name.to_owned() } else { format!("{name}:{port}") };
                let lines = crate::policy::network::remedy(&host);
                let remedy = format!("{lines}\n  upstream = \"{asked}\"");
                step.recorder().refuse(name, port, RefusalKind::PrivateUpstream, remedy);
                exchange.forget();
                return Err(stream);
            }
            Err(error) => {
                if let UpstreamError::Proxy(reason) = &error {
                    let kind = RefusalKind::Request(reason.clone());
                    step.recorder().refuse(name, port, kind, PROXY_REMEDY.into());
                }
                exchange.broken(error.to_string());
                return Err(stream);
            }
        };
        let received = Arc::new(AtomicU64::new(0));
        let sent = exchange.sent();
        let passed = pass(stream, upstream, first, &sent, &received);
        let idle = watch(step.policy().limits().idle, &sent, &received);
        let watched = Watched { exchange: &mut exchange, received: &received };
        tokio::select! {
            _ = passed => {}
            () = idle => {}
        }
        drop(watched);
        let hidden = match scheme {
            Scheme::Ssh => "SSH",
            Scheme::Tcp => "TCP",
            Scheme::Http | Scheme::Https => "TLS",
        };
        exchange.broken(format!("{hidden} not inspected"));
        Ok(())
    }
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
