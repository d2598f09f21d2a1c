//! One `[[network.mirror]]`: a host that steps may ask for, and where it is really fetched from.

use std::fmt;

use super::{
    care::Care,
    fault::Faults,
    glob::{Glob, HostPattern},
    harden::globs,
    section::{Section, Text},
};

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP in TLS.
    Https,
    /// SSH, of which nothing is seen but the host.
    Ssh,
    /// Anything over TCP, of which nothing is seen but the host and the port.
    Tcp,
}

impl Scheme {
    /// The port of the scheme (RFC 9110, section 4.2; RFC 4253, section 4); 0 where it has none.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ssh => 22,
            Self::Tcp => 0,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Tcp => "tcp",
        })
    }
}

/// What happens to TLS connections to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Opened with the build's own authority; digests are recorded.
    Inspect,
    /// Passed through by server name; recorded as not inspected.
    Tunnel,
}

/// The place something is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Scheme towards the upstream.
    pub scheme: Scheme,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path as it stands in the request line, without query; starts with `/`.
    pub path: String,
    /// The policy names this upstream literally, so it may have a private address.
    pub named: bool,
    /// What the rule says about fetching.
    pub care: Care,
}

impl Target {
    /// The URL, with `query` as it was asked.
    #[must_use]
    pub fn url(&self, query: Option<&str>) -> String {
        let Self { scheme, host, port, path, .. } = self;
        let port = if *port == scheme.port() { String::new() } else { format!(":{port}") };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{host}{port}{path}{query}")
    }
}

/// A rule of the network policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    host: HostPattern,
    upstream: Option<Upstream>,
    paths: Vec<Glob>,
    methods: Vec<String>,
    tls: Tls,
    origin: String,
    care: Care,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Upstream {
    scheme: Scheme,
    host: String,
    port: u16,
    /// Without the slash at the end; empty means that paths stay as they are.
    path: String,
}

const KEYS: [&str; 7] = ["host", "upstream", "paths", "methods", "tls", "credentials", "limits"];

const DNS: u16 = 53;

/// The methods that only read; others change something and are named by the policy where needed.
const READING: [&str; 2] = ["GET", "HEAD"];

impl Mirror {
    /// Reads the table; `origin` names the rule in records (`preset debian`, `policy`).
    pub(super) fn read(
        section: &Section<'_>,
        origin: &str,
        faults: &mut Faults<'_>,
    ) -> Option<Self> {
        section.only(&KEYS, faults);
        let host = section.required("host", faults).and_then(|text| host(&text, faults));
        let upstream = section.text("upstream", faults).map(|text| upstream(&text, faults));
        let paths = globs(section.texts("paths", faults), faults);
        let methods = section.texts("methods", faults);
        let choices = [("inspect", Tls::Inspect), ("tunnel", Tls::Tunnel)];
        let tls = section.choice("tls", &choices, faults).unwrap_or(Tls::Inspect);
        if tls == Tls::Tunnel && (!paths.is_empty() || methods.is_some()) {
            let message = "a tunnel shows neither paths nor methods".to_owned();
            let help = "drop 'paths' and 'methods', or set tls = \"inspect\"".to_owned();
            faults.add(section.span(), message, help);
        }
        let upstream = match upstream {
            Some(parsed) => Some(parsed?),
            None => None,
        };
        let reading = || READING.map(str::to_owned).to_vec();
        let upper = |texts: Vec<Text<'_>>| -> Vec<String> {
            texts.into_iter().map(|text| text.value.to_ascii_uppercase()).collect()
        };
        let methods = methods.map_or_else(reading, upper);
        let host = host?;
        let rule = format!("{origin}: {host}");
        let care = Care::read(section, (rule, &host.to_string()), faults);
        let mirror = Self { host, upstream, paths, methods, tls, origin: origin.into(), care };
        mirror.check(section, faults);
        Some(mirror)
    }

    /// Keys that contradict one another.
    fn check(&self, section: &Section<'_>, faults: &mut Faults<'_>) {
        let mut fault =
            |message: &str, help: &str| faults.add(section.span(), message.into(), help.into());
        let hidden = self.tls == Tls::Tunnel || self.is_opaque();
        if self.care.login.is_some() && hidden {
            let help = "drop 'credentials', or set tls = \"inspect\"";
            fault("nobody can log in inside a tunnel", help);
        }
        if self.care.login.is_some() && self.upstream.is_none() && self.host.name().is_none() {
            let message = "'credentials' would go to every host below the name";
            fault(message, "name one host, or add an upstream = \"https://…\" that they are for");
        }
        let tcp = self.upstream.as_ref().is_some_and(|upstream| upstream.scheme == Scheme::Tcp);
        if tcp && (self.tls != Tls::Tunnel || self.host.port().is_none()) {
            let help = "write host = \"name:port\" and tls = \"tunnel\"";
            fault("an upstream of tcp:// is for a tunnel from a port", help);
        }
    }

    /// What it says about fetching.
    #[must_use]
    pub fn care(&self) -> &Care {
        &self.care
    }

    /// The port of a tunnel for whatever is spoken there.
    pub(super) fn tunnel_port(&self) -> Option<u16> {
        let usual = [Scheme::Http, Scheme::Https, Scheme::Ssh].map(Scheme::port);
        let port = self.host.port().filter(|port| *port != DNS && !usual.contains(port))?;
        (self.tls == Tls::Tunnel).then_some(port)
    }

    /// The names it covers.
    #[must_use]
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The paths it covers; empty means all.
    #[must_use]
    pub fn paths(&self) -> &[Glob] {
        &self.paths
    }

    /// The methods it covers, upper case.
    #[must_use]
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// What is done with TLS.
    #[must_use]
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// How records name the rule, as in `preset debian: deb.example`.
    #[must_use]
    pub fn rule(&self) -> String {
        format!("{}: {}", self.origin, self.host)
    }

    /// Does it lead to a server that speaks no HTTP, so that it is about nothing else?
    pub(super) fn is_opaque(&self) -> bool {
        let opaque = |upstream: &Upstream| matches!(upstream.scheme, Scheme::Ssh | Scheme::Tcp);
        self.upstream.as_ref().is_some_and(opaque)
    }

    /// Would what logs in go in the clear although no line of the policy says so?
    pub(super) fn shows_login(&self, scheme: Scheme) -> bool {
        self.care.login.is_some() && self.upstream.is_none() && scheme == Scheme::Http
    }

    /// The upstream as written, for tables and reports.
    #[must_use]
    pub fn upstream(&self) -> Option<String> {
        let upstream = self.upstream.as_ref()?;
        let Upstream { scheme, host, port, path } = upstream.clone();
        let care = Care::default();
        Some(Target { scheme, host, port, path, named: true, care }.url(None))
    }

    /// Is `path` one of the paths of the rule?
    pub(super) fn covers_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(path))
    }

    /// Where `path` of `host` is fetched from. An upstream without a path keeps the path that was
    /// asked; one with a path stands for the fixed part of the pattern that matched (`/debian` of
    /// `/debian/**`), or for the root where the rule has no patterns.
    pub(super) fn target(&self, scheme: Scheme, host: &str, port: u16, path: &str) -> Target {
        let care = self.care.clone();
        let Some(upstream) = &self.upstream else {
            let (host, path) = (host.to_ascii_lowercase(), path.to_owned());
            let named = self.host.is_address();
            return Target { scheme, host, port, path, named, care };
        };
        let Upstream { scheme, host, port, path: prefix } = upstream.clone();
        let fixed = match prefix.as_str() {
            "" => "",
            _ => self.paths.iter().find(|glob| glob.matches(path)).map_or("", Glob::fixed),
        };
        let rest = path.strip_prefix(fixed).unwrap_or(path);
        Target { scheme, host, port, path: format!("{prefix}{rest}"), named: true, care }
    }
}

fn host(text: &Text<'_>, faults: &mut Faults<'_>) -> Option<HostPattern> {
    match HostPattern::new(text.value) {
        Ok(host) => Some(host),
        Err(error) => {
            let help = "write a name, as in \"packages.example.org\" or \"*.example.org\"";
            faults.add(text.span.clone(), error.to_string(), help.into());
            None
        }
    }
}

/// `http[s]://host[:port][/path]`, `ssh://host[:port]` or `tcp://host:port`, with nothing else: a user name, a query or a fragment would be
/// lost on the way.
fn upstream(text: &Text<'_>, faults: &mut Faults<'_>) -> Option<Upstream> {
    let parsed = url::Url::parse(text.value).ok().and_then(|url| {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            "tcp" => Scheme::Tcp,
            _ => return None,
        };
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let path = url.path().trim_end_matches('/').to_owned();
        let port = url.port().unwrap_or(scheme.port());
        let plain = plain && port != 0 && (scheme != Scheme::Tcp || path.is_empty());
        plain.then_some(Upstream { scheme, host, port, path })
    });
    if parsed.is_none() {
        let message = format!("'{}' is not an upstream", text.value);
        let help = "write it as http://host[:port][/path], https://host[:port][/path], ssh://host[:port] or tcp://host:port";
        faults.add(text.span.clone(), message, help.into());
    }
    parsed
}
