//! The way out: HTTP clients and sockets in the builder's own network, to addresses that were checked.

use std::{
    collections::HashMap,
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    Method, RequestBuilder, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{AUTHORIZATION, HeaderValue},
};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    authorities::client_config,
    policy::{
        mirror::Target,
        network::{Limits, NetworkPolicy},
    },
    proxy::{Proxies, Proxy},
    secret::Secret,
};

use super::{
    WayOut,
    address::is_private,
    allowance::{Allowance, Meter},
    through_proxy,
};

/// Clients for upstreams, which may have private addresses only where the policy names them. Through a proxy, the proxy
/// resolves names.
#[derive(Clone)]
pub(crate) struct Upstreams {
    checked: reqwest::Client,
    free: reqwest::Client,
    /// By the proxy's address.
    proxied: HashMap<String, reqwest::Client>,
    way: WayOut,
    meter: Meter,
    deny_private: bool,
    lookup: Lookup,
    limits: Limits,
    unplugged: bool,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The address is private, and the policy does not name it.
    Private,
    /// The reason, one line.
    Broken(String),
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
    #[error("{0}")]
    Proxy(String),
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
    lookup: Lookup,
}

/// Who knows the addresses of a name.
#[derive(Debug, Clone, Copy)]
enum Lookup {
    /// The machine.
    System,
    /// A test, which counts how often it is asked.
    #[cfg(test)]
    Told(fn(&str) -> Vec<SocketAddr>),
}

impl Lookup {
    async fn find(self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Told(tell) => Ok(tell(host)),
        }
    }
}

impl Resolve for CheckingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, deny_private) = (name.as_str().to_owned(), self.deny_private);
        let lookup = self.lookup;
        Box::pin(async move {
            let found = addresses(&host, 0, deny_private, lookup).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl fmt::Debug for Upstreams {
    /// Clients may show the addresses of their proxies, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Upstreams {
    /// # Errors
    /// When no HTTP client can be made at all.
    pub(crate) fn new(policy: &NetworkPolicy, way: WayOut) -> Result<Self, ClientError> {
        Self::resolving(policy, way, Lookup::System)
    }

    fn resolving(policy: &NetworkPolicy, way: WayOut, lookup: Lookup) -> Result<Self, ClientError> {
        let limits = policy.limits();
        let deny_private = policy.deny_private();
        let client = |deny_private, proxy| client(policy, (deny_private, lookup), proxy);
        let (checked, free) = (client(deny_private, None)?, client(false, None)?);
        let mut proxied = HashMap::new();
        for proxy in way.proxies.all() {
            proxied.insert(proxy.to_string(), client(false, Some(proxy))?);
        }
        let meter = Meter::default();
        let unplugged = false;
        Ok(Self { checked, free, proxied, way, meter, deny_private, lookup, limits, unplugged })
    }

    /// The same, but nothing is connected to.
    pub(crate) fn unplugged(self) -> Self {
        Self { unplugged: true, ..self }
    }

    /// The proxy on the way to `target`.
    pub(crate) fn proxy(&self, target: &Target) -> Option<&Proxy> {
        self.way.proxies.of(&target.scheme.to_string(), &target.host, target.port)
    }

    /// The proxies on all ways.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.way.proxies
    }

    /// What logs in with the mirror: the value of `Authorization`.
    pub(crate) fn login(&self, target: &Target) -> Option<&Secret> {
        self.way.logins.value(target.care.login.as_ref()?)
    }

    /// What one answer of `target` may bring.
    pub(crate) fn allowance(&self, target: &Target) -> Allowance {
        self.meter.allowance(&target.care, self.limits)
    }

    /// Why an answer broke off.
    pub(crate) fn broke(&self, target: &Target, error: &reqwest::Error) -> String {
        self.late(target, error)
            .unwrap_or_else(|| format!("the upstream broke off: {}", causes(error)))
    }

    /// Is it the policy's time that was over?
    fn late(&self, target: &Target, error: &reqwest::Error) -> Option<String> {
        let time = target.care.time.or(self.limits.time)?.as_secs();
        let late = error.is_timeout() && !error.is_connect();
        late.then(|| format!("it took longer than {time} seconds (limits.seconds)"))
    }

    /// A request to `target`, at the address `url`, to be sent by [`Upstreams::send`]. An address in the URL is not
    /// resolved, hence not checked: only the policy can have put it there.
    pub(crate) fn request(&self, target: &Target, method: Method, url: &str) -> RequestBuilder {
        let proxied = self.proxy(target).and_then(|proxy| self.proxied.get(&proxy.to_string()));
        let direct = if target.named { &self.free } else { &self.checked };
        let request = proxied.unwrap_or(direct).request(method, url);
        match target.care.time.or(self.limits.time) {
            Some(time) => request.timeout(time),
            None => request,
        }
    }

    /// Sends it. The mirror's own login goes before any that a step has.
    pub(crate) async fn send(
        &self,
        target: &Target,
        request: RequestBuilder,
    ) -> Result<Response, Unanswered> {
        let login = self.login(target).map(|login| HeaderValue::from_str(login.expose_secret()));
        let request = match login {
            Some(Ok(mut value)) => {
                value.set_sensitive(true);
                request.headers([(AUTHORIZATION, value)].into_iter().collect())
            }
            _ => request,
        };
        let answer = request.send().await;
        match (answer, self.proxy(target)) {
            (Err(error), _) if is_private_refusal(&error) => Err(Unanswered::Private),
            (Err(error), proxy) => {
                let late = self.late(target, &error);
                let reason = proxy.map_or_else(|| causes(&error), |proxy| through(proxy, &error));
                Err(Unanswered::Broken(late.unwrap_or(reason)))
            }
            // A plain request is answered by the proxy itself.
            (Ok(answer), Some(proxy)) if answer.status().as_u16() == 407 => {
                Err(Unanswered::Broken(proxy.wants_login()))
            }
            (Ok(answer), _) => Ok(answer),
        }
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
        addresses(&target.host, target.port, deny_private, self.lookup).await
    }

    /// Opens a plain connection to `target`.
    pub(crate) async fn connect(&self, target: &Target) -> Result<TcpStream, UpstreamError> {
        let host = &target.host;
        if self.unplugged {
            return Err(UpstreamError::Unplugged { host: host.clone() });
        }
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        if let Some(proxy) = self.proxy(target) {
            let connected = timeout(self.limits.connect, through_proxy::connect(proxy, target));
            let late = |_| UpstreamError::Proxy(format!("{proxy} does not answer"));
            return connected.await.map_err(late)?.map_err(UpstreamError::Proxy);
        }
        let deny_private = self.deny_private && !target.named;
        let found = addresses(host, target.port, deny_private, self.lookup).await?;
        let connecting = timeout(self.limits.connect, TcpStream::connect(found.as_slice()));
        let stream = connecting.await.map_err(late).and_then(|connected| connected);
        let stream =
            stream.map_err(|source| UpstreamError::Unreachable { host: host.clone(), source })?;
        // Small records of a handshake should not wait for one another.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

fn client(
    policy: &NetworkPolicy,
    (deny_private, lookup): (bool, Lookup),
    proxy: Option<&Proxy>,
) -> Result<reqwest::Client, ClientError> {
    let limits = policy.limits();
    let tls = client_config(policy.authorities().to_vec(), &[b"h2", b"http/1.1"])?;
    let builder = reqwest::Client::builder()
        .dns_resolver(Arc::new(CheckingResolver { deny_private, lookup }))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(limits.connect)
        .read_timeout(limits.idle)
        .tls_backend_preconfigured(tls);
    let builder = match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.url().expose_secret())?),
        None => builder,
    };
    Ok(builder.build()?)
}

async fn addresses(
    host: &str,
    port: u16,
    deny_private: bool,
    lookup: Lookup,
) -> Result<Vec<SocketAddr>, UpstreamError> {
    let found = lookup.find(host, port).await;
    let unknown = |source| UpstreamError::Unknown { host: host.to_owned(), source };
    let (private, public): (Vec<SocketAddr>, Vec<SocketAddr>) = found
        .map_err(unknown)?
        .into_iter()
        .partition(|address| deny_private && is_private(address.ip()));
    match (public.is_empty(), private.first()) {
        (true, Some(address)) => {
            Err(UpstreamError::Private { host: host.to_owned(), address: address.ip() })
        }
        (true, None) => Err(unknown(io::Error::other("the answer is empty"))),
        (false, _) => Ok(public),
    }
}

/// Why there is no answer through a proxy.
fn through(proxy: &Proxy, error: &reqwest::Error) -> String {
    let text = causes(error);
    if text.contains("proxy authorization required") {
        return proxy.wants_login();
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<io::Error>()
            && refused.kind() == io::ErrorKind::ConnectionRefused
        {
            return format!("{proxy} cannot be reached: {}", through_proxy::plain(refused));
        }
        cause = error.source();
    }
    format!("through {proxy}: {text}")
}

/// Did the request fail because the address is private?
fn is_private_refusal(error: &(dyn Error + 'static)) -> bool {
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

#[cfg(test)]
mod tests;
