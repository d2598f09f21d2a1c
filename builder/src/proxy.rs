//! The proxies through which the builder reaches the world, as the variables of the environment name them: `HTTP_PROXY`,
//! `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, where the form in small letters goes first. Reading the environment is the
//! command line's; here is what the variables mean. No step sees any of it.

use std::{fmt, net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

use crate::secret::Secret;

mod except;

use except::Except;

/// Which connections go through which proxy. Loopback never does.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    other: Option<Arc<Proxy>>,
    except: Vec<Except>,
}

/// One proxy. Shown without its login.
#[derive(Debug)]
pub struct Proxy {
    variable: &'static str,
    /// With its login.
    url: Secret,
    host: String,
    port: u16,
    tls: bool,
    /// The value of `Proxy-Authorization`.
    login: Option<Secret>,
}

/// A variable that names no proxy. The value is not shown, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the variable {variable} names no proxy: {reason}\nhelp: set {variable}=http://proxy.example:3128, with \
     user:password@ before the host where it wants a login"
)]
pub struct ProxyError {
    variable: &'static str,
    reason: &'static str,
}

impl Proxies {
    /// Reads the variables through `variable`, which gives none for one that is not set.
    ///
    /// # Errors
    /// [`ProxyError`] for an address that is none, or that is of another kind of proxy.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let read = |names: [&'static str; 2]| {
            let found = names.into_iter().find_map(|name| Some((name, variable(name)?)));
            let found = found.filter(|(_, value)| !value.trim().is_empty());
            found.map(|(name, value)| Proxy::read(name, &value).map(Arc::new)).transpose()
        };
        let other = read(["all_proxy", "ALL_PROXY"])?;
        let http = read(["http_proxy", "HTTP_PROXY"])?.or_else(|| other.clone());
        let https = read(["https_proxy", "HTTPS_PROXY"])?.or_else(|| other.clone());
        let except = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
        Ok(Self { http, https, other, except: Except::list(&except) })
    }

    /// The proxy for `host`, by the scheme of what is spoken with it; other schemes than those of HTTP go by
    /// `ALL_PROXY`.
    #[must_use]
    pub fn of(&self, scheme: &str, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = match scheme {
            "http" => &self.http,
            "https" => &self.https,
            _ => &self.other,
        };
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        let direct =
            is_loopback(host) || self.except.iter().any(|except| except.covers(host, port));
        proxy.as_deref().filter(|_| !direct)
    }

    /// The proxy for an address.
    #[must_use]
    pub fn of_url(&self, url: &Url) -> Option<&Proxy> {
        self.of(url.scheme(), url.host_str()?, url.port_or_known_default()?)
    }

    /// Every proxy, once.
    pub fn all(&self) -> impl Iterator<Item = &Proxy> {
        [&self.http, &self.https, &self.other].into_iter().flatten().map(Arc::as_ref)
    }
}

impl Proxy {
    fn read(variable: &'static str, value: &str) -> Result<Self, ProxyError> {
        let fault = |reason| ProxyError { variable, reason };
        let value = value.trim();
        let value = match value.contains("://") {
            true => value.to_owned(),
            false => format!("http://{value}"),
        };
        let url = Url::parse(&value).map_err(|_| fault("its value is no address"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(fault("only proxies that speak HTTP are known")),
        };
        let host = url.host_str().ok_or_else(|| fault("its value has no host"))?.to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let decode = |text: &str| Secret::new(crate::purl::decode(text));
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let (user, password) =
                (decode(url.username()), decode(url.password().unwrap_or_default()));
            let pair = format!("{}:{}", user.expose_secret(), password.expose_secret());
            let pair = Secret::new(pair);
            Secret::new(format!("Basic {}", STANDARD.encode(pair.expose_secret())))
        });
        Ok(Self { variable, url: Secret::new(url.to_string()), host, port, tls, login })
    }

    /// The address with its login, for clients.
    #[must_use]
    pub fn url(&self) -> &Secret {
        &self.url
    }

    /// Host and port; an IPv6 address in brackets.
    #[must_use]
    pub fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Is it itself spoken to in TLS?
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The value of `Proxy-Authorization`.
    #[must_use]
    pub fn login(&self) -> Option<&Secret> {
        self.login.as_ref()
    }

    /// Says that it refused the login, or the lack of one.
    #[must_use]
    pub fn wants_login(&self) -> String {
        let Self { variable, host, port, login, .. } = self;
        let said = if login.is_some() { "does not take the login" } else { "wants a login" };
        format!("{self} {said} (407): set {variable}=http://user:password@{host}:{port}")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, host, port, tls, .. } = self;
        let scheme = if *tls { "https" } else { "http" };
        write!(f, "the proxy {scheme}://{host}:{port} ({variable})")
    }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        let found = |name: &str| pairs.iter().find(|(known, _)| *known == name);
        Proxies::read(|name| found(name).map(|(_, value)| (*value).to_owned()))
    }

    fn place(proxies: &Proxies, url: &str) -> Option<String> {
        let proxy = proxies.of_url(&Url::parse(url).unwrap())?;
        Some(format!("{}:{}", proxy.place().0, proxy.place().1))
    }

    #[test]
    fn each_scheme_has_its_variable_and_small_letters_go_first() {
        let proxies = read(&[
            ("HTTP_PROXY", "one.example:1"),
            ("HTTPS_PROXY", "http://two.example:2/"),
            ("https_proxy", "http://three.example:3"),
            ("ALL_PROXY", "four.example"),
        ]);
        let proxies = proxies.unwrap();
        assert_eq!(place(&proxies, "http://h.example/").as_deref(), Some("one.example:1"));
        assert_eq!(place(&proxies, "https://h.example/").as_deref(), Some("three.example:3"));
        assert_eq!(place(&proxies, "ssh://h.example:22").as_deref(), Some("four.example:80"));
        let all = read(&[("all_proxy", "a.example:9"), ("http_proxy", "")]).unwrap();
        assert_eq!(place(&all, "http://h.example/").as_deref(), Some("a.example:9"));
        assert_eq!(place(&read(&[]).unwrap(), "http://h.example/"), None);
    }

    #[test]
    fn loopback_goes_through_no_proxy() {
        let proxies = read(&[("http_proxy", "p.example:1")]).unwrap();
        for host in ["localhost", "127.0.0.1", "127.8.9.1:5000", "[::1]:80", "[::ffff:127.0.0.1]"] {
            assert_eq!(place(&proxies, &format!("http://{host}/")), None, "{host}");
        }
    }

    #[test]
    fn a_login_is_sent_and_never_shown() {
        let proxies = read(&[("https_proxy", "http://us%40er:pa%3Ass@p.example:1")]).unwrap();
        let proxy = proxies.of("https", "h.example", 443).unwrap();
        let login = format!("Basic {}", STANDARD.encode("us@er:pa:ss"));
        assert_eq!(proxy.login().unwrap().expose_secret(), login);
        assert_eq!(
            proxy.wants_login(),
            "the proxy http://p.example:1 (https_proxy) does not take the login (407): \
             set https_proxy=http://user:password@p.example:1"
        );
        let shown = format!("{proxies:?} {proxy}");
        assert!(!shown.contains("pa%3Ass") && !shown.contains("us%40er"), "{shown}");
        let error = read(&[("HTTP_PROXY", "socks5://user:hidden@p.example:1")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the variable HTTP_PROXY names no proxy: only proxies that speak HTTP are known\n\
             help: set HTTP_PROXY=http://proxy.example:3128, with user:password@ before the host where it \
             wants a login"
        );
    }
}
