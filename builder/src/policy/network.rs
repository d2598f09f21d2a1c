//! `[network]`: what RUN and ADD may reach, request by request.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    care::Login,
    fault::{Faults, nearest},
    mirror::{Mirror, Scheme, Target, Tls},
    preset::{PRESETS, Preset},
    section::Section,
};

/// The allowlist of hosts, paths and methods, first match first: the policy's own mirrors, then the
/// presets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    mirrors: Vec<Mirror>,
    deny_private: bool,
    limits: Limits,
    ca: Option<String>,
    authorities: Vec<CertificateDer<'static>>,
}

/// Bounds on every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time to reach an upstream.
    pub connect: Duration,
    /// Time without a byte in either direction.
    pub idle: Duration,
    /// Bytes of one response body.
    pub body: u64,
    /// Bytes of all response bodies that one rule gives a build.
    pub total: Option<u64>,
    /// Time for one response, to its last byte.
    pub time: Option<Duration>,
    /// Redirects that ADD follows.
    pub redirects: u64,
}

/// What the policy says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes out.
    Allow {
        /// Where it is fetched from.
        upstream: Target,
        /// What is done with TLS.
        tls: Tls,
        /// The rule that allows it, for the record.
        rule: String,
    },
    /// It does not.
    Deny {
        /// Why, one line.
        reason: String,
        /// The policy lines that would allow it, or what else to do.
        remedy: String,
    },
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        let defaults = PRESETS.iter().filter(|preset| preset.default);
        let mirrors = defaults.flat_map(Preset::mirrors).collect();
        Self {
            mirrors,
            deny_private: true,
            limits: Limits::default(),
            ca: None,
            authorities: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let (connect, idle) = (Duration::from_secs(15), Duration::from_secs(120));
        Self { connect, idle, body: 16 << 30, total: None, time: None, redirects: 10 }
    }
}

const LIMITS: [&str; 6] =
    ["connect-seconds", "idle-seconds", "body-bytes", "total-bytes", "seconds", "redirects"];

const KEYS: [&str; 5] = ["allow", "deny-private", "mirror", "limits", "ca"];

impl NetworkPolicy {
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        section.only(&KEYS, faults);
        let own = section.sections("mirror", faults);
        let mut mirrors: Vec<Mirror> =
            own.iter().filter_map(|table| Mirror::read(table, "policy", faults)).collect();
        let default = Self::default();
        match section.texts("allow", faults) {
            None => mirrors.extend(default.mirrors),
            Some(names) => {
                for name in names {
                    match Preset::named(name.value) {
                        Some(preset) => mirrors.extend(preset.mirrors()),
                        None => faults.add(
                            name.span,
                            format!("there is no preset '{}'", name.value),
                            preset_help(name.value),
                        ),
                    }
                }
            }
        }
        let limits = section.section("limits", faults);
        Self {
            mirrors,
            deny_private: section.flag("deny-private", faults).unwrap_or(default.deny_private),
            limits: limits.map_or(default.limits, |table| Limits::read(&table, faults)),
            ca: section.text("ca", faults).map(|text| text.value.to_owned()),
            authorities: Vec::new(),
        }
    }

    /// The rules in the order in which they are tried.
    #[must_use]
    pub fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// Are upstreams with private addresses refused unless the policy names them as an upstream?
    #[must_use]
    pub fn deny_private(&self) -> bool {
        self.deny_private
    }

    /// The file with certificates of authorities that are trusted beside the machine's, for upstreams. The caller
    /// reads it and gives it to [`NetworkPolicy::trust`].
    #[must_use]
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Trusts the authorities whose certificates stand in `pem` (RFC 7468), and returns how many they are.
    pub fn trust(&mut self, pem: &[u8]) -> usize {
        self.authorities = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
        self.authorities.len()
    }

    /// Authorities that upstreams may have beside the machine's.
    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// The secrets that log in with mirrors, each with the line that names it.
    pub fn logins(&self) -> impl Iterator<Item = &Login> {
        self.mirrors.iter().filter_map(|mirror| mirror.care().login.as_ref())
    }

    /// The bounds on requests.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Does any rule cover the name, so that steps may resolve it?
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        let served = [Scheme::Http, Scheme::Https, Scheme::Ssh].map(|scheme| Some(scheme.port()));
        let usual = [&[None][..], &served].concat();
        let of_steps = |mirror: &&Mirror| {
            usual.contains(&mirror.host().port()) || mirror.tunnel_port().is_some()
        };
        self.mirrors.iter().filter(of_steps).any(|mirror| mirror.host().matches(host))
    }

    /// Decides on one request. `path` stands as in the request line, without its query.
    #[must_use]
    pub fn decide(
        &self,
        scheme: Scheme,
        host: &str,
        port: u16,
        method: &str,
        path: &str,
    ) -> Decision {
        let Some(decoded) = plain_path(path) else {
            let reason = format!("the path '{}' is not in plain form", shortened(path));
            let remedy = "ask for it without '.' and '..' components and without '\\'".to_owned();
            return Decision::Deny { reason, remedy };
        };
        let covers = |mirror: &&Mirror| {
            !mirror.is_opaque() && mirror.host().covers(host, port, scheme.port())
        };
        let of_host: Vec<&Mirror> = self.mirrors.iter().filter(covers).collect();
        if of_host.is_empty() && port != scheme.port() {
            return unserved_port(host, port);
        }
        // Both forms, since an upstream may decode `%2f` after the policy has looked.
        let covers_path =
            |mirror: &&&Mirror| [path, &decoded].iter().all(|p| mirror.covers_path(p));
        let of_path: Vec<&&Mirror> = of_host.iter().filter(covers_path).collect();
        let covers_method = |mirror: &&&&Mirror| mirror.methods().iter().any(|own| own == method);
        match (of_host.is_empty(), of_path.iter().find(covers_method)) {
            (_, Some(mirror)) if mirror.shows_login(scheme) => shown_login(host),
            (_, Some(mirror)) => Decision::Allow {
                upstream: mirror.target(scheme, host, port, path),
                tls: mirror.tls(),
                rule: mirror.rule(),
            },
            (true, None) => unknown_host(host, port),
            (false, None) if of_path.is_empty() => Decision::Deny {
                reason: format!("the policy does not allow the path '{}'", shortened(path)),
                remedy: mirror_lines(host, &format!("paths = [\"{}\"]", shortened(path))),
            },
            (false, None) => Decision::Deny {
                reason: format!("the policy does not allow the method {}", shortened(method)),
                remedy: mirror_lines(host, &format!("methods = [\"{}\"]", shortened(method))),
            },
        }
    }

    /// What is done with TLS for `host`, by the first rule for its port 443. None where there is no such rule.
    #[must_use]
    pub fn tls(&self, host: &str) -> Option<Tls> {
        let port = Scheme::Https.port();
        let covers =
            |mirror: &&Mirror| !mirror.is_opaque() && mirror.host().covers(host, port, port);
        self.mirrors.iter().find(covers).map(Mirror::tls)
    }
}

impl Limits {
    fn read(section: &Section<'_>, faults: &mut Faults<'_>) -> Self {
        section.only(&LIMITS, faults);
        let default = Self::default();
        let mut seconds = |key: &str| section.count(key, faults).map(Duration::from_secs);
        let (connect, idle) = (seconds("connect-seconds"), seconds("idle-seconds"));
        let time = seconds("seconds");
        Self {
            connect: connect.unwrap_or(default.connect),
            idle: idle.unwrap_or(default.idle),
            body: section.count("body-bytes", faults).unwrap_or(default.body),
            total: section.count("total-bytes", faults),
            time,
            redirects: section.count("redirects", faults).unwrap_or(default.redirects),
        }
    }
}

/// The lines for a host that no rule covers.
#[must_use]
pub fn remedy(host: &str) -> String {
    format!("add to touchmark.toml:\n  [[network.mirror]]\n  host = \"{}\"", shortened(host))
}

fn mirror_lines(host: &str, line: &str) -> String {
    format!("{}\n  {line}", remedy(host))
}

pub(super) fn unknown_host(host: &str, port: u16) -> Decision {
    let reason = format!("the policy does not allow the host '{}'", shortened(host));
    // An address is allowed with its port only.
    let remedy = match host.parse::<std::net::Ipv4Addr>() {
        Ok(_) => remedy(&format!("{host}:{port}")),
        Err(_) => remedy(host),
    };
    Decision::Deny { reason, remedy }
}

/// A step must not choose that a login goes in the clear.
fn shown_login(host: &str) -> Decision {
    let host = shortened(host);
    Decision::Deny {
        reason: format!("the mirror '{host}' logs in, which plain HTTP would show to everybody"),
        remedy: format!(
            "ask for it by https://, or say from where it is fetched, in touchmark.toml:\n  \
             upstream = \"https://{host}\""
        ),
    }
}

pub(super) fn unserved_port(host: &str, port: u16) -> Decision {
    Decision::Deny {
        reason: format!("the policy does not allow the port {port} of '{}'", shortened(host)),
        remedy: remedy(&format!("{host}:{port}")),
    }
}

/// The path with its percent-encoding resolved. None when it holds dot segments, backslashes, control
/// characters or bad encoding: an upstream might resolve them otherwise than the policy (RFC 3986,
/// section 6.2.2).
fn plain_path(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let mut value = [0];
                hex::decode_to_slice(digits, &mut value).ok()?;
                value[0]
            }
            other => other,
        });
    }
    let decoded = String::from_utf8_lossy(&decoded).into_owned();
    let dots = decoded.split('/').any(|segment| matches!(segment, "." | ".."));
    let odd = decoded.contains(|c: char| c == '\\' || c.is_control());
    (decoded.starts_with('/') && !dots && !odd).then_some(decoded)
}

/// A text from a step, safe for a message and a policy line.
pub(super) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(200).collect()
}

fn preset_help(name: &str) -> String {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    match nearest(name, &names) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("the presets are {}", names.join(", ")),
    }
}
