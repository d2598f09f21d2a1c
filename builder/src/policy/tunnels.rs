//! Connections of which nothing is seen but where they go: TLS by its server name, SSH and other ports by the rule that
//! names them.

use std::collections::BTreeSet;

use super::{
    mirror::{Mirror, Scheme, Tls},
    network::{Decision, NetworkPolicy, shortened, unknown_host, unserved_port},
};

impl NetworkPolicy {
    /// Decides on a TLS connection of which only the server name is seen. Rules that limit paths or
    /// rewrite to another path or scheme cannot be kept in a tunnel, so they do not allow one.
    #[must_use]
    pub fn decide_tunnel(&self, host: &str, port: u16) -> Decision {
        if port != Scheme::Https.port() {
            return unserved_port(host, port);
        }
        let mut of_host =
            self.mirrors().iter().filter(|mirror| mirror.host().covers(host, port, port));
        let Some(mirror) = of_host.next() else { return unknown_host(host, port) };
        let upstream = mirror.target(Scheme::Https, host, port, "");
        if !mirror.paths().is_empty()
            || upstream.scheme != Scheme::Https
            || !upstream.path.is_empty()
        {
            return Decision::Deny {
                reason: "the rule has paths or another upstream, which TLS hides".into(),
                remedy: "set tls = \"inspect\" for this host, so that requests are seen".into(),
            };
        }
        Decision::Allow { upstream, tls: mirror.tls(), rule: mirror.rule() }
    }

    /// Decides on an SSH connection. Only a rule that names port 22 allows one: what travels inside is not
    /// seen.
    #[must_use]
    pub fn decide_ssh(&self, host: &str) -> Decision {
        let port = Scheme::Ssh.port();
        let named = |mirror: &&Mirror| {
            mirror.host().port() == Some(port)
                && mirror.host().matches(host)
                && mirror.paths().is_empty()
        };
        let Some(mirror) = self.mirrors().iter().find(named) else {
            return unserved_port(host, port);
        };
        let upstream = mirror.target(Scheme::Ssh, host, port, "");
        if upstream.scheme != Scheme::Ssh {
            return Decision::Deny {
                reason: "the rule has another kind of upstream".into(),
                remedy: format!("write upstream = \"ssh://{}\", or leave it out", shortened(host)),
            };
        }
        Decision::Allow { upstream, tls: Tls::Tunnel, rule: mirror.rule() }
    }

    /// Decides on a connection to another port. Only a rule that names the port and says `tls = "tunnel"` allows
    /// one.
    #[must_use]
    pub fn decide_tcp(&self, host: &str, port: u16) -> Decision {
        let named =
            |mirror: &&Mirror| mirror.tunnel_port() == Some(port) && mirror.host().matches(host);
        let Some(mirror) = self.mirrors().iter().find(named) else {
            return unserved_tunnel(host, port);
        };
        let upstream = mirror.target(Scheme::Tcp, host, port, "");
        if upstream.scheme != Scheme::Tcp {
            return Decision::Deny {
                reason: "the rule has another kind of upstream".into(),
                remedy: format!(
                    "write upstream = \"tcp://{}:{port}\", or leave it out",
                    shortened(host)
                ),
            };
        }
        Decision::Allow { upstream, tls: Tls::Tunnel, rule: mirror.rule() }
    }

    /// The ports beside those of HTTP, TLS and SSH at which steps find tunnels.
    #[must_use]
    pub fn tunnel_ports(&self) -> BTreeSet<u16> {
        self.mirrors().iter().filter_map(Mirror::tunnel_port).collect()
    }
}

fn unserved_tunnel(host: &str, port: u16) -> Decision {
    match unserved_port(host, port) {
        Decision::Deny { reason, remedy } => {
            Decision::Deny { reason, remedy: format!("{remedy}\n  tls = \"tunnel\"") }
        }
        allowed @ Decision::Allow { .. } => allowed,
    }
}
