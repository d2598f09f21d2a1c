//! The way out: HTTP clients and sockets in the builder's own network, to addresses that were checked.

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    authorities::client_config,
    policy::{
        mirror::Target,
        network::{Limits, NetworkPolicy},
    },
};

use super::address::is_private;

/// Clients for upstreams, which may have private addresses only where the policy names them.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams {
    checked: reqwest::Client,
    free: reqwest::Client,
    deny_private: bool,
    limits: Limits,
    unplugged: bool,
}

/// Why an upstream was not reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("'{host}' has the private address {address}")]
    Private { host: String, address: IpAddr },
    #[error("'{host}' is not asked: the build is offline")]
    Unplugged { host: String },
    #[error("'{host}' has no address: {source}")]
    Unknown { host: String, source: io::Error },
    #[error("cannot connect to '{host}': {source}")]
    Unreachable { host: String, source: io::Error },
}

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Resolves in the builder's network. The connection goes to the very addresses that were checked, so
/// a name that changes its address between check and use gains nothing.
#[derive(Debug)]
struct CheckingResolver {
    deny_private: bool,
}

impl Resolve for CheckingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, deny_private) = (name.as_str().to_owned(), self.deny_private);
        Box::pin(async move {
            let found = addresses(&host, 0, deny_private).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Upstreams {
    /// # Errors
    /// When no HTTP client can be made at all.
    pub(crate) fn new(policy: &NetworkPolicy) -> Result<Self, ClientError> {
        let limits = policy.limits();
        let deny_private = policy.deny_private();
        let (checked, free) = (client(policy, deny_private)?, client(policy, false)?);
        Ok(Self { checked, free, deny_private, limits, unplugged: false })
    }

    /// The same, but nothing is connected to.
    pub(crate) fn unplugged(self) -> Self {
        Self { unplugged: true, ..self }
    }

    /// The client for `target`. An address in the URL is not resolved, hence not checked: only the
    /// policy can have put it there.
    pub(crate) fn client(&self, target: &Target) -> &reqwest::Client {
        if target.named { &self.free } else { &self.checked }
    }

    /// The addresses of `target` that may be connected to.
    pub(crate) async fn addresses(
        &self,
        target: &Target,
    ) -> Result<Vec<SocketAddr>, UpstreamError> {
        if self.unplugged {
            return Err(UpstreamError::Unplugged { host: target.host.clone() });
        }
        let deny_private = self.deny_private && !target.named;
        if deny_private
            && let Ok(address) = target.host.parse::<IpAddr>()
            && is_private(address)
        {
            return Err(UpstreamError::Private { host: target.host.clone(), address });
        }
        addresses(&target.host, target.port, deny_private).await
    }

    /// Opens a plain connection to `target`.
    pub(crate) async fn connect(&self, target: &Target) -> Result<TcpStream, UpstreamError> {
        let host = &target.host;
        if self.unplugged {
            return Err(UpstreamError::Unplugged { host: host.clone() });
        }
        let found = addresses(host, target.port, self.deny_private && !target.named).await?;
        let connecting = timeout(self.limits.connect, TcpStream::connect(found.as_slice()));
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let stream = connecting.await.map_err(late).and_then(|connected| connected);
        let stream =
            stream.map_err(|source| UpstreamError::Unreachable { host: host.clone(), source })?;
        // Small records of a handshake should not wait for one another.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

fn client(policy: &NetworkPolicy, deny_private: bool) -> Result<reqwest::Client, ClientError> {
    let limits = policy.limits();
    let tls = client_config(policy.authorities().to_vec(), &[b"h2", b"http/1.1"])?;
    Ok(reqwest::Client::builder()
        .dns_resolver(Arc::new(CheckingResolver { deny_private }))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(limits.connect)
        .read_timeout(limits.idle)
        .tls_backend_preconfigured(tls)
        .build()?)
}

async fn addresses(
    host: &str,
    port: u16,
    deny_private: bool,
) -> Result<Vec<SocketAddr>, UpstreamError> {
    let found = tokio::net::lookup_host((host, port)).await;
    let unknown = |source| UpstreamError::Unknown { host: host.to_owned(), source };
    let (private, public): (Vec<SocketAddr>, Vec<SocketAddr>) =
        found.map_err(unknown)?.partition(|address| deny_private && is_private(address.ip()));
    match (public.is_empty(), private.first()) {
        (true, Some(address)) => {
            Err(UpstreamError::Private { host: host.to_owned(), address: address.ip() })
        }
        (true, None) => Err(unknown(io::Error::other("the answer is empty"))),
        (false, _) => Ok(public),
    }
}

/// Did the request fail because the address is private?
pub(crate) fn is_private_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(UpstreamError::Private { .. })) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The error and its causes in one line. Outer messages of HTTP clients repeat the URL and say little.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.last().is_some_and(|last: &String| last.ends_with(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
